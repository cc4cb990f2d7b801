"""The catalogue names every model of the API's description, as OpenAI documents them."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from freehold.data import document
from freehold.data.models import ModelRow, catalogue

ALIASES = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "chatgpt-4o-latest": "chatgpt-4o-latest",
    "o1": "o1-2024-12-17",
    "o1-mini": "o1-mini-2024-09-12",
    "o1-preview": "o1-preview-2024-09-12",
    "gpt-4o-realtime-preview": "gpt-4o-realtime-preview-2024-12-17",
    "gpt-4o-mini-realtime-preview": "gpt-4o-mini-realtime-preview-2024-12-17",
    "gpt-4o-audio-preview": "gpt-4o-audio-preview-2024-12-17",
    "gpt-4-turbo": "gpt-4-turbo-2024-04-09",
    "gpt-4-turbo-preview": "gpt-4-0125-preview",
    "gpt-4": "gpt-4-0613",
    "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
    "omni-moderation-latest": "omni-moderation-2024-09-26",
    "text-moderation-latest": "text-moderation-007",
    "text-moderation-stable": "text-moderation-007",
}


def enums(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("enum", ())
        for value in schema.values():
            yield from enums(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from enums(value)


def models_by_operation() -> Iterator[tuple[str, str]]:
    for operation in document.operations():
        for content in document.request_content(operation.id).values():
            schema = document.resolve(content)
            for model in enums(schema.get("properties", {}).get("model", {})):
                yield operation.id, model


# The enum of fine-tuning names families; which snapshot is trained is the documentation's.
@pytest.mark.parametrize(("operation", "model"), sorted(set(models_by_operation())))
def test_each_model_an_operation_names_is_taken_by_it(operation, model):
    row = catalogue().find(model)
    assert row is not None
    assert operation in row.operations


@pytest.mark.parametrize(("alias", "snapshot"), ALIASES.items())
def test_aliases_point_to_the_documented_snapshot(alias, snapshot):
    row = catalogue().find(alias)
    assert row is not None
    assert row.id == snapshot


@pytest.mark.parametrize("listed", catalogue().listed(), ids=lambda listed: listed.id)
def test_every_listed_id_is_found(listed):
    row = catalogue().find(listed.id)
    assert row is not None
    assert row.id == listed.snapshot
    assert 1_640_000_000 < listed.created < 1_740_000_000


def test_no_id_is_listed_twice():
    ids = catalogue().ids()
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("row", catalogue().rows(), ids=lambda row: row.id)
def test_rows_are_consistent(row):
    assert all(document.operation(name) for name in row.operations)
    assert row.operations
    if row.kind in {"chat", "completion", "realtime"}:
        assert row.context_window
        assert row.max_output_tokens
        assert row.max_output_tokens <= row.context_window
    if row.deprecation:
        replacement = catalogue().find(row.deprecation.replacement)
        assert replacement is not None
        later = replacement.deprecation
        assert later is None or later.date > row.deprecation.date


def test_reasoning_models_refuse_what_openai_refuses():
    reasoning = [row for row in catalogue().rows() if row.reasoning]
    assert {row.id for row in reasoning} == {ALIASES[n] for n in ("o1", "o1-mini", "o1-preview")}
    for row in reasoning:
        assert row.fixed["temperature"] == 1
        assert "max_tokens" in row.unsupported
    assert "tools" not in catalogue().find("o1").unsupported
    assert "tools" in catalogue().find("o1-mini").unsupported


def test_own_model_has_its_sampling_defaults():
    row = catalogue().find("smollm2-135m-instruct")
    assert row.temperature == 0.0
    assert row.temperature_many == 0.7
    assert row.vocabulary is None


def test_unknown_ids_are_not_found():
    assert catalogue().find("gpt-9") is None


def test_unknown_fields_of_a_row_are_refused():
    with pytest.raises(ValidationError, match="contxt_window"):
        ModelRow.model_validate(
            {
                "id": "x",
                "kind": "chat",
                "created": 1,
                "owned_by": "y",
                "operations": [],
                "contxt_window": 1,
            }
        )
