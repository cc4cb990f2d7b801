"""Bounds for JSON of weak models, which else write a string, a list or a number without end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, cast

from freehold.engines.base import JSONSchema

_ANYTHING: Final = "anything"
_DECIMALS: Final = 10  # the compiler can't tell longer ones exactly
_NAMED: Final = ("properties", "patternProperties", "$defs", "definitions")
_LISTED: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE: Final = ("items", "additionalProperties", "additionalItems")
# Schemas with one of these say by themselves, or elsewhere, what they allow.
_SETTLED: Final = ("enum", "const", "$ref", "anyOf", "oneOf", "allOf")
_OBJECT_KEYS: Final = ("additionalProperties", "patternProperties")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that JSON may hold where its schema says nothing: 0 for no bound.

    ``string`` counts characters, ``array`` items, ``number`` digits: those before the point, and
    as many after it but no more than ten.
    """

    string: int = 0
    array: int = 0
    number: int = 0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Return the bounds that the options of a model name."""
        return cls(*(options.get(f"longest_{name}", 0) for name in ("string", "array", "number")))

    def __bool__(self) -> bool:
        return bool(self.string or self.array or self.number)

    def apply(self, schema: JSONSchema) -> JSONSchema:
        """Return a schema that allows nothing that the given one does not, and no endless value.

        An object whose properties are listed gets no others.
        """
        bounded = self._schema(schema)
        anything = self._schema(
            {"type": ["string", "number", "boolean", "null", "array", "object"]}
        )
        bounded["$defs"] = {_ANYTHING: anything, **bounded.get("$defs", {})}
        return bounded

    def _schema(self, schema: Any) -> Any:
        if schema is True:
            return {"$ref": f"#/$defs/{_ANYTHING}"}
        if not isinstance(schema, dict):
            return schema
        given = cast("JSONSchema", schema)
        if not given:
            return self._schema(True)  # noqa: FBT003 - both allow anything
        bounded = {key: self._part(key, value) for key, value in given.items()}
        if not any(key in given for key in _SETTLED):
            bounded |= self._limits(given)
        return bounded

    def _part(self, key: str, value: Any) -> Any:
        if key in _NAMED and isinstance(value, dict):
            named = cast("dict[str, Any]", value)
            return {name: self._schema(part) for name, part in named.items()}
        if key in _LISTED and isinstance(value, list):
            return [self._schema(part) for part in cast("list[Any]", value)]
        return self._schema(value) if key in _SINGLE else value

    def _limits(self, schema: JSONSchema) -> dict[str, Any]:
        """Return what a schema of its own types is to have besides."""
        kinds = schema.get("type")
        kinds = [kinds] if isinstance(kinds, str) else kinds or []
        limits: dict[str, Any] = {}
        if "string" in kinds and self.string:
            limits |= _most(schema, "maxLength", "minLength", self.string)
        if "array" in kinds and self.array:
            limits |= _most(schema, "maxItems", "minItems", self.array)
            limits |= {} if "items" in schema else {"items": self._schema({})}
        if ("number" in kinds or "integer" in kinds) and self.number:
            limits |= self._range(schema)
        if "object" in kinds and not any(key in schema for key in _OBJECT_KEYS):
            closed = "properties" in schema
            limits["additionalProperties"] = False if closed else self._schema({})
        return limits

    def _range(self, schema: JSONSchema) -> dict[str, Any]:
        most = 10**self.number
        limits: dict[str, Any] = {}
        if "minimum" not in schema and "exclusiveMinimum" not in schema:
            limits["exclusiveMinimum"] = -most
        if "maximum" not in schema and "exclusiveMaximum" not in schema:
            limits["exclusiveMaximum"] = most
        if "multipleOf" not in schema and schema["type"] != "integer":
            limits["multipleOf"] = float(f"1e-{min(self.number, _DECIMALS)}")
        return limits


def _most(schema: JSONSchema, key: str, least: str, bound: int) -> dict[str, int]:
    return {} if key in schema else {key: max(bound, schema.get(least, 0))}
