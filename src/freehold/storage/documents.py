"""How JSON columns are written and read: fast where orjson can, faithful where it cannot."""

import json
from typing import Any

import orjson


def dumps(value: Any) -> str:
    """Return ``value`` as JSON text; lone surrogates and huge integers survive."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return json.dumps(value, allow_nan=False)


def loads(text: str | bytes) -> Any:
    """Return what ``dumps`` was given."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)
