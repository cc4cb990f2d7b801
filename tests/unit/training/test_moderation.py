"""How the moderation classifier is measured and calibrated, and what is made of its data."""

import gzip
import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from freehold.data.moderations import CATEGORIES

ROOT = Path(__file__).parents[3]
CONTRAST = ROOT / "training" / "moderation" / "contrast.toml"
ANY = len(CATEGORIES)


@pytest.fixture
def part(monkeypatch):
    """Return a function that imports a module of the training."""
    monkeypatch.syspath_prepend(str(ROOT / "training"))
    return lambda name: import_module(f"moderation.{name}")


@pytest.fixture
def rows(part, tmp_path):
    """Return rows of three sources; the words of a text say what it is."""
    lines = [
        {"text": f"calm {n}", "labels": dict.fromkeys(CATEGORIES, 0), "weak": [], "source": "a"}
        for n in range(60)
    ]
    lines += [
        {"text": f"hate {n}", "labels": {"hate": 1}, "weak": ["hate"], "source": "b"}
        for n in range(40)
    ]
    lines += [{"text": "unsure", "labels": {"hate": 0}, "weak": [], "source": "c"}]
    data = tmp_path / "rows.jsonl.gz"
    data.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    return part("rows").read(data, CONTRAST)


def values_of(rows, seed=1):
    """Return values that are right most of the time."""
    truth = np.where(rows.labels == 1, 2.0, -2.0)
    return truth + np.random.default_rng(seed).standard_normal(truth.shape)


def test_what_a_source_does_not_say_is_unknown(part, rows):
    hate, violence = CATEGORIES.index("hate"), CATEGORIES.index("violence")
    said = dict(zip(rows.texts, rows.labels, strict=True))
    assert said["hate 1"][[hate, violence, ANY]].tolist() == [1, -1, 1]
    assert said["calm 1"][[hate, violence, ANY]].tolist() == [0, 0, 0]
    assert said["unsure"][[hate, violence, ANY]].tolist() == [0, -1, -1]
    weak = rows.weights[rows.texts.index("hate 1"), hate]
    assert weak < rows.weights[rows.texts.index("calm 1"), hate]


def test_contrast_sentences_are_of_both_kinds_and_none_is_said_twice(rows):
    labels = rows.labels[rows.contrast, ANY]
    assert (labels == 0).sum() > 1000
    assert (labels == 1).sum() > 400
    sentences = [text for text, own in zip(rows.texts, rows.contrast, strict=True) if own]
    assert not any("{x}" in sentence for sentence in sentences)


def test_every_source_is_held_out_once(part, rows):
    held = part("rows").folds(rows, [["a"], ["b"], ["c"], [], []])
    assert np.sum(held, axis=0).tolist() == [1] * len(rows.texts)
    with pytest.raises(ValueError, match="no fold holds out c"):
        part("rows").folds(rows, [["a"], ["b"], [], [], []])


def test_a_large_source_does_not_drown_a_small_one(rows):
    balance = rows.balance(np.arange(len(rows.texts)))
    assert balance[rows.texts.index("unsure")] > balance[0]


@pytest.mark.parametrize(
    ("scores", "area"),
    [([0.9, 0.8, 0.2, 0.1], 1.0), ([0.1, 0.2, 0.8, 0.9], 5 / 12), ([0.5] * 4, 0.5)],
)
def test_average_precision_is_the_area_under_the_curve(part, scores, area):
    found = part("measure").average_precision(np.array([1, 1, 0, 0]), np.array(scores))
    assert found == pytest.approx(area)


def test_calibrated_scores_are_shares_and_thresholds_keep_their_promise(part, rows):
    measure = part("measure")
    values = values_of(rows)
    calibration = measure.calibrate(rows, values, [0.05, 0.1])
    scores = calibration.scores(values)
    assert ((scores >= 0) & (scores <= 1)).all()
    flagged = (scores >= calibration.thresholds).any(axis=1)
    harmless = rows.labels[:, ANY] == 0
    assert flagged[harmless & ~rows.contrast].mean() <= 0.05
    assert flagged[harmless & rows.contrast].mean() <= 0.1
    hate = CATEGORIES.index("hate")
    known = rows.labels[:, hate] >= 0
    balance = rows.balance(np.arange(len(rows.texts)))[known]
    assert measure.calibration_error(rows.labels[known, hate], scores[known, hate], balance) < 0.1


def test_the_report_names_every_category_and_source(part, rows):
    values = values_of(rows)
    calibration = part("measure").calibrate(rows, values, [0.05, 0.1])
    page = part("report").page(rows, values, calibration)
    assert all(f"| {name} |" in page for name in (*CATEGORIES, "a", "b", "contrast0"))
