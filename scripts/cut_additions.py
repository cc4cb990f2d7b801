"""Cut openapi-additions.json out of a newer API description.

    python scripts/cut_additions.py openapi-2026-08-21.yaml.gz

Only what is listed here is taken: added operations with the schemas they need, single properties
that are laid over schemas of December 2024, and values that a body takes by now. Prose, examples
and vendor extensions stay behind. A schema that both descriptions name keeps its older form.
"""

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import yaml

OPERATIONS = [
    "listChatCompletions",
    "getChatCompletion",
    "updateChatCompletion",
    "deleteChatCompletion",
    "getChatCompletionMessages",
    "updateVectorStoreFileAttributes",
    "retrieveVectorStoreFileContent",
    "searchVectorStore",
]
OVERLAYS = {
    "CreateChatCompletionRequest": [
        "moderation",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "verbosity",
        "web_search_options",
    ],
    "ChatCompletionStreamOptions": ["include_obfuscation"],
    "CreateChatCompletionResponse": ["metadata"],
    "CreateFileRequest": ["expires_after"],
    "CreateUploadRequest": ["expires_after"],
    "OpenAIFile": ["expires_at"],
    "CreateVectorStoreFileRequest": ["attributes"],
    "CreateVectorStoreFileBatchRequest": ["attributes", "files"],
    "VectorStoreFileObject": ["attributes"],
    # The client of December 2024 already reads the details in a stream; its document lacks them.
    "CreateChatCompletionStreamResponse": [
        "usage.completion_tokens_details.accepted_prediction_tokens",
        "usage.completion_tokens_details.audio_tokens",
        "usage.completion_tokens_details.reasoning_tokens",
        "usage.completion_tokens_details.rejected_prediction_tokens",
        "usage.prompt_tokens_details.audio_tokens",
        "usage.prompt_tokens_details.cached_tokens",
    ],
}

# By operation: properties of the JSON body that are taken whole, and new values of others.
PROPERTIES = {"createBatch": ["output_expires_after"]}
VALUES = {"createBatch": {"endpoint": ["/v1/moderations"]}}

DATA = Path(__file__).parent.parent / "src" / "freehold" / "data"
REF = "#/components/schemas/"
PROSE = {"description", "summary", "example", "examples", "title", "format"}
NAMES = {"properties", "schemas", "paths", "responses", "content"}

Node = dict[str, Any]


def main(source: str) -> None:
    """Write the additions cut from the description at ``source``."""
    with gzip.open(source, "rt", encoding="utf-8") as file:
        newer: Node = yaml.load(file, yaml.CSafeLoader)
    older: Node = orjson.loads((DATA / "openapi.json").read_bytes())
    paths = dict(cut_operations(newer))
    overlays = {name: cut_overlay(newer, name, fields) for name, fields in OVERLAYS.items()}
    additions = {
        "paths": paths,
        "schemas": cut_schemas(newer, set(older["components"]["schemas"]), [paths, overlays]),
        "overlays": overlays,
        "operations": {name: cut_body(newer, name) for name in sorted({*PROPERTIES, *VALUES})},
    }
    text = orjson.dumps(additions, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    (DATA / "openapi-additions.json").write_bytes(text)


def cut_operations(newer: Node) -> Iterator[tuple[str, Node]]:
    """Yield the paths of the listed operations, each with these operations only."""
    for path, item in newer["paths"].items():
        chosen = {
            method: without_shared_answers(plain(operation))
            for method, operation in item.items()
            if isinstance(operation, dict) and operation.get("operationId") in OPERATIONS
        }
        if chosen:
            yield path, chosen


def without_shared_answers(operation: Node) -> Node:
    """Return an operation without answers kept elsewhere: errors, which all have one shape."""
    answers = operation["responses"].items()
    own = {status: answer for status, answer in answers if "$ref" not in answer}
    return operation | {"responses": own}


def cut_overlay(newer: Node, name: str, fields: list[str]) -> Node:
    """Return the listed properties of a schema, each a dotted path of property names."""
    overlay: Node = {}
    for field in fields:
        here, schema = overlay, newer["components"]["schemas"][name]
        for step in field.split("."):
            schema = properties(newer, schema)[step]
            here = here.setdefault("properties", {}).setdefault(step, {"type": "object"})
        here.clear()
        here.update(plain(resolved(newer, schema)))
    return overlay


def cut_body(newer: Node, operation: str) -> Node:
    """Return what is listed of an operation's body, laid out as it is."""
    body = next(
        method["requestBody"]["content"]["application/json"]["schema"]
        for item in newer["paths"].values()
        for method in item.values()
        if isinstance(method, dict) and method.get("operationId") == operation
    )
    known = properties(newer, body)
    values = VALUES.get(operation, {})
    if any(set(taken) - set(known[name]["enum"]) for name, taken in values.items()):
        raise SystemExit(f"The newer description of {operation} lacks some of {values}")
    whole = {name: plain(resolved(newer, known[name])) for name in PROPERTIES.get(operation, [])}
    schema = {"properties": {**{name: {"enum": v} for name, v in values.items()}, **whole}}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


def resolved(newer: Node, schema: Node) -> Node:
    """Return the schema that a reference leads to."""
    while "$ref" in schema:
        schema = newer["components"]["schemas"][schema["$ref"].removeprefix(REF)]
    return schema


def properties(newer: Node, schema: Node) -> Node:
    """Return the properties of a schema and of those that it is composed of."""
    schema = resolved(newer, schema)
    found: Node = dict(schema.get("properties", {}))
    for part in [*schema.get("allOf", []), *schema.get("anyOf", [])]:
        found |= properties(newer, part)
    return found


def cut_schemas(newer: Node, known: set[str], roots: list[Node]) -> Node:
    """Return the named schemas that the roots need and the older description lacks."""
    found: Node = {}
    pending = [name for root in roots for name in references(root)]
    while pending:
        name = pending.pop()
        if name not in known and name not in found:
            found[name] = plain(newer["components"]["schemas"][name])
            pending += references(found[name])
    return dict(sorted(found.items()))


def references(node: Any) -> Iterator[str]:
    """Yield the names of the schemas that a piece of the description refers to."""
    if isinstance(node, list):
        for value in node:
            yield from references(value)
    elif isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix(REF)
        for value in node.values():
            yield from references(value)


def plain(node: Any, *, names: bool = False) -> Any:
    """Return a piece without prose, ``type: null`` told as ``nullable`` (OpenAPI 3.0).

    ``names``: the keys are names chosen by the author (of properties, say), not keywords.
    """
    if isinstance(node, list):
        return [plain(value) for value in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: plain(value, names=not names and key in NAMES)
        for key, value in node.items()
        if names or (key not in PROSE and not key.startswith("x-"))
    }
    return kept if names else nullable(kept)


def nullable(schema: Node) -> Node:
    """Return ``anyOf: [X, null]`` as a nullable X."""
    choices: list[Any] = schema.get("anyOf", [])
    others = [choice for choice in choices if choice != {"type": "null"}]
    if len(others) == len(choices):
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if len(others) == 1 and "$ref" not in others[0]:
        return rest | others[0] | {"nullable": True}
    return rest | {"anyOf": others, "nullable": True}


if __name__ == "__main__":
    main(sys.argv[1])
