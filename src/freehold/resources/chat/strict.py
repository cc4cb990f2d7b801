"""The subset of JSON Schema that ``strict: true`` promises to follow, as OpenAI documents it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from freehold.data import limits

Schema = Mapping[str, Any]
_UNSUPPORTED = (
    "allOf",
    "oneOf",
    "not",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "then",
    "else",
    "patternProperties",
    "unevaluatedProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "unevaluatedItems",
    "contains",
    "minContains",
    "maxContains",
    "uniqueItems",
)
Place = tuple[str, ...]


def fault(schema: Schema) -> str | None:
    """Return what keeps the schema from being strict, in OpenAI's words, None if nothing does."""
    if "anyOf" in schema:
        return _told((), "schema must be a JSON Schema of 'type: \"object\"', got 'anyOf'")
    if schema.get("type") != "object":
        kind = schema.get("type")
        return _told(
            (), f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'"
        )
    return next(_faults(schema, (), 1), None) or _too_large(schema)


def _told(place: Place, text: str) -> str:
    context = "()" if not place else "(" + ", ".join(f"'{step}'" for step in place) + ")"
    return f"In context={context}, {text}."


def _faults(schema: Any, place: Place, depth: int) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        yield _told(place, f"{json.dumps(schema)} is not a schema object")
        return
    here = cast("Schema", schema)
    deepest = limits.figure("strict_schema", "depth")
    if depth > deepest:
        yield _told(place, f"schemas may nest at most {deepest} levels deep")
        return
    for keyword in _UNSUPPORTED:
        if keyword in here:
            yield _told(place, f"'{keyword}' is not permitted")
    if not any(key in here for key in ("type", "$ref", "anyOf", "enum", "const")):
        yield _told(place, "schema must have a 'type' key")
    if "properties" in here or _is_object(here):
        yield from _object_faults(here, place)
    if _has_type(here, "array") and "items" not in here:
        yield _told(place, "array schema missing items")
    for step, child in _children(here):
        deeper = depth + (1 if _is_object(child) else 0)
        yield from _faults(child, (*place, *step), deeper)


def _is_object(schema: Any) -> bool:
    return isinstance(schema, Mapping) and _has_type(cast("Schema", schema), "object")


def _has_type(schema: Schema, name: str) -> bool:
    kind = schema.get("type")
    return kind == name or (isinstance(kind, list) and name in cast("list[Any]", kind))


def _object_faults(schema: Schema, place: Place) -> Iterator[str]:
    if schema.get("additionalProperties") is not False:
        yield _told(place, "'additionalProperties' is required to be supplied and to be false")
    properties = cast("Schema", schema.get("properties") or {})
    required = cast("Sequence[str]", schema.get("required") or [])
    missing = [name for name in properties if name not in required]
    if missing:
        yield _told(
            place,
            "'required' is required to be supplied and to be an array including every key in "
            f"properties. Missing '{missing[0]}'",
        )
    extra = [name for name in required if name not in properties]
    if extra:
        yield _told(place, f"'required' names '{extra[0]}', which is not in properties")


def _children(schema: Schema) -> Iterator[tuple[Place, Any]]:
    for keyword in ("properties", "$defs", "definitions"):
        for name, child in cast("Schema", schema.get(keyword) or {}).items():
            yield (keyword, name), child
    if "items" in schema:
        yield ("items",), schema["items"]
    for number, child in enumerate(cast("Sequence[Any]", schema.get("anyOf") or ())):
        yield ("anyOf", str(number)), child


def _too_large(schema: Schema) -> str | None:
    properties, names, values = 0, 0, 0
    for part in _parts(schema):
        own = cast("Schema", part.get("properties") or {})
        properties += len(own)
        names += sum(len(name) for name in own)
        listed = cast("Sequence[Any]", part.get("enum") or ())
        values += len(listed)
        names += sum(len(str(value)) for value in listed)
    for figure, count, what in (
        ("properties", properties, "object properties"),
        ("characters", names, "characters of names and enum values"),
        ("enum_values", values, "enum values"),
    ):
        most = limits.figure("strict_schema", figure)
        if count > most:
            return _told((), f"a schema may have at most {most} {what}, this one has {count}")
    return None


def _parts(schema: Schema) -> Iterator[Schema]:
    yield schema
    for _, child in _children(schema):
        yield from _parts(cast("Schema", child))
