"""No field of a request is ignored by accident: each is honoured, accepted or refused."""

import pytest

from freehold.core.errors import BadRequestError
from freehold.data import document, endpoints
from freehold.wire.chat import CompletionCreateParams

OPERATION = "createChatCompletion"


def lists() -> list[str]:
    row = endpoints.endpoint(OPERATION)
    assert row is not None
    return [*row.honoured, *row.accepted, *row.refused]


def test_no_field_is_in_two_lists():
    assert len(lists()) == len(set(lists()))


def test_every_field_of_both_descriptions_is_in_a_list():
    fields = set(document.schema("CreateChatCompletionRequest")["properties"])
    assert {name for name in lists() if "." not in name} == fields


def test_every_field_of_the_wire_type_is_in_a_list():
    assert {name for name in lists() if "." not in name} == set(CompletionCreateParams.model_fields)


def test_fields_inside_others_exist():
    for name in lists():
        outer, _, inner = name.partition(".")
        if inner:
            field = document.schema("CreateChatCompletionRequest")["properties"][outer]
            assert inner in document.resolve(field)["properties"]


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
