"""What embeddings refuse, in OpenAI's words."""

import pytest

from freehold.data import document, endpoints
from freehold.wire.embeddings import EmbeddingCreateParams

SMALL = "text-embedding-3-small"


@pytest.mark.parametrize("given", ["", [], [""], ["a", ""], [[]], [[9906], []]])
async def test_empty_input_is_refused(embeddings, given):
    error = await embeddings.refused(given)
    assert error["message"].startswith("'$.input' is invalid. Please check the API reference")
    assert (error["type"], error["param"]) == ("invalid_request_error", "input")


@pytest.mark.parametrize(
    ("given", "param"),
    [
        (7, "input"),
        ({}, "input"),
        (None, "input"),
        (["a", 7], "input[1]"),
        ([1, "a"], "input[1]"),
        ([1, 2.5], "input[1]"),
        ([1, True], "input[1]"),
        ([[1], ["a"]], "input[1][0]"),
        ([[1], 2], "input[1]"),
        ([None], "input[0]"),
    ],
)
async def test_input_of_another_kind_is_named(embeddings, given, param):
    error = await embeddings.refused(given)
    assert error["param"] == param
    assert error["code"] == "invalid_type"


async def test_an_input_of_8192_tokens_passes_and_one_more_is_refused(embeddings):
    for passing in ([9906] * 8192, "word " * 8192):
        answer = await embeddings.answer(passing)
        assert answer["usage"]["prompt_tokens"] == 8192
    for refused in ([9906] * 8193, ["short", "word " * 8193], [[9906], [9906] * 8193]):
        error = await embeddings.refused(refused)
        assert error["message"] == (
            "This model's maximum context length is 8192 tokens, however you requested 8193 tokens "
            "(8193 in your prompt; 0 for the completion). Please reduce your prompt; or completion "
            "length."
        )
        assert error["code"] == "context_length_exceeded"


async def test_a_text_that_no_tokenizer_could_shorten_enough_is_not_counted(embeddings):
    registry = embeddings.server.server.registry
    engine = await registry.find(SMALL).embedding.ensure_loaded()
    engine.counted.clear()
    error = await embeddings.refused("x" * (8192 * 128 + 1))
    assert error["code"] == "context_length_exceeded"
    assert engine.counted == []


async def test_2049_inputs_are_refused(embeddings):
    error = await embeddings.refused(["a"] * 2049)
    assert (error["param"], error["code"]) == ("input", "array_above_max_length")
    assert "2048" in error["message"]


@pytest.mark.parametrize("given", [[[9906] * 8000] * 38, ["word " * 8000] * 38])
async def test_more_than_300_000_tokens_in_all_are_refused(embeddings, given):
    error = await embeddings.refused(given)
    assert error["message"] == "Requested 304000 tokens, max 300000 tokens per request"
    assert error["type"] == error["code"] == "max_tokens_per_request"


async def test_ada_has_no_dimensions(embeddings):
    error = await embeddings.refused("Hello", model="text-embedding-ada-002", dimensions=256)
    assert error["message"] == "This model does not support specifying dimensions."


@pytest.mark.parametrize(("model", "most"), [(SMALL, 1536), ("hashing", 24)])
async def test_more_dimensions_than_the_model_has_are_refused(embeddings, model, most):
    error = await embeddings.refused("Hello", model=model, dimensions=most + 1)
    assert error["message"] == (
        f"Invalid value for 'dimensions' = {most + 1}. Must be less than or equal to {most}."
    )


async def test_no_dimensions_at_all_are_refused(embeddings):
    error = await embeddings.refused("Hello", dimensions=0)
    assert (error["param"], error["code"]) == ("dimensions", "integer_below_min_value")


async def test_another_encoding_is_refused(embeddings):
    error = await embeddings.refused("Hello", encoding_format="hex")
    assert error["param"] == "encoding_format"


@pytest.mark.parametrize("token", [-1, 100_256, 200_000])
async def test_an_id_outside_the_vocabulary_is_refused(embeddings, token):
    error = await embeddings.refused([[9906], [9906, token]])
    assert f"input[1] holds {token}" in error["message"]


async def test_a_model_that_does_not_embed_is_refused(embeddings):
    error = await embeddings.refused("Hello", model="gpt-4o")
    assert error["code"] == "unsupported_model"
    assert "v1/chat/completions" in error["message"]


async def test_an_unknown_model_is_not_found(embeddings):
    error = await embeddings.refused("Hello", model="no-such-model", status=404)
    assert error["code"] == "model_not_found"


async def test_an_embedding_model_does_not_chat(embeddings):
    body = {"model": SMALL, "messages": [{"role": "user", "content": "Hello"}]}
    answer = await embeddings.server.client.post(
        "/v1/chat/completions", json=body, sends_invalid=True
    )
    assert answer.status_code == 404
    assert "v1/embeddings" in answer.json()["error"]["message"]


def test_every_field_of_the_request_is_in_a_list():
    row = endpoints.endpoint("createEmbedding")
    assert row is not None
    described = set(document.schema("CreateEmbeddingRequest")["properties"])
    assert {*row.honoured, *row.accepted, *row.refused} == described
    assert described == set(EmbeddingCreateParams.model_fields)
