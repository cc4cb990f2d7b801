"""Fixtures for all tests; the servers themselves are in ``servers.py``."""

import contextlib

import pytest
import pytest_asyncio

import tiny_bert
from servers import TINY_CONFIG, in_process, live


@pytest_asyncio.fixture
async def start(tmp_path):
    """Return a function that starts servers with given settings; they stop with the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def begin(**settings):
            return await stack.enter_async_context(in_process(tmp_path / "state", **settings))

        yield begin


@pytest_asyncio.fixture
async def api(start):
    """Return a server whose model echoes the last message."""
    return await start()


@pytest.fixture(scope="session")
def live_server(tmp_path_factory):
    """Return one live server on the tiny models, shared by all tests of the session."""
    embedder = tiny_bert.binding(tmp_path_factory.mktemp("embedder"))
    config = f'default_embedding_model = "text-embedding-3-small"\n{TINY_CONFIG}{embedder}'
    with live(tmp_path_factory.mktemp("live"), config) as server:
        yield server
