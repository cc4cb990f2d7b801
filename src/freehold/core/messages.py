"""Faults of a request in OpenAI's words: message, ``param`` and ``code`` from one place."""

from collections.abc import Sequence
from typing import Any, cast

from freehold.core.errors import BadRequestError

_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal number",
    str: "a string",
    list: "an array",
}

_ARTICLE = {"array": "an array", "string": "a string"}


def kind_of(value: Any) -> str:
    """Return what a JSON value is, with its article."""
    return _KINDS.get(cast("type[Any]", type(value)), "an object")


def listed(values: Sequence[str], word: str = "and") -> str:
    """Return quoted values as a phrase: ``'a'``, ``'a' and 'b'``, ``'a', 'b', and 'c'``."""
    quoted = [f"'{value}'" for value in values]
    if len(quoted) < 3:
        return f" {word} ".join(quoted)
    return f"{', '.join(quoted[:-1])}, {word} {quoted[-1]}"


def missing(param: str) -> BadRequestError:
    return BadRequestError(
        f"Missing required parameter: '{param}'.",
        param=param,
        code="missing_required_parameter",
    )


def invalid_type(param: str | None, expected: str, value: Any) -> BadRequestError:
    where = f"'{param}'" if param else "the request body"
    return BadRequestError(
        f"Invalid type for {where}: expected {expected}, but got {kind_of(value)} instead.",
        param=param,
        code="invalid_type",
    )


def invalid_value(param: str, value: str, supported: Sequence[str]) -> BadRequestError:
    return BadRequestError(
        f"Invalid value: '{value}'. Supported values are: {listed(supported)}.",
        param=param,
        code="invalid_value",
    )


def unknown(param: str) -> BadRequestError:
    return BadRequestError(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


def unrecognized(names: Sequence[str]) -> BadRequestError:
    """Return the fault of top-level fields that neither document knows."""
    noun = "argument" if len(names) == 1 else "arguments"
    return BadRequestError(f"Unrecognized request {noun} supplied: {', '.join(names)}")


def below_minimum(param: str, value: float, minimum: float, kind: str) -> BadRequestError:
    """``kind`` is "integer" or "decimal", as the parameter is documented."""
    return BadRequestError(
        f"Invalid '{param}': {kind} below minimum value. "
        f"Expected a value >= {minimum}, but got {value} instead.",
        param=param,
        code=f"{kind}_below_min_value",
    )


def above_maximum(param: str, value: float, maximum: float, kind: str) -> BadRequestError:
    """``kind`` is "integer" or "decimal", as the parameter is documented."""
    return BadRequestError(
        f"Invalid '{param}': {kind} above maximum value. "
        f"Expected a value <= {maximum}, but got {value} instead.",
        param=param,
        code=f"{kind}_above_max_value",
    )


def too_short(param: str, kind: str, length: int, minimum: int) -> BadRequestError:
    """``kind`` is "array" or "string"."""
    if length == 0 and minimum == 1:
        return BadRequestError(
            f"Invalid '{param}': empty {kind}. Expected {_ARTICLE[kind]} with minimum length 1, "
            f"but got an empty {kind} instead.",
            param=param,
            code=f"empty_{kind}",
        )
    return BadRequestError(
        f"Invalid '{param}': {kind} too short. Expected {_ARTICLE[kind]} with minimum length "
        f"{minimum}, but got {_ARTICLE[kind]} with length {length} instead.",
        param=param,
        code=f"{kind}_below_min_length",
    )


def too_long(param: str, kind: str, length: int, maximum: int) -> BadRequestError:
    """``kind`` is "array" or "string"."""
    return BadRequestError(
        f"Invalid '{param}': {kind} too long. Expected {_ARTICLE[kind]} with maximum length "
        f"{maximum}, but got {_ARTICLE[kind]} with length {length} instead.",
        param=param,
        code=f"{kind}_above_max_length",
    )


def too_many_properties(param: str, count: int, maximum: int) -> BadRequestError:
    return BadRequestError(
        f"Invalid '{param}': too many properties. Expected an object with at most {maximum} "
        f"properties, but got an object with {count} properties instead.",
        param=param,
        code="object_above_max_properties",
    )


def key_too_long(param: str, key: str, maximum: int) -> BadRequestError:
    return BadRequestError(
        f"Invalid property name in '{param}': '{key[:3]}...{key[-3:]}' is too long. Expected a "
        f"string with maximum length {maximum}, but got a string with length {len(key)} instead.",
        param=f"{param}.{key}",
        code="property_name_above_max_length",
    )


def key_no_match(param: str, key: str, pattern: str) -> BadRequestError:
    return BadRequestError(
        f"Invalid property name in '{param}': '{key}' does not match pattern. "
        f"Expected a string that matches the pattern '{pattern}'.",
        param=param,
        code="invalid_value",
    )


def no_match(param: str, pattern: str) -> BadRequestError:
    return BadRequestError(
        f"Invalid '{param}': string does not match pattern. "
        f"Expected a string that matches the pattern '{pattern}'.",
        param=param,
        code="invalid_value",
    )


def unsupported(param: str, reason: str) -> BadRequestError:
    """Return the refusal of a known parameter that cannot be honoured here."""
    return BadRequestError(
        f"Unsupported parameter: '{param}'. {reason}", param=param, code="unsupported_parameter"
    )
