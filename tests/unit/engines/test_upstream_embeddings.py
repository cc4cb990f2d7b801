"""The upstream embedding engine against a small server on the loopback interface."""

import asyncio
import base64
import contextlib
import json

import numpy as np
import pytest

from freehold.core.errors import (
    BadRequestError,
    InternalServerError,
    RateLimitError,
    ServiceUnavailableError,
)
from freehold.engines.backends.upstream_embeddings import UpstreamEmbeddingEngine
from freehold.engines.base import EngineConfig, EngineLoadError


def vector(value):
    """Return a vector of length 2, so that the engine must make it one."""
    angle = float(len(value))
    return 2 * np.array([np.cos(angle), np.sin(angle), 0], np.float32)


def rows(body, *, as_base64=True):
    """Return the ``data`` of an answer, its last row first."""
    vectors = [vector(value) for value in body["input"]]
    encoded = [
        base64.b64encode(each.tobytes()).decode() if as_base64 else each.tolist()
        for each in vectors
    ]
    return [{"index": i, "embedding": each} for i, each in enumerate(encoded)][::-1]


def answered(body):
    return 200, {"data": rows(body), "usage": {"prompt_tokens": 10, "total_tokens": 10}}


@contextlib.asynccontextmanager
async def upstream(folder, answer=answered, **options):
    """Run a server that answers by the function and an engine that asks it."""
    asked = []

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := (await reader.readuntil(b"\r\n\r\n")).decode().lower():
                length = int(head.partition("content-length: ")[2].splitlines()[0])
                asked.append((head.split()[1], json.loads(await reader.readexactly(length))))
                status, body = answer(asked[-1][1])
                data = json.dumps(body).encode()
                lead = f"HTTP/1.1 {status} X\r\ncontent-length: {len(data)}\r\n\r\n"
                writer.write(lead.encode() + data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = {"base_url": f"http://127.0.0.1:{port}/v1", "retries": 0, **options}
    config = EngineConfig("their-model", folder, options=options)
    try:
        engine = await UpstreamEmbeddingEngine.load(config)
        try:
            yield engine, asked
        finally:
            await engine.close()
    finally:
        server.close()


async def test_vectors_come_in_order_and_of_unit_length(tmp_path):
    async with upstream(tmp_path) as (engine, asked):
        embedded = await engine.embed(["a", "bb", [1, 2, 3]])
    assert engine.dimensions == 3
    expected = np.stack([vector("a"), vector("bb"), vector([1, 2, 3])]) / 2
    assert embedded.vectors == pytest.approx(expected, abs=1e-6)
    path, body = asked[-1]
    assert path == "/v1/embeddings"
    assert body == {
        "model": "their-model",
        "input": ["a", "bb", [1, 2, 3]],
        "encoding_format": "base64",
    }


async def test_tokens_sum_up_to_what_the_upstream_told(tmp_path):
    async with upstream(tmp_path) as (engine, _):
        embedded = await engine.embed(["a", "a longer text", "x"])
    assert sum(embedded.tokens) == 10
    assert max(embedded.tokens) == embedded.tokens[1]


async def test_numbers_are_read_where_base64_is_not_known(tmp_path):
    def numbers(body):
        return 200, {"data": rows(body, as_base64=False)}

    async with upstream(tmp_path, numbers) as (engine, _):
        embedded = await engine.embed(["a"])
    assert embedded.vectors == pytest.approx(vector("a")[None] / 2, abs=1e-6)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": {"message": "too long", "param": "input"}}, BadRequestError),
        (401, {}, InternalServerError),
        (429, {"error": {"message": "slow down"}}, RateLimitError),
        (500, {}, ServiceUnavailableError),
        (200, {"data": []}, InternalServerError),
        (200, {"what": "is this"}, InternalServerError),
    ],
)
async def test_faults_of_the_upstream_are_told(tmp_path, status, body, error):
    def at_last(asked):
        return answered(asked) if asked["input"] == ["Hello"] else (status, body)

    async with upstream(tmp_path, at_last) as (engine, _):
        with pytest.raises(error):
            await engine.embed(["a"])


async def test_an_upstream_that_does_not_embed_is_a_clear_error(tmp_path):
    with pytest.raises(EngineLoadError, match="can't embed"):
        async with upstream(tmp_path, lambda _: (404, {})):
            pass


async def test_tokens_are_never_counted_too_high(tmp_path):
    async with upstream(tmp_path) as (engine, _):
        assert await engine.count_tokens(["x" * 1280, [1, 2, 3]]) == [10, 3]
