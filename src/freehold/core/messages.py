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


def kind_of(value: Any) -> str:
    """Return what a JSON value is, with its article."""
    return _KINDS.get(cast("type[Any]", type(value)), "an object")


def listed(values: Sequence[str]) -> str:
    """Return quoted values as a phrase: ``'a'``, ``'a' and 'b'``, ``'a', 'b', and 'c'``."""
    quoted = [f"'{value}'" for value in values]
    if len(quoted) < 3:
        return " and ".join(quoted)
    return f"{', '.join(quoted[:-1])}, and {quoted[-1]}"


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
    """``kind`` is "array", "string" or "object" (its properties are counted)."""
    if length == 0 and minimum == 1 and kind != "object":
        return BadRequestError(
            f"Invalid '{param}': empty {kind}. Expected {_article(kind)} with minimum length 1, "
            f"but got an empty {kind} instead.",
            param=param,
            code=f"empty_{kind}",
        )
    return _length(param, kind, length, ("too short", "minimum", minimum))


def too_long(param: str, kind: str, length: int, maximum: int) -> BadRequestError:
    """``kind`` is "array", "string" or "object" (its properties are counted)."""
    return _length(param, kind, length, ("too long", "maximum", maximum))


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


def _article(kind: str) -> str:
    return f"a {kind}" if kind == "string" else f"an {kind}"


def _length(param: str, kind: str, length: int, fault: tuple[str, str, int]) -> BadRequestError:
    words, side, bound = fault
    where = "above" if side == "maximum" else "below"
    code = f"{kind}_{where}_{side[:3]}_length"
    expected, got = f"{side} length {bound}", f"length {length}"
    if kind == "object":
        words = words.replace("long", "many properties").replace("short", "few properties")
        expected, got = f"{side} {bound} properties", f"{length} properties"
        code = code.replace("length", "properties")
    return BadRequestError(
        f"Invalid '{param}': {kind} {words}. Expected {_article(kind)} with {expected}, "
        f"but got {_article(kind)} with {got} instead.",
        param=param,
        code=code,
    )
