"""Query strings: from text to the values that a wire type names.

Arrays are written ``a=x&a=y`` (the description) or ``a[]=x&a[]=y`` (the official client), objects
``a[key]=value``. Of a plain value that is given twice the last one counts. What the wire type does
not name is dropped: unknown query parameters are ignored, as OpenAI does.
"""

import re
from typing import Any, get_args, get_origin
from urllib.parse import parse_qsl

from pydantic import BaseModel

_NAME = re.compile(r"(\w+)(?:\[(.*)\])?", re.DOTALL)


def parse(query: bytes, wire: type[BaseModel]) -> dict[str, Any]:
    """Return the parameters that ``wire`` names, arrays as lists and objects as dicts of text."""
    given: dict[str, Any] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        match = _NAME.fullmatch(name)
        if match is None or match[1] not in wire.model_fields:
            continue
        field, key = match[1], match[2]
        shape = _shape(wire.model_fields[field].annotation)
        if shape is list:
            given.setdefault(field, []).append(value)
        elif shape is dict and key:
            given.setdefault(field, {})[key] = value
        else:
            given[field] = value
    return given


def _shape(annotation: Any) -> type | None:
    """Return ``list`` or ``dict`` where the annotation, or a branch of it, is one."""
    origin = get_origin(annotation)
    if origin in (list, dict):
        return origin
    return next((shape for branch in get_args(annotation) if (shape := _shape(branch))), None)
