"""Embeddings with the official client, which asks for base64 unless told otherwise."""

import math

import openai
import pytest

SMALL = "text-embedding-3-small"


def vectors(answer):
    return [each.embedding for each in answer.data]


def test_a_text_becomes_numbers(client):
    answer = client.embeddings.create(model=SMALL, input="The cat sat.")
    (vector,) = vectors(answer)
    assert len(vector) == 1536
    assert math.hypot(*vector) == pytest.approx(1, abs=1e-6)
    assert (answer.object, answer.data[0].object, answer.model) == ("list", "embedding", SMALL)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 4


def test_the_default_encoding_gives_the_numbers_of_the_plain_one(client):
    texts = ["the cat", "a dog", "the long red house"]
    default = client.embeddings.create(model=SMALL, input=texts)
    plain = client.embeddings.create(model=SMALL, input=texts, encoding_format="float")
    assert vectors(default) == vectors(plain)
    assert [each.index for each in default.data] == [0, 1, 2]


def test_base64_is_handed_over_as_it_came(client):
    answer = client.embeddings.create(model=SMALL, input="cat", encoding_format="base64")
    assert isinstance(answer.data[0].embedding, str)


def test_dimensions_are_honoured(client):
    answer = client.embeddings.create(
        model="text-embedding-3-large", input=["cat", "dog"], dimensions=16
    )
    assert [len(vector) for vector in vectors(answer)] == [16, 16]


def test_token_arrays_are_their_text(client):
    tokens = client.embeddings.create(model=SMALL, input=[[9906, 1917], [9906]])
    texts = client.embeddings.create(model=SMALL, input=["Hello world", "Hello"])
    assert vectors(tokens) == vectors(texts)
    assert tokens.usage.prompt_tokens == 3


async def test_async_answers_the_same(async_client, client):
    answer = await async_client.embeddings.create(model=SMALL, input="the cat")
    assert vectors(answer) == vectors(client.embeddings.create(model=SMALL, input="the cat"))


def test_too_many_tokens_are_a_bad_request(client):
    with pytest.raises(openai.BadRequestError, match="8192 tokens, however you requested 9000"):
        client.embeddings.create(model=SMALL, input=[9906] * 9000)


def test_ada_refuses_dimensions(client):
    with pytest.raises(openai.BadRequestError, match="does not support specifying dimensions"):
        client.embeddings.create(model="text-embedding-ada-002", input="cat", dimensions=5)
