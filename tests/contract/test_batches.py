"""Batches end alike on SQLite with a folder and on PostgreSQL with S3."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from batches import content, create, ended, request, retrieve, until
from freehold.storage import migrations
from objectstore import bucket, object_store
from servers import InProcess, in_process, scripted

__all__ = ["bucket", "object_store"]

MODELS = scripted({"when": "slow", "hang": True}, {"when": "quick", "text": "done"})


@pytest.fixture(
    params=["sqlite-disk", pytest.param("postgres-s3", marks=pytest.mark.external)],
)
def stores(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Give the settings of a server that keeps its state there."""
    if request.param == "sqlite-disk":
        return {}
    url = request.getfixturevalue("postgres_url")
    migrations.upgrade(url)
    return {"database_url": url, "blobs_url": request.getfixturevalue("bucket").address}


@pytest.fixture
async def server(stores: dict[str, Any], tmp_path: Path) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path / "state", models=MODELS, **stores) as running:
        yield running


async def answered(server: InProcess, batch: dict[str, Any]) -> list[str]:
    return sorted(line["custom_id"] for line in await content(server, batch["output_file_id"]))


async def begun(server: InProcess, *ids: str, answers: int) -> str:
    """Create a batch and return its id once so many of its lines are answered."""
    batch = await create(server, *map(request, ids))
    async with asyncio.timeout(30):
        while (await retrieve(server, batch["id"]))["request_counts"]["completed"] < answers:
            await asyncio.sleep(0.02)
    return batch["id"]


async def test_batch_is_completed(server: InProcess) -> None:
    ids = [f"quick{number}" for number in range(12)]
    batch = await ended(server, *map(request, ids))

    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": 12, "completed": 12, "failed": 0}
    assert await answered(server, batch) == sorted(ids)


async def test_wrong_input_fails_the_batch(server: InProcess) -> None:
    batch = await ended(server, request("quick"), request("quick"))

    assert batch["status"] == "failed"
    assert [fault["code"] for fault in batch["errors"]["data"]] == ["duplicate_custom_id"]


async def test_cancelled_batch_keeps_what_was_answered(server: InProcess) -> None:
    batch_id = await begun(server, "quick", "slow1", "slow2", answers=1)

    await server.client.post(f"/v1/batches/{batch_id}/cancel")
    batch = await until(server, batch_id, "cancelled")

    assert await answered(server, batch) == ["quick"]


async def test_all_who_cancel_at_once_are_told_so(server: InProcess) -> None:
    for _ in range(5):
        path = f"/v1/batches/{await begun(server, 'slow', answers=0)}/cancel"

        answers = await asyncio.gather(*(server.client.post(path) for _ in range(8)))

        told = {
            answer.json().get("status") or answer.json()["error"]["message"] for answer in answers
        }
        late = "Cannot cancel a batch with status 'cancelled'."
        assert "cancelling" in told
        assert told <= {"cancelling", late}


async def test_stopped_server_leaves_the_rest_to_the_next(
    server: InProcess, stores: dict[str, Any], tmp_path: Path
) -> None:
    batch_id = await begun(server, "quick1", "slow", "quick2", answers=2)
    await server.server.stop()

    async with in_process(tmp_path / "state", **stores) as again:
        again.client.client.headers["Authorization"] = f"Bearer {server.key}"
        batch = await until(again, batch_id, "completed")
        assert await answered(again, batch) == ["quick1", "quick2", "slow"]
