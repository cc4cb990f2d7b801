"""Batches end alike on each database."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.storage import migrations
from servers import InProcess, in_process, scripted

MODELS = scripted({"when": "slow", "hang": True}, {"when": "quick", "text": "done"})


@pytest.fixture
async def server(durable_url: str, tmp_path: Path) -> AsyncIterator[InProcess]:
    migrations.upgrade(durable_url)
    state = tmp_path / "state"
    async with in_process(state, database_url=durable_url, models=MODELS) as running:
        yield running


async def create(server: InProcess, *ids: str) -> str:
    body = {"model": "gpt-4o"}
    url = "/v1/chat/completions"
    lines = [
        {
            "custom_id": each,
            "method": "POST",
            "url": url,
            "body": {**body, "messages": [{"role": "user", "content": each}]},
        }
        for each in ids
    ]
    data = "\n".join(json.dumps(line) for line in lines).encode()
    sent = {"files": {"file": ("in.jsonl", data)}, "data": {"purpose": "batch"}}
    file_id = (await server.client.post("/v1/files", **sent)).json()["id"]
    about = {"input_file_id": file_id, "endpoint": url, "completion_window": "24h"}
    return (await server.client.post("/v1/batches", json=about)).json()["id"]


async def until(server: InProcess, batch_id: str, status: str, completed: int = 0) -> dict:
    async with asyncio.timeout(30):
        while True:
            batch = (await server.client.get(f"/v1/batches/{batch_id}")).json()
            if batch["status"] == status and batch["request_counts"]["completed"] >= completed:
                return batch
            await asyncio.sleep(0.02)


async def answered(server: InProcess, batch: dict) -> list[str]:
    path = f"/v1/files/{batch['output_file_id']}/content"
    text = (await server.client.client.get(path)).text
    return sorted(json.loads(line)["custom_id"] for line in text.splitlines())


async def test_batch_is_completed(server: InProcess) -> None:
    ids = [f"quick{number}" for number in range(12)]
    batch = await until(server, await create(server, *ids), "completed")

    assert batch["request_counts"] == {"total": 12, "completed": 12, "failed": 0}
    assert await answered(server, batch) == sorted(ids)


async def test_cancelled_batch_keeps_what_was_answered(server: InProcess) -> None:
    batch_id = await create(server, "quick", "slow1", "slow2")
    await until(server, batch_id, "in_progress", completed=1)

    await server.client.post(f"/v1/batches/{batch_id}/cancel")
    batch = await until(server, batch_id, "cancelled")

    assert await answered(server, batch) == ["quick"]


async def test_stopped_server_leaves_the_rest_to_the_next(
    server: InProcess, durable_url: str, tmp_path: Path
) -> None:
    batch_id = await create(server, "quick1", "slow", "quick2")
    await until(server, batch_id, "in_progress", completed=2)
    await server.server.stop()

    async with in_process(tmp_path / "state", database_url=durable_url) as again:
        again.client.client.headers["Authorization"] = f"Bearer {server.key}"
        batch = await until(again, batch_id, "completed")
        assert await answered(again, batch) == ["quick1", "quick2", "slow"]
