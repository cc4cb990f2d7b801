"""How good scores are: ranking, calibration, thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from moderation.rows import ANY, UNKNOWN, Rows

Floats = NDArray[np.floating]
_STEPS: Final = 60
_RIDGE: Final = 1e-2
_BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Calibration:
    """Per category: weights of its own value and of "any", an offset, and a threshold."""

    weights: Floats
    thresholds: Floats

    def scores(self, values: Floats) -> Floats:
        """Return scores from 0 to 1, one column per category."""
        own, any_, offset = self.weights.T
        return _logistic(values[:, :ANY] * own + values[:, ANY:] * any_ + offset)


def _logistic(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(values, -30, 30)))


def average_precision(labels: NDArray[np.int8], scores: Floats) -> float:
    """Return the area under the curve of precision over recall; ties count as one step."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order] == 1)
    last = np.append(np.diff(scores[order]) != 0, True)
    hits, seen = hits[last], np.flatnonzero(last) + 1
    gained = np.diff(hits, prepend=0)
    return float((gained * hits / seen).sum() / max(1, hits[-1]))


def calibrate(rows: Rows, values: Floats, shares: Sequence[float]) -> Calibration:
    """Return the weights that make scores probabilities, and thresholds.

    A threshold is where precision and recall balance best, but no lower than what keeps the rows
    that any category flags below ``shares``: of harmless texts, and of harmless contrast sentences.
    """
    balance = rows.balance(np.arange(len(rows.texts)))
    weights = np.array([_fitted(rows, values, balance, c) for c in range(ANY)], np.float32)
    scores = Calibration(weights, np.ones(ANY, np.float32)).scores(values)
    best = np.array([_best_threshold(rows, scores, balance, c) for c in range(ANY)], np.float32)
    harmless = rows.labels[:, ANY] == 0
    groups = [scores[harmless & ~rows.contrast], scores[harmless & rows.contrast]]
    return Calibration(weights, _thresholds(groups, best, shares))


def _fitted(rows: Rows, values: Floats, balance: Floats, category: int) -> Floats:
    """Fit a logistic function by Newton's method; slopes are kept from being negative."""
    known = rows.labels[:, category] != UNKNOWN
    labels = rows.labels[known, category]
    inputs = np.stack([values[known, category], values[known, ANY], np.ones(known.sum())], axis=1)
    each = balance[known] * rows.weights[known, category]
    for used in ([0, 1, 2], [0, 2]):
        found = np.zeros(3)
        found[used] = _newton(inputs[:, used], labels, each)
        if found[1] >= 0:
            break
    return found.astype(np.float32)


def _newton(inputs: NDArray[np.float64], labels: NDArray[np.int8], each: Floats) -> Floats:
    found = np.zeros(inputs.shape[1])
    ridge = np.eye(inputs.shape[1]) * _RIDGE
    for _ in range(_STEPS):
        likely = _logistic(inputs @ found)
        slope = inputs.T @ (each * (labels - likely)) - ridge @ found
        curve = (inputs * (each * likely * (1 - likely))[:, None]).T @ inputs + ridge
        step = np.linalg.solve(curve, slope)
        found += step * min(1.0, 2 / float(np.abs(step).max() + 1e-9))
        if np.abs(step).max() < 1e-6:
            break
    return found


def _best_threshold(rows: Rows, scores: Floats, balance: Floats, category: int) -> float:
    """Return the score from which on the harmonic mean of precision and recall is largest."""
    known = rows.labels[:, category] != UNKNOWN
    order = np.argsort(-scores[known, category])
    ranked = scores[known, category][order]
    weights = balance[known][order]
    hits = np.cumsum(weights * (rows.labels[known, category][order] == 1))
    mean = 2 * hits / (np.cumsum(weights) + hits[-1])
    return float(ranked[int(mean.argmax())])


def _thresholds(harmless: Sequence[Floats], best: Floats, shares: Sequence[float]) -> Floats:
    """Return thresholds by which no group of harmless rows is flagged more often than its share.

    Every category may flag the same share of each group for itself.
    """
    low, high = 0.0, max(shares)
    for _ in range(30):
        middle = (low + high) / 2
        raised = _raised(harmless, best, middle)
        flagged = [(scores >= raised).any(axis=1).mean() for scores in harmless]
        if all(found <= share for found, share in zip(flagged, shares, strict=True)):
            low = middle
        else:
            high = middle
    return _raised(harmless, best, low)


def _raised(harmless: Sequence[Floats], best: Floats, share: float) -> Floats:
    """Return thresholds that at most ``share`` of each group reaches, ``best`` at the least."""
    reached = [np.quantile(scores, 1 - share, axis=0) for scores in harmless]
    return np.max([best, *reached], axis=0).astype(np.float32)


def calibration_error(labels: NDArray[np.int8], scores: Floats, weights: Floats) -> float:
    """Return by how much scores differ from shares on average, in ten bins of scores."""
    places = np.clip((scores * _BINS).astype(int), 0, _BINS - 1)
    error = 0.0
    for place in range(_BINS):
        inside = places == place
        if total := weights[inside].sum():
            share = (weights[inside] * (labels[inside] == 1)).sum() / total
            told = (weights[inside] * scores[inside]).sum() / total
            error += abs(share - told) * total
    return float(error / weights.sum())
