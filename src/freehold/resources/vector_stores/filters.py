"""Filters on the attributes of files."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from freehold.core.errors import BadRequestError
from freehold.data import limits
from freehold.wire.vector_stores import ComparisonFilter, CompoundFilter

AnyFilter = ComparisonFilter | CompoundFilter

_ORDERED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def check(given: AnyFilter) -> None:
    """Raise ``BadRequestError`` for a filter that can't be meant, or is beyond all measure."""
    if _checked(given) > limits.figure("file_search", "filters"):
        raise BadRequestError("The filter has too many comparisons.", param="filters")


def matches(given: AnyFilter, attributes: Mapping[str, Any]) -> bool:
    """Return whether a file with these attributes passes.

    What a file lacks is equal to nothing and in no list. Values of different kinds (text, numbers,
    booleans) are never equal, and neither is the larger.
    """
    if isinstance(given, CompoundFilter):
        parts = (matches(part, attributes) for part in given.filters)
        return all(parts) if given.type == "and" else any(parts)
    return _compares(given, attributes.get(given.key))


def _compares(given: ComparisonFilter, value: Any) -> bool:
    match given.type:
        case "eq":
            return _equal(value, given.value)
        case "ne":
            return not _equal(value, given.value)
        case "in":
            return _is_in(value, given.value)
        case "nin":
            return not _is_in(value, given.value)
        case _:
            return _kind(value) == _kind(given.value) and _ORDERED[given.type](value, given.value)


def _equal(one: Any, other: Any) -> bool:
    return _kind(one) == _kind(other) and one == other


def _is_in(value: Any, listed: Any) -> bool:
    return any(_equal(value, each) for each in listed)


def _kind(value: Any) -> type[Any] | None:
    """Return what values are compared with: booleans are no numbers."""
    if value is None or isinstance(value, bool | str):
        return type(value)
    return float


def _checked(given: AnyFilter) -> int:
    """Return how many comparisons there are; what combines none counts as one."""
    if isinstance(given, CompoundFilter):
        return max(1, sum(_checked(part) for part in given.filters))
    listed = isinstance(given.value, list)
    if listed != (given.type in ("in", "nin")):
        wanted = "an array" if not listed else "a string, a number or a boolean"
        raise BadRequestError(
            f"Invalid filter on '{given.key}': '{given.type}' compares with {wanted}.",
            param="filters",
        )
    if given.type in _ORDERED and isinstance(given.value, bool):
        raise BadRequestError(
            f"Invalid filter on '{given.key}': '{given.type}' does not compare booleans.",
            param="filters",
        )
    return 1
