"""OpenAI's API description: which operations exist and what their bodies look like.

``openapi.json`` is the description of December 2024, unchanged. ``openapi-additions.json`` holds
what later code needs: ``paths`` (added operations), ``schemas`` (what those refer to), and merged
over what was there in 2024 ``overlays`` (of schemas) and ``operations`` (of operations, by id).
Schemas are returned with their ``$ref`` in place; ``resolve`` follows one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, cast

import orjson

Schema = dict[str, Any]
Origin = Literal["2024-12-18", "2026-08-21"]

_METHODS = ("get", "post", "put", "patch", "delete")
_REF = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Operation:
    """One documented operation; ``path`` is below ``/v1`` and has ``{name}`` for parameters."""

    id: str
    method: str
    path: str
    origin: Origin

    @property
    def built_surface(self) -> bool:
        """Whether it belongs to the 106 operations of December 2024."""
        return self.origin == "2024-12-18"

    def matches(self, path: str) -> bool:
        """Return whether a concrete path below ``/v1`` is one of this operation's."""
        return _pattern(self.path).fullmatch(path) is not None


@dataclass(frozen=True, slots=True)
class _Document:
    operations: tuple[Operation, ...]
    by_id: Mapping[str, Operation]
    details: Mapping[str, Mapping[str, Any]]
    schemas: Mapping[str, Schema]


def operations() -> tuple[Operation, ...]:
    """Return every operation; of two that match one path, the more literal comes first."""
    return _document().operations


def operation(operation_id: str) -> Operation:
    """Return the operation of this id. Raises ``KeyError``."""
    return _document().by_id[operation_id]


def find(method: str, path: str) -> Operation | None:
    """Return the operation behind a method and a concrete path below ``/v1``."""
    method = method.upper()
    return next((o for o in operations() if o.method == method and o.matches(path)), None)


def schemas() -> Mapping[str, Schema]:
    """Return all named schemas, overlays merged in."""
    return _document().schemas


def schema(name: str) -> Schema:
    """Return the schema of this name, overlays merged in. Raises ``KeyError``."""
    return _document().schemas[name]


def resolve(node: Schema) -> Schema:
    """Return the schema itself, following ``$ref`` for as long as it is one."""
    while "$ref" in node:
        node = schema(node["$ref"].removeprefix(_REF))
    return node


def request_content(operation_id: str) -> Mapping[str, Schema]:
    """Return the schema of the request's body by content type; empty where it has none."""
    body = _document().details[operation_id].get("requestBody", {})
    return {kind: media["schema"] for kind, media in body.get("content", {}).items()}


def request_schema(operation_id: str, content_type: str = "application/json") -> Schema | None:
    """Return the schema of the request's body, None where the operation takes no such body."""
    return request_content(operation_id).get(content_type)


def response_schema(
    operation_id: str, status: int, content_type: str = "application/json"
) -> Schema | None:
    """Return the schema of an answer, None where the document describes no such answer."""
    answer = _document().details[operation_id]["responses"].get(str(status), {})
    media = answer.get("content", {}).get(content_type)
    return None if media is None else media.get("schema")


def parameters(operation_id: str) -> tuple[Schema, ...]:
    """Return the documented path, query and header parameters."""
    return tuple(_document().details[operation_id].get("parameters", ()))


@cache
def _pattern(path: str) -> re.Pattern[str]:
    """Turn ``/models/{model}`` into a pattern; only a model's name may hold a slash."""
    return re.compile(re.sub(r"\{(\w+)\}", lambda it: ".+" if it[1] == "model" else "[^/]+", path))


@cache
def _document() -> _Document:
    base, additions = _read("openapi.json"), _read("openapi-additions.json")
    origins: tuple[tuple[Origin, dict[str, Any]], ...] = (
        ("2024-12-18", base["paths"]),
        ("2026-08-21", additions["paths"]),
    )
    found = [item for origin, paths in origins for item in _operations(origin, paths)]
    found.sort(key=lambda item: item[0].path.replace("{", "\x7f"))
    changes = additions["operations"]
    return _Document(
        operations=tuple(operation for operation, _ in found),
        by_id={operation.id: operation for operation, _ in found},
        details={op.id: _merge(detail, changes.get(op.id, {})) for op, detail in found},
        schemas=_schemas(base, additions),
    )


def _read(name: str) -> dict[str, Any]:
    return orjson.loads(resources.files("freehold.data").joinpath(name).read_bytes())


def _operations(
    origin: Origin, paths: dict[str, Any]
) -> Iterator[tuple[Operation, Mapping[str, Any]]]:
    for path, item in paths.items():
        for method in _METHODS:
            if method in item:
                detail = item[method]
                yield Operation(detail["operationId"], method.upper(), path, origin), detail


def _schemas(base: dict[str, Any], additions: dict[str, Any]) -> dict[str, Schema]:
    named: dict[str, Schema] = {**additions["schemas"], **base["components"]["schemas"]}
    for name, overlay in additions["overlays"].items():
        named[name] = _merge(named[name], overlay)
    return named


def _merge(old: Any, new: Any) -> Any:
    """Return ``old`` with ``new`` laid over it: objects merge, lists (enums) are united."""
    if isinstance(old, dict) and isinstance(new, dict):
        mine = cast("dict[str, Any]", old)
        theirs = cast("dict[str, Any]", new)
        return mine | {
            key: _merge(mine[key], value) if key in mine else value for key, value in theirs.items()
        }
    if isinstance(old, list) and isinstance(new, list):
        listed = cast("list[Any]", old)
        return listed + [value for value in cast("list[Any]", new) if value not in listed]
    return new
