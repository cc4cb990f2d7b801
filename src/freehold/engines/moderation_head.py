"""The moderation classifier's trained numbers: from a text and its vector to scores."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from freehold.data import moderations
from freehold.engines.moderation_features import grams

FILE: Final = "classifier.npz"
# The embedding's numbers are multiplied by this, so that they vary by about 1.
SCALE: Final = 19.6
_MOST: Final = 30.0

Floats = NDArray[np.float32]


class Head:
    """A small network on a text's vector, and weights for its n-grams, added up.

    Its values are one per category and a last one for "any category".
    """

    def __init__(
        self,
        first: tuple[Floats, Floats],
        second: tuple[Floats, Floats],
        bag: NDArray[np.int8],
        bag_scale: Floats,
    ) -> None:
        self._first = first
        self._second = second
        self._bag = bag
        self._bag_scale = bag_scale

    @classmethod
    def load(cls) -> Self:
        """Return the head that comes with this package."""
        packaged = files("freehold.data").joinpath("moderation", FILE)
        with as_file(packaged) as path, np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        floats = {name: array.astype(np.float32) for name, array in arrays.items()}
        first = (floats["first"], floats["first_bias"])
        second = (floats["second"], floats["second_bias"])
        return cls(first, second, arrays["bag"], floats["bag_scale"])

    @property
    def bytes(self) -> int:
        """How much memory the numbers take."""
        return sum(array.nbytes for array in (*self._first, *self._second, self._bag))

    def values(self, vectors: Floats, texts: Sequence[str]) -> Floats:
        """Return the network's values, one row per text."""
        weight, bias = self._first
        hidden = np.maximum(vectors * np.float32(SCALE) @ weight + bias, 0)
        weight, bias = self._second
        return hidden @ weight + bias + np.stack([self._of_grams(text) for text in texts])

    def scores(self, vectors: Floats, texts: Sequence[str]) -> Floats:
        """Return calibrated scores from 0 to 1, one row per text, in ``CATEGORIES``' order."""
        return calibrated(self.values(vectors, texts))

    def _of_grams(self, text: str) -> Floats:
        found = grams(text)
        total = self._bag[found].sum(axis=0, dtype=np.int32)
        return (total * self._bag_scale / max(1, len(found)) ** 0.5).astype(np.float32)


def calibrated(values: Floats) -> Floats:
    """Return the scores that belong to the network's values."""
    own, any_, offset = _calibration()
    together = np.clip(values[:, :-1] * own + values[:, -1:] * any_ + offset, -_MOST, _MOST)
    return (1 / (1 + np.exp(-together))).astype(np.float32)


@cache
def _calibration() -> tuple[Floats, Floats, Floats]:
    rows = moderations.categories()
    own = np.array([row.own for row in rows], np.float32)
    any_ = np.array([row.any for row in rows], np.float32)
    return own, any_, np.array([row.offset for row in rows], np.float32)
