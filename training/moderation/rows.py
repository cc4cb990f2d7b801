"""The texts that are learnt from, and what is known of each."""

import gzip
import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from freehold.data.moderations import CATEGORIES
from freehold.engines.moderation_features import pieces

CONTRAST: Final = "contrast"
OUTPUTS: Final = len(CATEGORIES) + 1
ANY: Final = len(CATEGORIES)
UNKNOWN: Final = -1
# With fewer categories known to be absent, nothing is said about "any category".
_ENOUGH_ABSENT: Final = 11
_WEAK: Final = 0.7
_FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class Rows:
    """Texts with their sources, labels (1, 0 or ``UNKNOWN``) and weights.

    Both arrays have a row per text and a column per category; the last column is "any category".
    """

    texts: list[str]
    sources: NDArray[np.str_]
    labels: NDArray[np.int8]
    weights: NDArray[np.float32]

    def balance(self, chosen: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return a weight for each chosen row, so that a large source does not drown the others."""
        sizes: Counter[str] = Counter(self.sources[chosen].tolist())
        found = np.array([sizes[source] ** -0.5 for source in self.sources[chosen]], np.float32)
        return found / found.mean()

    @property
    def contrast(self) -> NDArray[np.bool_]:
        """Which rows are our own contrasting sentences."""
        return np.char.startswith(self.sources, CONTRAST)


def read(data: Path, contrast: Path) -> Rows:
    """Return the rows of the data file and the sentences of the contrast file."""
    with gzip.open(data, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    rows += _sentences(contrast)
    labels = np.full((len(rows), OUTPUTS), UNKNOWN, np.int8)
    weights = np.ones((len(rows), OUTPUTS), np.float32)
    for place, row in enumerate(rows):
        _fill(row, labels[place], weights[place])
    texts = [pieces(row["text"])[0] for row in rows]
    return Rows(texts, np.array([row["source"] for row in rows]), labels, weights)


def _fill(row: Mapping[str, Any], labels: NDArray[np.int8], weights: NDArray[np.float32]) -> None:
    for name, applies in row["labels"].items():
        labels[CATEGORIES.index(name)] = applies
    for name in row["weak"]:
        weights[CATEGORIES.index(name)] = _WEAK
    if any(row["labels"].values()):
        labels[ANY] = 1
    elif len(row["labels"]) >= _ENOUGH_ABSENT:
        labels[ANY] = 0


def _sentences(path: Path) -> Iterator[dict[str, Any]]:
    """Yield a row for each frame and each value of its slot; frames take turns as sources."""
    for number, frame in enumerate(tomllib.loads(path.read_text("utf-8"))["frames"]):
        applying = frame.get("labels", ())
        for text in frame["text"]:
            for value in frame["x"]:
                said = text.replace("{x}", value)
                yield {
                    "text": said[0].upper() + said[1:] if text.startswith("{x}") else said,
                    "labels": {name: int(name in applying) for name in CATEGORIES},
                    "weak": (),
                    "source": f"{CONTRAST}{number % _FOLDS}",
                }


def folds(rows: Rows, together: Sequence[Sequence[str]]) -> list[NDArray[np.bool_]]:
    """Return which rows are held out in turn: whole sources, and every fifth contrast frame.

    Raises ``ValueError`` for a source that no fold holds out.
    """
    held = [np.isin(rows.sources, [*some, f"{CONTRAST}{n}"]) for n, some in enumerate(together)]
    missing = set(rows.sources[~np.any(held, axis=0)].tolist())
    if missing:
        raise ValueError(f"no fold holds out {', '.join(sorted(missing))}")
    return held
