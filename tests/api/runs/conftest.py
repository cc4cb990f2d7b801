import contextlib
from typing import Any

import pytest

from runs import House
from servers import in_process, scripted


@pytest.fixture
async def house(tmp_path):
    """Return a function that starts a server whose model answers by this script."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*script: dict[str, Any], **settings: Any) -> House:
            running = in_process(tmp_path / "state", models=scripted(*script), **settings)
            return House(await stack.enter_async_context(running))

        yield start
