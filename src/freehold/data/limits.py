"""Documented limits, and the check of a request against them."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict

from freehold.core import messages


class Limit(BaseModel):
    """A row of ``limits.toml``: what one value of a request may be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["integer", "decimal"] = "integer"
    min: int | None = None
    max: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    max_properties: int | None = None
    max_key_length: int | None = None
    key_pattern: str | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    steps: Sequence[str]
    limit: Limit


def check(operation_id: str, body: Mapping[str, Any]) -> None:
    """Raise ``BadRequestError``, in OpenAI's words, for the first value beyond its limit."""
    for rule in _rules().get(operation_id, ()):
        if body.get(rule.steps[0]) is None:  # most fields are left out of most requests
            continue
        for param, value in _values(body, rule.steps, ""):
            _check(param, value, rule.limit)


def figure(group: str, name: str) -> int:
    """Return a number that is not about one field of a request. Raises ``KeyError``."""
    return _figures()[group][name]


def json_body_bytes() -> int:
    """Return how large the body of a JSON request may be."""
    return figure("request", "json_body_bytes")


def rate_limits(model: str) -> tuple[int, int]:
    """Return requests and tokens per minute of a model that the operator set no figures for."""
    default = _figures()["rate_limit"]
    own = _figures().get(f"rate_limit:{model}", default)
    return own["requests"], own["tokens"]


@cache
def _file() -> dict[str, dict[str, Any]]:
    return tomllib.loads(resources.files("freehold.data").joinpath("limits.toml").read_text())


@cache
def _figures() -> dict[str, dict[str, int]]:
    return _file()["figures"]


@cache
def _rules() -> dict[str, list[_Rule]]:
    return {
        operation: [_Rule(_steps(path), Limit.model_validate(row)) for path, row in rows.items()]
        for operation, rows in _file().items()
        if operation != "figures"
    }


def _steps(path: str) -> list[str]:
    return path.replace("[]", ".[]").split(".")


def _values(value: Any, steps: Sequence[str], path: str) -> Iterator[tuple[str, Any]]:
    """Yield the values that a path leads to, each with its own path."""
    if not steps:
        yield path, value
    elif steps[0] == "[]":
        if isinstance(value, list):
            for index, item in enumerate(cast("list[Any]", value)):
                yield from _values(item, steps[1:], f"{path}[{index}]")
    elif isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        for name in fields if steps[0] == "*" else steps[:1]:
            if fields.get(name) is not None:
                yield from _values(fields[name], steps[1:], f"{path}.{name}" if path else name)


def _check(param: str, value: Any, limit: Limit) -> None:
    match value:
        case bool():
            return
        case int() | float():
            _check_number(param, value, limit)
        case str():
            _check_length(param, "string", len(value), limit.min_length, limit.max_length)
            if limit.pattern and not re.fullmatch(limit.pattern, value):
                raise messages.no_match(param, limit.pattern)
        case list():
            count = len(cast("list[Any]", value))
            _check_length(param, "array", count, limit.min_items, limit.max_items)
        case dict():
            _check_object(param, cast("dict[str, Any]", value), limit)
        case _:
            return


def _check_number(param: str, value: float, limit: Limit) -> None:
    if limit.min is not None and value < limit.min:
        raise messages.below_minimum(param, value, limit.min, limit.kind)
    if limit.max is not None and value > limit.max:
        raise messages.above_maximum(param, value, limit.max, limit.kind)


def _check_length(
    param: str, kind: str, length: int, minimum: int | None, maximum: int | None
) -> None:
    if minimum is not None and length < minimum:
        raise messages.too_short(param, kind, length, minimum)
    if maximum is not None and length > maximum:
        raise messages.too_long(param, kind, length, maximum)


def _check_object(param: str, value: Mapping[str, Any], limit: Limit) -> None:
    if limit.max_properties is not None and len(value) > limit.max_properties:
        raise messages.too_many_properties(param, len(value), limit.max_properties)
    for key in value:
        if limit.max_key_length is not None and len(key) > limit.max_key_length:
            raise messages.key_too_long(param, key, limit.max_key_length)
        if limit.key_pattern and not re.fullmatch(limit.key_pattern, key):
            raise messages.key_no_match(param, key, limit.key_pattern)
