"""Runs keep their promises on SQLite and on PostgreSQL."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from freehold.data import limits
from freehold.jobs.queue import Jobs
from freehold.resources.threads import run_end, run_store, store
from freehold.storage import migrations, tables
from runs import WEATHER, House
from servers import in_process, scripted

CALL = {"when": "Rome", "tool_calls": [{"name": "weather", "arguments": "{}"}]}
SEARCH = {"name": "file_search", "arguments": json.dumps({"queries": ["x"]})}
SCRIPT = [
    {"when": "search", "tool_calls": [SEARCH]},
    CALL,
    {"when": "slow", "text": "so far", "hang": True},
    {"when": "Milan", "text": "Well", "delay": 0.15, "tool_calls": CALL["tool_calls"]},
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
    await _writing(api, begun)

    await api.cancel(begun)
    run = await api.settled(begun)

    assert run["status"] == "cancelled"
    assert [step["status"] for step in await api.steps(run)] == ["cancelled"]
    await api.post(f"/threads/{run['thread_id']}/messages", role="user", content="Again")


async def test_run_that_another_process_cancels_does_not_wait_for_outputs(api: House) -> None:
    begun = await api.begun("Milan", tools=[WEATHER])
    await api.settled(begun, "in_progress")
    database = api.server.server.api.services.database
    elsewhere = Jobs(database)

    def cancel(connection: Connection) -> bool:
        row = run_store.load(connection, begun["id"])
        return row is not None and run_end.cancel(connection, elsewhere, row)

    assert await database.write(cancel)

    run = await api.settled(begun)
    assert run["status"] == "cancelled"
    assert "in_progress" not in [step["status"] for step in await api.steps(run)]
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
    await _writing(api, begun)

    await api.server.client.delete(f"/v1/threads/{begun['thread_id']}")

    for path in ("", "/messages", "/runs", f"/runs/{begun['id']}", f"/runs/{begun['id']}/steps"):
        answer = await api.server.client.get(f"/v1/threads/{begun['thread_id']}{path}")
        assert answer.status_code == 404
    assert await _job_of(api, begun) == "cancelled"
    assert api.engine().cancelled == 1
    database = api.server.server.api.services.database
    await database.write(lambda connection: store.sweep(connection, 20))
    for table in (tables.runs, tables.run_steps, tables.messages):
        assert await database.read(lambda c, t=table: c.execute(select(t)).all()) == []


async def test_run_that_waits_ends_with_its_thread(api: House) -> None:
    waiting = await api.run("Rome", tools=[WEATHER])

    await api.server.client.delete(f"/v1/threads/{waiting['thread_id']}")

    database = api.server.server.api.services.database
    row = await database.read(lambda connection: run_store.load(connection, waiting["id"]))
    assert row is not None
    assert row["status"] == "cancelled"
    answer = await api.server.client.post(
        f"/v1/threads/{waiting['thread_id']}/runs/{waiting['id']}/cancel"
    )
    assert answer.status_code == 404


async def test_run_outlives_its_assistant(api: House) -> None:
    begun = await api.begun("slow", instructions="Be kind.")
    await _writing(api, begun)

    await api.server.client.delete(f"/v1/assistants/{begun['assistant_id']}")
    api.engine().resume.set()

    run = await api.settled(begun)
    assert (run["status"], run["instructions"]) == ("completed", "Be kind.")
    assert await api.said(run["thread_id"]) == "so far"


async def _writing(api: House, run: dict[str, Any]) -> None:
    """Wait until the run writes its answer."""
    async with asyncio.timeout(30):
        while len(await api.messages(run["thread_id"])) < 2:
            await asyncio.sleep(0.02)


async def _job_of(api: House, run: dict[str, Any]) -> str:
    """Return the state in which the job behind a run has ended."""
    database = api.server.server.api.services.database
    mine = select(tables.jobs.c.id).where(tables.jobs.c.key == f"{run['id']}.0")
    job_id = await database.read(lambda connection: connection.scalars(mine).one())
    async with asyncio.timeout(30):
        return (await api.server.server.api.services.jobs.ended(job_id)).state
