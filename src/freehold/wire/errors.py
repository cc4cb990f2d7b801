"""A request that does not fit its wire type, told in OpenAI's words."""

import re
from collections.abc import Sequence
from typing import cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from freehold.core import messages
from freehold.core.errors import BadRequestError

_TAG = re.compile(r"<\w+>|\[key\]")
_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "float_type": "a decimal",
    "float_parsing": "a decimal",
    "bool_type": "a boolean",
    "bool_parsing": "a boolean",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_ITEMS: dict[str, str] = dict.fromkeys(
    ("messages", "tools", "functions", "tool_calls"), " of objects"
)


def bad_request(error: ValidationError, body: object) -> BadRequestError:
    """Return the answer to a body that failed validation: one fault, with its ``param``.

    What is missing at the top comes first, then unknown fields there, then the rest, as OpenAI
    orders them.
    """
    if not isinstance(body, dict):
        return messages.invalid_type(None, "an object", body)
    faults = error.errors(include_url=False)
    top = [fault for fault in faults if len(fault["loc"]) == 1]
    strangers = [str(fault["loc"][0]) for fault in top if fault["type"] == "extra_forbidden"]
    missing = [fault for fault in top if fault["type"] == "missing"]
    if strangers and not missing:
        return messages.unrecognized(strangers)
    return _told((missing or faults)[0])


def path(location: Sequence[int | str]) -> str:
    """Return where a fault lies, for example ``messages[0].content[1].text``."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


def _told(fault: ErrorDetails) -> BadRequestError:
    kind, value, param = fault["type"], fault["input"], _param(fault)
    match kind:
        case "missing":
            told = messages.missing(param)
        case "extra_forbidden":
            told = messages.unknown(param)
        case "wrong_kind":
            told = messages.invalid_type(param, fault["msg"], value)
        case "wrong_field":
            field, _, values = fault["msg"].partition(":")
            told = _wrong_branch(param, field, values.split(","), value)
        case "wrong_text":
            told = messages.no_match(param, fault["msg"])
        case "literal_error":
            supported = re.findall(r"'([^']*)'", fault.get("ctx", {}).get("expected", ""))
            told = _wrong_choice(param, supported, value)
        case _:
            expected = _EXPECTED.get(kind, fault["msg"]) + _ITEMS.get(param.split(".")[-1], "")
            told = messages.invalid_type(param or None, expected, value)
    return told


def _param(fault: ErrorDetails) -> str:
    """Return the path in the request; the tags of our unions are not part of it."""
    named = fault["type"] in {"missing", "extra_forbidden"}
    steps = [step for step in fault["loc"][:-1] if not _TAG.fullmatch(str(step))]
    last = fault["loc"][-1:]
    return path([*steps, *(step for step in last if named or not _TAG.fullmatch(str(step)))])


def _wrong_branch(
    param: str, field: str, supported: Sequence[str], value: object
) -> BadRequestError:
    if not isinstance(value, dict):
        return messages.invalid_type(param, "an object", value)
    chosen = cast("dict[object, object]", value)
    if field not in chosen:
        return messages.missing(f"{param}.{field}")
    return _wrong_choice(f"{param}.{field}", supported, chosen[field])


def _wrong_choice(param: str, supported: Sequence[str], value: object) -> BadRequestError:
    if not isinstance(value, str):
        return messages.invalid_type(param, f"one of {messages.listed(supported, 'or')}", value)
    return messages.invalid_value(param, value, supported)
