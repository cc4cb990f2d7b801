import contextlib
from typing import Any

import pytest

from runs import House
from servers import in_process, scripted

HASHING = {"backend": "api.embeddings.hashing:HashEngine", "kind": "embedding"}


@pytest.fixture
async def house(tmp_path):
    """Return a function that starts a server whose model answers by this script."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*script: dict[str, Any], **settings: Any) -> House:
            models = {**scripted(*script), "hashing": HASHING}
            settings = {"models": models, "default_embedding_model": "hashing", **settings}
            running = in_process(tmp_path / "state", **settings)
            return House(await stack.enter_async_context(running))

        yield start
