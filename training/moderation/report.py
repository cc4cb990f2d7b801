"""The figures of a training as Markdown, for the model's page in the docs."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from freehold.data.moderations import CATEGORIES
from moderation.measure import Calibration, average_precision, calibration_error
from moderation.rows import ANY, UNKNOWN, Rows

Floats = NDArray[np.floating]
Marks = NDArray[np.bool_]


def page(rows: Rows, values: Floats, calibration: Calibration) -> str:
    """Return the tables; every figure is of rows whose source was not learnt from."""
    scores = calibration.scores(values)
    flagged = scores >= calibration.thresholds
    lines = [*_whole(rows, values, flagged), "", *_categories(rows, scores, flagged, calibration)]
    return "\n".join([*lines, "", *_sources(rows, _any(flagged))]) + "\n"


def _whole(rows: Rows, values: Floats, flagged: Marks) -> Iterator[str]:
    known = rows.labels[:, ANY] != UNKNOWN
    harmless, harmful = rows.labels[:, ANY] == 0, rows.labels[:, ANY] == 1
    any_flag, own = _any(flagged), rows.contrast
    given = known & ~own
    yield "| figure | value |"
    yield "|---|---|"
    for name, chosen in (("all rows", known), ("without our contrast sentences", given)):
        yield f"| any category, AUPRC, {name} | {_ap(rows, values[:, ANY], chosen):.3f} |"
    for name, chosen in (
        ("harmless texts flagged", harmless & ~own),
        ("harmful texts flagged", harmful & ~own),
        ("harmless contrast sentences flagged", harmless & own),
        ("harmful contrast sentences flagged", harmful & own),
    ):
        yield f"| {name} | {any_flag[chosen].mean():.1%} of {chosen.sum():,} |"


def _any(flagged: Marks) -> Marks:
    """Return which rows any category flags."""
    return np.asarray(flagged.any(axis=1))


def _ap(rows: Rows, scores: Floats, chosen: Marks) -> float:
    return average_precision(rows.labels[chosen, ANY], scores[chosen])


def _categories(
    rows: Rows, scores: Floats, flagged: Marks, calibration: Calibration
) -> Iterator[str]:
    balance = rows.balance(np.arange(len(rows.texts)))
    found: list[float] = []
    yield "| category | harmful | AUPRC | precision | recall | calibration error | threshold |"
    yield "|---|---|---|---|---|---|---|"
    for column, name in enumerate(CATEGORIES):
        known = rows.labels[:, column] != UNKNOWN
        labels, marked = rows.labels[known, column], flagged[known, column]
        area = average_precision(labels, scores[known, column])
        found.append(area)
        hits = (marked & (labels == 1)).sum()
        error = calibration_error(labels, scores[known, column], balance[known])
        yield (
            f"| {name} | {(labels == 1).sum():,} | {area:.2f} | {hits / max(1, marked.sum()):.2f} "
            f"| {hits / max(1, (labels == 1).sum()):.2f} | {error:.3f} "
            f"| {calibration.thresholds[column]:.3f} |"
        )
    yield f"| mean | | {np.mean(found):.2f} | | | | |"


def _sources(rows: Rows, flagged: Marks) -> Iterator[str]:
    yield "| source | harmless rows | flagged | harmful rows | flagged |"
    yield "|---|---|---|---|---|"
    for source in sorted(set(rows.sources.tolist())):
        here = rows.sources == source
        cells: Sequence[str] = [
            f"{chosen.sum():,} | {f'{flagged[chosen].mean():.1%}' if chosen.any() else ''}"
            for chosen in (here & (rows.labels[:, ANY] == label) for label in (0, 1))
        ]
        yield f"| {source} | {' | '.join(cells)} |"
