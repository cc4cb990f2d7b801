"""Where the API description contradicts itself, and what is taken: data for ``checking.py``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from freehold.data import document

_NULL = {"nullable": True}


@dataclass(frozen=True, slots=True)
class Amendment:
    """A place where the description is wrong: ``keywords`` replace those at ``path``."""

    schema: str
    path: tuple[str, ...]
    keywords: Mapping[str, Any]
    reason: str


def _embeddings() -> tuple[Amendment, ...]:
    """The words of the description go further than its schema."""
    branches = document.schema("CreateEmbeddingRequest")["properties"]["input"]["oneOf"]
    texts, tokens, arrays = branches[1], branches[2], branches[3]
    longest = {"maxItems": 8192}
    amended = [branches[0], texts, tokens | longest, arrays | {"items": arrays["items"] | longest}]
    return (
        Amendment(
            "CreateEmbeddingRequest",
            ("properties", "input"),
            {"oneOf": amended},
            "2048 items bound the inputs; an input may have 8192 tokens",
        ),
        Amendment(
            "Embedding",
            ("properties", "embedding"),
            {"type": ["array", "string"]},
            "a string where encoding_format is base64",
        ),
    )


def _lists() -> tuple[Amendment, ...]:
    """An empty list has no first and no last."""
    return tuple(
        Amendment(name, ("properties", field), _NULL, "an empty list has none")
        for name, schema in document.schemas().items()
        for field in ("first_id", "last_id")
        if not schema.get("properties", {}).get(field, _NULL).get("nullable")
    )


def _batches() -> tuple[Amendment, ...]:
    """What has not happened yet may be null: the examples have it so."""
    batch = document.schema("Batch")
    return tuple(
        Amendment("Batch", ("properties", field), _NULL, "null in the examples")
        for field, schema in batch["properties"].items()
        if field not in batch["required"] and not schema.get("nullable")
    )


def _stored_messages() -> Amendment:
    """The messages of a request are not only the assistant's; the example shows a user's name."""
    answered = document.schema("ChatCompletionResponseMessage")
    sent = {name: {"type": "string"} for name in ("role", "name", "tool_call_id")}
    message = {**answered, "properties": {**answered["properties"], **sent}}
    _, more = document.schema("ChatCompletionMessageList")["properties"]["data"]["items"]["allOf"]
    return Amendment(
        "ChatCompletionMessageList",
        ("properties", "data", "items"),
        {"allOf": [message, more]},
        "a user's message in the example",
    )


def _completions() -> tuple[Amendment, ...]:
    """One schema stands for whole answers and for chunks, which have no reason and usage yet."""
    answer, choice = "CreateCompletionResponse", ("properties", "choices", "items", "properties")
    figures = (*choice, "logprobs", "properties")
    echoed = "the first token of an echoed prompt has no log-probability"
    request = document.schema("CreateCompletionRequest")["properties"]["logit_bias"]
    return (
        Amendment("CreateCompletionRequest", (), {"required": ["model"]}, "prompt has a default"),
        Amendment(
            "CreateCompletionRequest",
            ("properties", "logit_bias"),
            {**request, "additionalProperties": {"type": "number"}},
            "as in chat, a bias between two integers is taken too",
        ),
        Amendment(answer, (*choice, "finish_reason"), _NULL, "null in all chunks but the last"),
        Amendment(answer, ("properties", "usage"), _NULL, "null in chunks, as include_usage says"),
        Amendment(answer, (*figures, "token_logprobs", "items"), _NULL, echoed),
        Amendment(answer, (*figures, "top_logprobs", "items"), _NULL, echoed),
    )


def _moderations() -> tuple[Amendment, ...]:
    """The text models of the example know eleven categories, and no types of input."""
    result = ("properties", "results", "items")
    items = document.schema("CreateModerationResponse")["properties"]["results"]["items"]
    names = items["properties"]["categories"]["required"]
    older = {"required": [name for name in names if not name.startswith("illicit")]}
    reason = "absent in the example of text-moderation-007"
    answer = "CreateModerationResponse"
    return (
        Amendment(answer, (*result, "properties", "categories"), older, reason),
        Amendment(answer, (*result, "properties", "category_scores"), older, reason),
        Amendment(answer, result, {"required": [*items["required"][:3]]}, reason),
    )


AMENDMENTS = (
    *_lists(),
    *_embeddings(),
    *_batches(),
    *_completions(),
    *_moderations(),
    _stored_messages(),
    Amendment(
        "ResponseFormatJsonSchema",
        ("properties", "json_schema"),
        {"required": ["name"]},
        "it requires `type`, which it does not define",
    ),
    Amendment(
        "CreateChatCompletionRequest",
        ("properties", "logit_bias"),
        {"additionalProperties": {"type": "number"}},
        "integers by the schema, but a bias between two of them is taken too",
    ),
    Amendment(
        "CreateVectorStoreFileBatchRequest",
        (),
        {"required": []},
        "the newer description takes `files` instead of `file_ids`",
    ),
    Amendment("RunObject", ("properties", "instructions"), _NULL, "null in all examples"),
    Amendment("UsageResponse", ("properties", "next_page"), _NULL, "null on the last page"),
    Amendment("CostsResult", (), {"required": ["object"]}, "`sessions` is required, not defined"),
)
