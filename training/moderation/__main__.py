"""Trains the classifier and writes it into the package.

    python -m moderation --data train.jsonl.gz --weights model.safetensors

Cross-validation leaves whole sources out; its values calibrate the scores. The network that is
kept has learnt every row.
"""

# pyright: reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# Checked without torch, which is only in the extra `train`.

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from freehold.data.moderations import CATEGORIES
from freehold.engines.moderation_features import grams
from freehold.engines.moderation_head import FILE
from moderation import network, report
from moderation.measure import Calibration, calibrate
from moderation.network import Features
from moderation.rows import OUTPUTS, Rows, folds, read
from moderation.settings import Settings
from moderation.vectors import vectors

_HERE: Final = Path(__file__).parent
_PACKAGE: Final = _HERE.parents[1] / "src" / "freehold" / "data" / "moderation"
_CALIBRATION: Final = "classifier.toml"


def main() -> None:
    """Embed, cross-validate, calibrate, learn, write."""
    given = _arguments()
    settings = Settings.read(given.settings)
    torch.set_num_threads(given.threads)
    rows = read(given.data, given.contrast)
    shown = Features(
        vectors(rows.texts, given.weights, given.build / "vectors.npz"),
        [np.array(grams(text), np.int64) for text in rows.texts],
    )
    unseen = _cross_validated(rows, shown, settings)
    np.save(given.build / "unseen.npy", unseen)
    calibration = calibrate(rows, unseen, settings.shares)
    figures = report.page(rows, unseen, calibration)
    print(figures)
    if given.measure_only:
        return
    every = np.arange(len(rows.texts))
    learnt = [network.learn(rows, shown, every, settings, seed) for seed in range(settings.seeds)]
    arrays: dict[str, Any] = network.arrays(learnt)
    np.savez_compressed(given.out / FILE, **arrays)
    (given.out / _CALIBRATION).write_text(_toml(calibration), encoding="utf-8")
    (given.build / "figures.md").write_text(figures, encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="train.jsonl.gz")
    parser.add_argument("--weights", type=Path, required=True, help="MiniLM's model.safetensors")
    parser.add_argument("--settings", type=Path, default=_HERE / "settings.toml")
    parser.add_argument("--contrast", type=Path, default=_HERE / "contrast.toml")
    parser.add_argument("--build", type=Path, default=Path("build/moderation"))
    parser.add_argument("--out", type=Path, default=_PACKAGE)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--measure-only", action="store_true", help="write no classifier")
    return parser.parse_args()


def _cross_validated(rows: Rows, shown: Features, settings: Settings) -> NDArray[np.float32]:
    """Return values for every row, by networks that have not learnt its source."""
    found = np.zeros((len(rows.texts), OUTPUTS), np.float32)
    for number, held in enumerate(folds(rows, settings.folds)):
        others, asked = np.flatnonzero(~held), np.flatnonzero(held)
        learnt = [
            network.learn(rows, shown, others, settings, seed) for seed in range(settings.seeds)
        ]
        found[asked] = network.values(learnt, shown, asked)
        print(f"fold {number + 1} of {len(settings.folds)}", flush=True)
    return found


def _toml(calibration: Calibration) -> str:
    """Return the calibration as the package reads it."""
    lines = ["# Written by training/moderation: see docs/moderation-model.md."]
    for column, name in enumerate(CATEGORIES):
        own, any_, offset = calibration.weights[column].tolist()
        threshold = float(calibration.thresholds[column])
        lines += [
            "",
            "[[category]]",
            f'name = "{name}"',
            *(
                f"{key} = {value:.6f}"
                for key, value in (
                    ("own", own),
                    ("any", any_),
                    ("offset", offset),
                    ("threshold", threshold),
                )
            ),
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
