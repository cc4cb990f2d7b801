"""Open models to bind instead of the built-in one: rows of ``recommended.toml``."""

import tomllib
from collections.abc import Sequence
from datetime import date
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

_STRICT = ConfigDict(extra="forbid", frozen=True)

_BEARABLE_B = 8.0  # a processor says a few words a second of a model of this size


class RecommendedRow(BaseModel):
    """A model, where it comes from, and what its publisher says of it.

    ``size_mb`` are all its files, ``memory_mb`` is what it takes in memory, ``active_b`` the
    parameters used for each token, in thousands of millions.
    """

    model_config = _STRICT

    name: str
    weights: str
    mmproj: str | None = None
    size_mb: int
    memory_mb: int
    active_b: float
    licence: str
    tools: str
    vision: bool = False


class Recommended(BaseModel):
    """All rows, and the day on which they were looked up."""

    model_config = _STRICT

    as_of: date
    model: tuple[RecommendedRow, ...]


@cache
def recommended() -> Recommended:
    """Return the package's rows, read once."""
    text = files("freehold.data").joinpath("recommended.toml").read_text(encoding="utf-8")
    return Recommended.model_validate(tomllib.loads(text))


def fitting(memory_mb: float, *, accelerated: bool) -> Sequence[RecommendedRow]:
    """Return three models (fewer where fewer fit) for this much memory, largest first.

    One of them sees pictures where one that does fits, and is the last. Without an accelerator
    those that would be very slow are left out.
    """
    rows = [
        row
        for row in sorted(recommended().model, key=lambda row: row.memory_mb, reverse=True)
        if row.memory_mb <= memory_mb and (accelerated or row.active_b <= _BEARABLE_B)
    ]
    seeing = [row for row in rows if row.vision][:1]
    reading = [row for row in rows if not row.vision]
    return [*reading[: 3 - len(seeing)], *seeing]
