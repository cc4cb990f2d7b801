"""The classifier's numbers: whole, small, and scores that follow from them."""

from importlib.resources import files

import numpy as np
import pytest

from freehold.data import moderations
from freehold.engines.moderation_features import BUCKETS
from freehold.engines.moderation_head import FILE, Head, calibrated

MOST_BYTES = 5_000_000


@pytest.fixture(scope="module")
def head():
    return Head.load()


def test_the_package_brings_a_classifier_of_at_most_five_megabytes():
    packaged = files("freehold.data").joinpath("moderation", FILE)
    assert 100_000 < len(packaged.read_bytes()) < MOST_BYTES


def test_there_is_a_calibration_for_each_category_in_order():
    rows = moderations.categories()
    assert tuple(row.name for row in rows) == moderations.CATEGORIES
    assert all(0 < row.threshold < 1 for row in rows)
    assert all(row.own >= 0 for row in rows)


def test_scores_lie_between_0_and_1_for_any_vector(head):
    vectors = np.random.default_rng(1).standard_normal((8, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = head.scores(vectors, ["some text"] * 8)
    assert scores.shape == (8, 13)
    assert ((scores > 0) & (scores < 1)).all()


def test_a_rows_scores_do_not_depend_on_its_neighbours(head):
    vectors = np.eye(3, 384, dtype=np.float32)
    texts = ["one", "I will kill you", "three"]
    together = head.scores(vectors, texts)
    alone = head.scores(vectors[1:2], texts[1:2])
    assert together[1] == pytest.approx(alone[0], abs=1e-5)


def test_words_count_beside_the_vector(head):
    vectors = np.zeros((2, 384), np.float32)
    calm, angry = head.scores(vectors, ["a calm day", "kill yourself you pig"])
    harassment = moderations.CATEGORIES.index("harassment")
    assert angry[harassment] > 1.2 * calm[harassment]


def test_calibration_keeps_the_order_of_a_category():
    values = np.zeros((5, 14), np.float32)
    values[:, 0] = np.linspace(-200, 200, 5)
    scores = calibrated(values)[:, 0]
    assert (np.diff(scores) >= 0).all()
    assert scores[0] >= 0
    assert scores[-1] <= 1


def test_an_untrained_head_adds_the_weights_of_ngrams_up():
    zeros = (np.zeros((384, 2), np.float32), np.zeros(2, np.float32))
    out = (np.zeros((2, 14), np.float32), np.zeros(14, np.float32))
    bag = np.ones((BUCKETS, 14), np.int8)
    plain = Head(zeros, out, bag, np.full(14, 0.5, np.float32))
    (values,) = plain.values(np.zeros((1, 384), np.float32), ["a b"])
    assert values == pytest.approx(np.full(14, 5 * 0.5 / 5**0.5), rel=1e-5)
