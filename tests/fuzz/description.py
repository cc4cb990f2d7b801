"""All operations that are built, as one OpenAPI document for a fuzzer that reads nothing else."""

from typing import Any

from freehold import resources
from freehold.api.operation import discover
from freehold.data import document

OPERATIONS = tuple(discover(resources))


def described() -> dict[str, Any]:
    """Return the operations and all named schemas; objects hold only what they define."""
    return {
        "openapi": "3.0.0",
        "info": {"title": "Operations", "version": "1"},
        "servers": [{"url": "/v1"}],
        "paths": _paths(),
        "components": {"schemas": {n: _closed(s) for n, s in document.schemas().items()}},
    }


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for name in OPERATIONS:
        operation = document.operation(name)
        content = {
            kind: {"schema": _closed(schema)}
            for kind, schema in document.request_content(name).items()
        }
        detail: dict[str, Any] = {
            "operationId": name,
            "parameters": list(document.parameters(name)),
            "responses": {"200": {"description": "An answer"}},
        }
        if content:
            detail["requestBody"] = {"required": True, "content": content}
        paths.setdefault(operation.path, {})[operation.method.lower()] = detail
    return paths


def _closed(node: Any, *, inherits: bool = False) -> Any:
    """Refuse undefined properties, so that most bodies are taken and reach the engine."""
    if isinstance(node, list):
        return [_closed(child, inherits=inherits) for child in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(child, inherits=key == "allOf") for key, child in node.items()}
    if isinstance(node.get("properties"), dict) and not inherits and "allOf" not in node:
        closed.setdefault("additionalProperties", False)
    return closed
