"""GGUF embedding models on llama.cpp: the vectors of the reference, pooled windows, restarts."""

import asyncio
import contextlib
import os
import signal

import numpy as np
import pytest

from freehold.core.errors import BadRequestError, ServiceUnavailableError
from freehold.engines.backends.llama_embeddings import LlamaEmbeddingEngine
from freehold.engines.backends.windows import split
from freehold.engines.base import EngineConfig, EngineLoadError
from servers import TINY
from tiny_bert import CONFIG, Reference, write_gguf, write_tiny

SHORT = ["The cat sat.", "a", "dogs ate the long, red mat and its stones.", "unknown words"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def tiny(source, tmp_path_factory):
    return write_gguf(source, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@contextlib.asynccontextmanager
async def loaded(weights, folder, **fields):
    config = EngineConfig("m", folder, weights=weights, threads=1, **fields)
    engine = await LlamaEmbeddingEngine.load(config)
    try:
        yield engine
    finally:
        await engine.close()


@pytest.fixture
async def engine(tiny, tmp_path):
    async with loaded(tiny, tmp_path) as engine:
        yield engine


def cosines(embedded, vectors):
    assert np.linalg.norm(embedded.vectors, axis=1) == pytest.approx(1, abs=1e-6)
    return (embedded.vectors * np.array(vectors)).sum(axis=1)


async def test_vectors_are_those_of_the_reference(engine, source):
    reference = Reference(source)
    embedded = await engine.embed(SHORT)
    assert engine.dimensions == CONFIG["hidden_size"]
    assert min(cosines(embedded, [reference.embed(text) for text in SHORT])) > 0.9999
    counts = [len(reference.tokenizer.encode(t, add_special_tokens=False).ids) for t in SHORT]
    assert list(embedded.tokens) == counts
    assert await engine.count_tokens(SHORT) == counts


async def test_native_tokens_are_the_same_as_their_text(engine, source):
    tokens = Reference(source).tokenizer.encode("the cat sat", add_special_tokens=False).ids
    embedded = await engine.embed([tokens, "the cat sat"])
    assert embedded.vectors[0] == pytest.approx(embedded.vectors[1], abs=1e-6)
    with pytest.raises(BadRequestError, match="no token ID 99999"):
        await engine.embed([[99999]])


async def test_long_inputs_are_pooled_windows(engine, source):
    reference = Reference(source)
    text = "the long river and a red house , " * 9
    tokens = reference.tokenizer.encode(text, add_special_tokens=False).ids
    begin, end = reference.tokenizer.encode("").ids
    room = engine.status().window - 2
    means = [reference.hidden([begin, *piece, end]).mean(axis=0) for piece in split(tokens, room)]
    vector = sum(mean / np.linalg.norm(mean) for mean in means)
    vector /= np.linalg.norm(vector)
    assert len(means) > 2
    assert min(cosines(await engine.embed([text]), [vector])) > 0.9999


async def test_a_dead_child_is_replaced(engine):
    os.kill(engine._kept.running.process.pid, signal.SIGKILL)
    with pytest.raises(ServiceUnavailableError):
        await engine.embed(SHORT)
    async with asyncio.timeout(30):
        while engine.status().restarts == 0:
            await asyncio.sleep(0.02)
    assert (await engine.embed(["cat"])).tokens == (1,)


async def test_weights_that_are_none_are_a_clear_error(tmp_path):
    with pytest.raises(EngineLoadError, match="name a GGUF file"):
        await LlamaEmbeddingEngine.load(EngineConfig("m", tmp_path))
    (tmp_path / "x.gguf").write_text("GGUF?")
    with pytest.raises(EngineLoadError, match="can't be read"):
        await LlamaEmbeddingEngine.load(EngineConfig("m", tmp_path, weights=tmp_path / "x.gguf"))


async def test_a_model_that_pools_nothing_is_a_clear_error(tmp_path):
    config = EngineConfig("m", tmp_path, weights=TINY, threads=1)
    with pytest.raises(EngineLoadError, match="can't embed with these weights"):
        await LlamaEmbeddingEngine.load(config)
