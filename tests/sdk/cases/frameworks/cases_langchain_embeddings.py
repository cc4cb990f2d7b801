"""LangChain's embeddings on top of the official client; it sends token arrays by default."""

import math

import pytest
from langchain_openai import OpenAIEmbeddings


def embeddings(**more):
    return OpenAIEmbeddings(model="text-embedding-3-small", max_retries=0, **more)


def test_token_arrays_are_embedded():
    (vector,) = embeddings().embed_documents(["The cat sat."])
    assert len(vector) == 1536
    assert math.hypot(*vector) == pytest.approx(1, abs=1e-6)


def test_token_arrays_and_texts_give_the_same():
    texts = ["The cat sat.", "A dog ate its red mat.", "stones and rivers"]
    arrays = embeddings().embed_documents(texts)
    plain = embeddings(check_embedding_ctx_length=False).embed_documents(texts)
    for one, other in zip(arrays, plain, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_texts_of_more_than_8191_tokens_are_cut_by_the_client():
    vector = embeddings().embed_query("The cat sat on a mat. " * 2000)
    assert math.hypot(*vector) == pytest.approx(1, abs=1e-6)


def test_many_texts_in_chunks():
    vectors = embeddings(chunk_size=7, dimensions=32).embed_documents(["cat", "dog"] * 20)
    assert [len(vector) for vector in vectors] == [32] * 40


async def test_async_query():
    vector = await embeddings(dimensions=8).aembed_query("the river")
    assert len(vector) == 8
