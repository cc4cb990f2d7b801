"""Servers killed at random moments while runs of assistants are at work.

Run: ``python bench/crash_runs.py [--kills N] [--seed S]``, and on an empty PostgreSQL database also
with ``--database-url URL --servers N --workers N``. Afterwards every acknowledged run must have
ended truthfully, with no step and no message twice, and every thread must take the next message.
Exits with 1 where that is not so.
"""

import argparse
import asyncio
import collections
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import killing
from killing import Caller, CrashTestError, Row

# Echoes, so that each run answers with words of its own; those that are slow are killed in them.
_CONFIG: Final = """
default_model = "scripted"

[models.scripted]
backend = "scripted"
slots = 8
script = [{ when = "slowly", text = "one two three four five six", delay = 0.05 }]

[jobs]
lease_s = 3
"""
_SLOW: Final = "one two three four five six"
_CLOCK: Final = {"type": "function", "function": {"name": "clock"}}
_SEARCH: Final = {"type": "file_search"}
_ENDED: Final = ("completed", "failed", "incomplete", "expired", "cancelled")
_SETTLE_S: Final = 180.0
_LIFETIME_S: Final = 600
_CLIENTS: Final = 4
_MESSAGE: Final = ["message_creation"]
_CALLED: Final = ["tool_calls", "message_creation"]
_NEXT: Final = {"role": "user", "content": "Thanks"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of run: what is asked for, and the steps of one that is completed."""

    asked: dict[str, Any]
    steps: list[str]
    slow: bool = False


_KINDS: Final = (
    Kind({}, _MESSAGE),
    Kind({}, _MESSAGE, slow=True),
    Kind({"stream": True}, _MESSAGE, slow=True),
    Kind({"tools": [_SEARCH], "tool_choice": _SEARCH}, _CALLED),
    Kind({"tools": [_CLOCK], "tool_choice": "required"}, _CALLED),
)


@dataclass(slots=True)
class Begun:
    """A run that was acknowledged. ``cancelled``: its end was asked for, perhaps in vain."""

    path: str  # of its thread
    run_id: str
    kind: Kind
    said: str
    cancelled: bool = False


class Client:
    """Begins runs, submits outputs and cancels, whatever happens to the servers meanwhile."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._assistant: str | None = None
        self.begun: list[Begun] = []

    async def work(self) -> None:
        """Do one thing after another until cancelled."""
        while True:
            try:
                await self._act()
            except httpx.HTTPError:
                await asyncio.sleep(0.05)

    async def _act(self) -> None:
        if self._assistant is None:
            made = await self._caller.call("POST", "/assistants", json={"model": "gpt-4o"})
            self._assistant = made["id"] if made else None
            return
        begun = await self._begin(self._assistant, self._caller.chance.choice(_KINDS))
        if begun is not None and self._caller.chance.random() < 0.1:
            begun.cancelled = True
            await self._cancel(begun)
        elif begun is not None:
            await self.submit(begun)

    async def _begin(self, assistant: str, kind: Kind) -> Begun | None:
        said = f"{'slowly' if kind.slow else 'quickly'} {self._caller.chance.getrandbits(64):x}"
        thread = await self._caller.call("POST", "/threads", json={"messages": [_message(said)]})
        if thread is None:
            return None
        path = f"/threads/{thread['id']}"
        body = {"assistant_id": assistant, **kind.asked}
        if "stream" in kind.asked:
            run_id = await self._stream(f"{path}/runs", body)
        else:
            made = await self._caller.call("POST", f"{path}/runs", json=body)
            run_id = made["id"] if made else None
        if run_id is None:
            return None
        self.begun.append(Begun(path, run_id, kind, _SLOW if kind.slow else said))
        return self.begun[-1]

    async def _stream(self, path: str, body: Row) -> str | None:
        """Begin a run, read some of its stream, and return its id once it is told."""
        url = self._caller.chance.choice(self._caller.urls) + path
        async with self._caller.http.stream("POST", url, json=body) as answer:
            async for line in answer.aiter_lines():
                if line.startswith('data: {"id":"run_'):
                    return line.split('"')[3]
        return None

    async def _cancel(self, begun: Begun) -> None:
        url = f"{self._caller.chance.choice(self._caller.urls)}{begun.path}/runs/{begun.run_id}"
        await self._caller.http.post(f"{url}/cancel")  # refused where it has ended meanwhile

    async def submit(self, begun: Begun) -> None:
        """Give a run the outputs that it waits for, if it does."""
        run = await self.run(begun)
        if run is None or run["status"] != "requires_action":
            return
        calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        outputs = [{"tool_call_id": call["id"], "output": "noon"} for call in calls]
        url = f"{self._caller.chance.choice(self._caller.urls)}{begun.path}/runs/{begun.run_id}"
        # Refused where another try was taken, though its answer was lost.
        await self._caller.http.post(f"{url}/submit_tool_outputs", json={"tool_outputs": outputs})

    async def run(self, begun: Begun) -> Row | None:
        """Return the run as it stands, None where nobody says."""
        return await self._caller.call("GET", f"{begun.path}/runs/{begun.run_id}")

    async def listed(self, path: str) -> list[Row]:
        """Return a list from its oldest object on."""
        answer = await self._caller.call("GET", path, params={"order": "asc", "limit": 100})
        if answer is None:
            raise CrashTestError(f"{path} is not listed")
        return answer["data"]

    async def goes_on(self, begun: Begun) -> None:
        """Add a message to the run's thread. Raises where the thread is held."""
        await self._caller.call("POST", f"{begun.path}/messages", json=_NEXT)


class Examination:
    """Looks, after the last kill, whether every promise was kept."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._statuses: collections.Counter[str] = collections.Counter()

    async def run(self) -> str:
        """Return what was found. Raises ``CrashTestError``."""
        for begun in self._client.begun:
            await self._examine(begun)
        return f"{len(self._client.begun)} runs acknowledged: {dict(self._statuses)}"

    async def _examine(self, begun: Begun) -> None:
        run = await self._ended(begun)
        self._statuses[run["status"]] += 1
        self._check_status(begun, run)
        steps = await self._client.listed(f"{begun.path}/runs/{begun.run_id}/steps")
        messages = await self._client.listed(f"{begun.path}/messages")
        self._check_steps(begun, run, steps)
        self._check_messages(begun, run, steps, messages)
        await self._client.goes_on(begun)

    async def _ended(self, begun: Begun) -> Row:
        run, until = None, time.monotonic() + _SETTLE_S
        while time.monotonic() < until:
            await self._client.submit(begun)
            run = await self._client.run(begun)
            if run is not None and run["status"] in _ENDED:
                return run
            await asyncio.sleep(0.1)
        raise CrashTestError(f"{begun.run_id} does not end: {run}")

    def _check_status(self, begun: Begun, run: Row) -> None:
        """Accept what is completed, cancelled as asked, given up with its workers, out of time."""
        if run["status"] == "completed" or (run["status"] == "cancelled" and begun.cancelled):
            return
        if run["status"] == "failed" and "went down" in run["last_error"]["message"]:
            return
        if run["status"] == "expired" and time.time() - run["created_at"] > _LIFETIME_S:
            return  # its client did not get to submit outputs, or no process lived long enough
        raise CrashTestError(f"{begun.run_id} is {run['status']}: {run['last_error']}")

    def _check_steps(self, begun: Begun, run: Row, steps: list[Row]) -> None:
        kinds = [step["type"] for step in steps]
        whole = kinds == begun.kind.steps and all(s["status"] == "completed" for s in steps)
        if run["status"] == "completed" and not whole:
            raise CrashTestError(f"{begun.run_id} is completed with the steps {steps}")
        if len(set(kinds)) != len(kinds) or any(s["status"] == "in_progress" for s in steps):
            raise CrashTestError(f"{begun.run_id} is {run['status']} with the steps {steps}")
        used = sum(step["usage"]["total_tokens"] for step in steps if step["usage"])
        if used != run["usage"]["total_tokens"]:
            raise CrashTestError(f"{begun.run_id} used {run['usage']}, its steps {used}")

    def _check_messages(
        self, begun: Begun, run: Row, steps: list[Row], messages: list[Row]
    ) -> None:
        """Compare the answers of a run with the steps that made them."""
        answers = [one for one in messages if one["role"] == "assistant"]
        details = [step["step_details"] for step in steps]
        made = [d["message_creation"]["message_id"] for d in details if "message_creation" in d]
        if [one["id"] for one in answers] != made or len(messages) != 1 + len(made):
            raise CrashTestError(f"{begun.run_id} made {made}, but there is {messages}")
        said = ["".join(p["text"]["value"] for p in one["content"]) for one in answers]
        if run["status"] == "completed" and said != [begun.said]:
            raise CrashTestError(f"{begun.run_id} says {said}, not {begun.said}")
        if any(one["status"] == "in_progress" for one in answers):
            raise CrashTestError(f"{begun.run_id} is {run['status']} but still writes {answers}")


_LEFT: Final = (  # what there must be none of, also of runs whose creation was not acknowledged
    """SELECT r.id FROM threads JOIN runs r ON r.id = active_run_id
       WHERE r.status <> 'requires_action'""",
    """SELECT s.id FROM run_steps s JOIN runs r ON r.id = run_id
       WHERE s.status = 'in_progress' AND r.status <> 'requires_action'""",
    "SELECT id, run_id FROM messages WHERE status = 'in_progress'",
    "SELECT run_id FROM messages WHERE run_id IS NOT NULL GROUP BY run_id HAVING count(*) > 1",
    "SELECT id FROM jobs WHERE kind = 'runs.work' AND state IN ('queued', 'running')",
)


def _message(text: str) -> Row:
    return {"role": "user", "content": text}


async def crash(folder: Path, options: argparse.Namespace) -> str:
    """Kill as often as asked, look at what is left, and return the report."""

    def test(caller: Caller) -> tuple[list[Awaitable[None]], Callable[[], Awaitable[str]]]:
        client = Client(caller)
        return [client.work() for _ in range(_CLIENTS)], Examination(client).run

    killed = await killing.kill_while(folder, options, _CONFIG, test)
    for query in _LEFT:
        if left := killing.found(killed.address, query):
            raise CrashTestError(f"{query}: {left}")
    slowest_s = killed.slowest_start_s
    return f"{options.kills} kills: {killed.report}; slowest start {slowest_s:.1f} s"


if __name__ == "__main__":
    killing.run(__doc__, crash)
