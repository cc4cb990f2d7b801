"""No field of a request is ignored by accident: each is honoured, accepted or refused."""

from typing import Any

import pytest

from freehold.core.errors import BadRequestError
from freehold.data import document, endpoints
from freehold.wire import completions
from freehold.wire.chat import CompletionCreateParams
from freehold.wire.embeddings import EmbeddingCreateParams
from freehold.wire.moderations import ModerationCreateParams

OPERATION = "createChatCompletion"
BODIES = {
    OPERATION: CompletionCreateParams,
    "createCompletion": completions.CompletionCreateParams,
    "createEmbedding": EmbeddingCreateParams,
    "createModeration": ModerationCreateParams,
}
every_operation = pytest.mark.parametrize("operation", BODIES)


def lists(operation: str) -> list[str]:
    row = endpoints.endpoint(operation)
    assert row is not None
    return [*row.honoured, *row.accepted, *row.refused]


def properties(operation: str) -> dict[str, Any]:
    body = document.request_schema(operation)
    assert body is not None
    return document.resolve(body)["properties"]


def test_every_operation_with_lists_is_looked_at():
    assert set(BODIES) == set(endpoints.endpoints())


@every_operation
def test_no_field_is_in_two_lists(operation):
    assert len(lists(operation)) == len(set(lists(operation)))


@every_operation
def test_every_field_of_both_descriptions_is_in_a_list(operation):
    named = {name for name in lists(operation) if "." not in name}
    assert named == set(properties(operation))


@every_operation
def test_every_field_of_the_wire_type_is_in_a_list(operation):
    named = {name for name in lists(operation) if "." not in name}
    assert named == set(BODIES[operation].model_fields)


@every_operation
def test_fields_inside_others_exist(operation):
    for name in lists(operation):
        outer, _, inner = name.partition(".")
        if inner:
            assert inner in document.resolve(properties(operation)[outer])["properties"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("audio", {"voice": "alloy", "format": "wav"}),
        ("modalities", ["text", "audio"]),
        ("moderation", {"model": "omni-moderation-latest"}),
        ("verbosity", "low"),
        ("web_search_options", {}),
    ],
)
def test_refused_field_is_named_with_the_reason(field, value):
    with pytest.raises(BadRequestError) as caught:
        endpoints.refuse(OPERATION, {field: value})
    assert (caught.value.param, caught.value.code) == (field, "unsupported_parameter")
    assert caught.value.message.startswith(f"Unsupported parameter: '{field}'. ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("audio", None),
        ("modalities", ["text"]),
        ("verbosity", "medium"),
        ("user", "u"),
        ("prompt_cache_key", "k"),
        ("service_tier", "auto"),
    ],
)
def test_field_that_asks_for_what_happens_anyway_passes(field, value):
    assert endpoints.refuse(OPERATION, {field: value}) is None


def test_operation_without_lists_refuses_nothing():
    assert endpoints.endpoint("listModels") is None
    assert endpoints.refuse("listModels", {"audio": {}}) is None
