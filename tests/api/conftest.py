import pytest_asyncio

from servers import in_process


@pytest_asyncio.fixture(scope="session")
async def shared(tmp_path_factory):
    """Return one server for tests that leave no trace in it."""
    async with in_process(tmp_path_factory.mktemp("shared") / "state") as server:
        yield server
