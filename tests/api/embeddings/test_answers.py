"""What embeddings answer: the same numbers in both forms, in order, of unit length."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.embeddings.conftest import decoded
from api.embeddings.hashing import DIMENSIONS, vector_of

# One server for all examples: it keeps nothing of a request.
several = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TEXTS = st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=12)
SIZES = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}


def length(vector):
    return math.sqrt(sum(number * number for number in vector))


@several
@given(texts=TEXTS, dimensions=st.one_of(st.none(), st.integers(1, 1536)))
async def test_base64_holds_the_same_floats(embeddings, texts, dimensions):
    more = {} if dimensions is None else {"dimensions": dimensions}
    plain = await embeddings.vectors(texts, **more)
    packed = await embeddings.vectors(texts, encoding_format="base64", **more)
    assert [decoded(text) for text in packed] == plain


@several
@given(texts=TEXTS)
async def test_order_is_kept(embeddings, texts):
    vectors = await embeddings.vectors(texts)
    for text, vector in zip(texts, vectors, strict=True):
        assert vector[:DIMENSIONS] == vector_of(text).astype(float).tolist()


@several
@given(text=st.text(min_size=1), dimensions=st.integers(1, 3072))
async def test_fewer_dimensions_are_the_first_ones_renormalised(embeddings, text, dimensions):
    model = "text-embedding-3-large"
    (whole,) = await embeddings.vectors(text, model=model)
    (cut,) = await embeddings.vectors(text, model=model, dimensions=dimensions)
    assert len(cut) == dimensions
    assert length(cut) == pytest.approx(1, abs=1e-6)
    scale = length(whole[:dimensions])
    assert cut == pytest.approx([number / scale for number in whole[:dimensions]], abs=1e-6)


@pytest.mark.parametrize("model", [*SIZES, "text-embedding-ada-002"])
async def test_openai_ids_answer_in_their_sizes_padded_with_zeros(embeddings, model):
    (vector,) = await embeddings.vectors("Hello world", model=model)
    assert len(vector) == SIZES.get(model, 1536)
    assert set(vector[DIMENSIONS:]) == {0.0}
    assert length(vector) == pytest.approx(1, abs=1e-6)


async def test_an_own_id_answers_in_the_size_of_its_model(embeddings):
    (vector,) = await embeddings.vectors("Hello world", model="hashing")
    assert len(vector) == DIMENSIONS


@pytest.mark.parametrize("model", [*SIZES, "text-embedding-ada-002", "hashing"])
async def test_the_answer_names_its_model_and_counts_exactly(embeddings, model):
    answer = await embeddings.answer(["one two three", "four five"], model=model)
    assert answer["object"] == "list"
    assert answer["model"] == model
    assert answer["usage"] == {"prompt_tokens": 5, "total_tokens": 5}


async def test_a_string_and_a_list_of_it_are_the_same(embeddings):
    assert await embeddings.vectors("Hello") == await embeddings.vectors(["Hello"])


async def test_token_arrays_of_openai_ids_are_text(embeddings):
    hello_world = [9906, 1917]  # cl100k_base
    answer = await embeddings.answer(hello_world)
    assert answer["usage"]["prompt_tokens"] == 2
    assert await embeddings.vectors(hello_world) == await embeddings.vectors("Hello world")
    both = await embeddings.vectors([hello_world, [9906]])
    assert both == await embeddings.vectors(["Hello world", "Hello"])


async def test_a_token_array_cut_inside_a_character_is_embedded(embeddings):
    half = [9468]  # the first three bytes of a picture character
    answer = await embeddings.answer(half)
    assert answer["usage"]["prompt_tokens"] == 1


async def test_token_arrays_of_own_ids_are_the_models(embeddings):
    (vector,) = await embeddings.vectors([1, 2, 3], model="hashing")
    assert vector == vector_of([1, 2, 3]).astype(float).tolist()
    error = await embeddings.refused([1, 2_000_000], model="hashing")
    assert "2000000" in error["message"]


async def test_2048_inputs_are_answered(embeddings):
    texts = [f"text {number}" for number in range(2048)]
    vectors = await embeddings.vectors(texts, encoding_format="base64", dimensions=8)
    assert len(vectors) == 2048
    assert len({*vectors}) == 2048


async def test_usage_is_recorded_and_limits_are_shown(embeddings):
    body = {"model": "text-embedding-3-small", "input": "one two three"}
    answer = await embeddings.server.client.post("/v1/embeddings", json=body)
    limit = int(answer.headers["x-ratelimit-limit-tokens"])
    assert 0 < int(answer.headers["x-ratelimit-remaining-tokens"]) < limit
    assert int(answer.headers["x-ratelimit-remaining-requests"]) > 0


@pytest.mark.parametrize("given", [None, "user"])
async def test_optional_fields_may_be_null_and_user_is_taken(embeddings, given):
    nothing = {"dimensions": None, "encoding_format": None}
    vectors = await embeddings.vectors("Hello", user=given, **nothing)
    assert vectors == await embeddings.vectors("Hello")
