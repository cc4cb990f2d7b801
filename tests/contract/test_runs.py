"""Runs keep their promises on SQLite and on PostgreSQL."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from freehold.data import limits
from freehold.storage import migrations
from runs import WEATHER, House
from servers import in_process, scripted

CALL = {"when": "Rome", "tool_calls": [{"name": "weather", "arguments": "{}"}]}
SEARCH = {"name": "file_search", "arguments": json.dumps({"queries": ["x"]})}
SCRIPT = [
    {"when": "search", "tool_calls": [SEARCH]},
    CALL,
    {"when": "slow", "text": "so far", "hang": True},
]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.external)])
async def settings(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    given: dict[str, Any] = {"state_dir": tmp_path / "state", "models": scripted(*SCRIPT)}
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        migrations.upgrade(url)
        given["database_url"] = url
    return given


@pytest.fixture
async def api(settings: dict[str, Any]) -> AsyncIterator[House]:
    async with in_process(**settings) as server:
        yield House(server)


async def test_run_is_completed_and_streamed(api: House) -> None:
    run = await api.run("Hello there")
    events = await api.stream_run("Hello there")

    assert run["status"] == "completed"
    assert await api.said(run["thread_id"]) == "Hello there"
    ended = events[-1]["data"]
    assert (events[-1]["event"], ended["usage"]) == ("thread.run.completed", run["usage"])


async def test_model_that_calls_for_ever_is_stopped(api: House) -> None:
    run = await api.run("search", tools=[{"type": "file_search"}])

    assert (run["status"], run["last_error"]["code"]) == ("failed", "server_error")
    steps = await api.steps(run, "&limit=100")
    assert len(steps) == limits.figure("runs", "rounds")
    assert {step["status"] for step in steps[:-1]} == {"completed"}


async def test_one_of_many_runs_gets_the_thread(api: House) -> None:
    assistant, thread = await api.assistant(tools=[WEATHER]), await api.thread("Rome")
    body = {"assistant_id": assistant}
    path = f"/v1/threads/{thread}/runs"

    answers = await asyncio.gather(
        *(api.server.client.client.post(path, json=body) for _ in range(8))
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    [run] = (await api.get(f"/threads/{thread}/runs"))["data"]
    refused = next(answer for answer in answers if answer.status_code == 400)
    assert refused.json()["error"]["message"] == (
        f"Thread {thread} already has an active run {run['id']}."
    )


async def test_outputs_are_taken_once(api: House) -> None:
    waiting = await api.run("Rome", tools=[WEATHER])
    path = f"/v1/threads/{waiting['thread_id']}/runs/{waiting['id']}/submit_tool_outputs"
    [call] = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    body = {"tool_outputs": [{"tool_call_id": call["id"], "output": "sun"}]}

    answers = await asyncio.gather(
        *(api.server.client.client.post(path, json=body) for _ in range(5))
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 4


async def test_cancelled_run_frees_its_thread(api: House) -> None:
    begun = await api.begun("slow")
    async with asyncio.timeout(30):
        while len(await api.messages(begun["thread_id"])) < 2:
            await asyncio.sleep(0.02)

    await api.cancel(begun)
    run = await api.settled(begun)

    assert run["status"] == "cancelled"
    assert [step["status"] for step in await api.steps(run)] == ["cancelled"]
    await api.post(f"/threads/{run['thread_id']}/messages", role="user", content="Again")


async def test_next_process_goes_on(settings: dict[str, Any]) -> None:
    async with in_process(**settings) as server:
        key = server.key
        begun = await House(server).begun("slow")
        async with asyncio.timeout(30):
            while len(await House(server).messages(begun["thread_id"])) < 2:
                await asyncio.sleep(0.02)
    async with in_process(**{**settings, "models": scripted({"text": "finished"})}) as server:
        server.client.client.headers["Authorization"] = f"Bearer {key}"
        api = House(server)
        run = await api.settled(begun)

        assert run["status"] == "completed"
        said = [one["content"][0]["text"]["value"] for one in await api.messages(run["thread_id"])]
        assert said == ["slow", "finished"]


async def test_thread_that_is_deleted_takes_its_run_along(api: House) -> None:
    begun = await api.begun("slow")
    await api.server.client.delete(f"/v1/threads/{begun['thread_id']}")

    answer = await api.server.client.get(f"/v1/threads/{begun['thread_id']}/runs/{begun['id']}")

    assert answer.status_code == 404
