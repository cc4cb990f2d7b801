"""The categories of moderation, and the numbers that belong to our classifier's scores."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

CATEGORIES: Final[tuple[str, ...]] = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
# Categories that came with the models that see pictures too.
NEWER: Final = frozenset({"illicit", "illicit/violent"})
# What our picture classifier can tell, and the weights that it needs.
SEEN: Final = "sexual"
PICTURE_WEIGHTS: Final = "open-nsfw"

_STRICT = ConfigDict(extra="forbid", frozen=True)


class CategoryRow(BaseModel):
    """How a category's score is made, and from which score on the category applies.

    The score is the logistic function of ``own`` times the network's value for the category plus
    ``any`` times its value for "any category" plus ``offset``.
    """

    model_config = _STRICT

    name: str
    own: float
    any: float
    offset: float
    threshold: float


class PictureRow(BaseModel):
    """From which score on a picture counts as sexual."""

    model_config = _STRICT

    threshold: float


@cache
def categories() -> tuple[CategoryRow, ...]:
    """Return the classifier's calibration, in the order of ``CATEGORIES``."""
    rows = {row["name"]: CategoryRow.model_validate(row) for row in _read("classifier")["category"]}
    return tuple(rows[name] for name in CATEGORIES)


@cache
def picture() -> PictureRow:
    """Return the picture classifier's threshold."""
    return PictureRow.model_validate(_read("picture"))


@cache
def hazards() -> Mapping[str, tuple[str, ...]]:
    """Return our categories for each hazard of the Llama Guard taxonomy (``S1`` ...)."""
    return {code: tuple(names) for code, names in _read("llama_guard")["hazards"].items()}


def _read(name: str) -> dict[str, Any]:
    text = files("freehold.data").joinpath("moderation", f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
