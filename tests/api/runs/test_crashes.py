"""A process that ends between any two units leaves a run that the next one completes."""

import asyncio

import pytest

from freehold.jobs.job import JobContext, LeaseLostError
from runs import WEATHER, House
from servers import in_process, scripted

# So slow that no two units are written together.
SLOW = {"delay": 0.03}
SEARCH = {"tool_calls": [{"name": "file_search", "arguments": '{"queries": ["x"]}'}], **SLOW}
ANSWER = {"text": "All done", **SLOW}
UNITS = 7  # begin, open calls, record, answer, close, open message, finish


class Halt:
    """Ends the handler of a job at its n-th unit: before it is written, or right after."""

    def __init__(self, monkeypatch, at, *, after):
        self.reached = asyncio.Event()
        self._left = at
        self._after = after
        self._write = JobContext.write

        async def write(job, unit):
            return await self._write_or_halt(job, unit)

        monkeypatch.setattr(JobContext, "write", write)

    async def _write_or_halt(self, job, unit):
        if job.kind != "runs.work":
            return await self._write(job, unit)
        self._left -= 1
        if self._left != 0:
            return await self._write(job, unit)
        if self._after:
            await self._write(job, unit)
        self.reached.set()
        raise LeaseLostError  # nothing is written from here on, as if the process were gone


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, UNITS + 1))
async def test_run_is_completed_by_the_next_process(tmp_path, monkeypatch, at, after):
    tools = [{"type": "file_search"}]
    with monkeypatch.context() as patched:
        halt = Halt(patched, at, after=after)
        async with in_process(tmp_path, models=scripted(SEARCH, ANSWER)) as server:
            key = server.key
            run = await House(server).begun(tools=tools)
            async with asyncio.timeout(10):
                await halt.reached.wait()
            steps = await House(server).steps(run)
    called = any(s["type"] == "tool_calls" and s["status"] == "completed" for s in steps)
    recorded = any(s["type"] == "tool_calls" and s["step_details"]["tool_calls"] for s in steps)
    left = [ANSWER] if called or recorded else [SEARCH, ANSWER]

    async with in_process(tmp_path, models=scripted(*left)) as server:
        server.client.client.headers["Authorization"] = f"Bearer {key}"
        api = House(server)
        ended = await api.settled(run)

        assert ended["status"] == "completed", ended["last_error"]
        assert [(step["type"], step["status"]) for step in await api.steps(run)] == [
            ("tool_calls", "completed"),
            ("message_creation", "completed"),
        ]
        said = [
            message["content"][0]["text"]["value"]
            for message in await api.messages(run["thread_id"])
        ]
        assert said == ["Hello", "All done"]
        again = await api.post(
            f"/threads/{run['thread_id']}/runs", assistant_id=run["assistant_id"], tools=[]
        )
        assert again["status"] == "queued"
        await api.settled(again)


async def test_run_that_waits_for_outputs_goes_on_in_the_next_process(tmp_path):
    call = {"tool_calls": [{"name": "weather", "arguments": "{}"}]}
    async with in_process(tmp_path, models=scripted(call)) as server:
        key = server.key
        run = await House(server).run(tools=[WEATHER])

    async with in_process(tmp_path, models=scripted(ANSWER)) as server:
        server.client.client.headers["Authorization"] = f"Bearer {key}"
        api = House(server)
        assert (await api.settled(run))["status"] == "requires_action"
        ended = await api.settled(await api.submit(run, "sun"))

        assert ended["status"] == "completed"
        assert await api.said(run["thread_id"]) == "All done"
