"""One conversation to learn from, and one question to be judged by, as they lie in JSON lines."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any, Literal, NotRequired, Required, TypedDict, TypeVar

Split = Literal["train", "held_out"]
T = TypeVar("T")

# Of every list of values or templates, about this share is kept for the evaluation.
_HELD_OUT_SHARE = 0.15


class Example(TypedDict, total=False):
    """A conversation in the format of OpenAI's fine-tuning files, every assistant turn learnt.

    ``row`` and ``source`` say which part of the mixture it is and where its words come from.
    ``tools`` and ``response_format`` are as in a chat request; a call's arguments are JSON text.
    """

    row: Required[str]
    source: Required[str]
    messages: Required[list[dict[str, Any]]]
    tools: NotRequired[list[dict[str, Any]]]
    response_format: NotRequired[dict[str, Any]]


class Item(TypedDict, total=False):
    """A held-out request and what a right answer is; ``expect`` is read by ``judge``."""

    id: Required[str]
    row: Required[str]
    messages: Required[list[dict[str, Any]]]
    tools: NotRequired[list[dict[str, Any]]]
    response_format: NotRequired[dict[str, Any]]
    max_tokens: NotRequired[int]
    expect: Required[dict[str, Any]]


Generator = Callable[[Random, Split], Iterator[Example]]


def part(values: Iterable[T], split: Split) -> Sequence[T]:
    """Return the values that belong to the split: by their own text, so new ones move no others."""
    return [value for value in values if (_place(value) < _HELD_OUT_SHARE) == (split == "held_out")]


def _place(value: object) -> float:
    digest = hashlib.sha256(repr(value).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32
