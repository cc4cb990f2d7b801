"""How a stretch of a run's work begins: written down with its job, begun here, told of if asked."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection

from freehold.api.context import Context
from freehold.api.sse import EventStream
from freehold.core import clock
from freehold.core.errors import BadRequestError, NotFoundError
from freehold.jobs.job import URGENT
from freehold.resources.threads import (
    run_state,
    run_store,
    run_view,
    step_store,
    step_view,
    store,
    stream,
    threads,
)
from freehold.resources.threads.run_follow import follow
from freehold.storage.events import Listener
from freehold.wire.runs import ToolOutput

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """A run whose work is written down, and the events that a stream of it begins with.

    ``results``: whether listeners are shown what searches found; ``past``: steps told of before.
    """

    run: Row
    first: bytes
    results: bool = False
    past: Sequence[str] = ()


class Stretch(Protocol):
    """Work that is to begin."""

    def write(self, connection: Connection) -> Written:
        """Write it down in a unit that also enqueues its job. Raises what refuses it."""
        ...


async def answer(
    context: Context, run_id: str, work: Stretch, *, told: bool
) -> dict[str, Any] | EventStream:
    """Begin the work and return the run; where ``told``, a stream of what happens."""
    begin = _Begin(context, run_id, work, told=told)
    if told:
        return EventStream(begin.stream())
    return run_view.shown((await begin.safely()).run)


class _Begin:
    def __init__(self, context: Context, run_id: str, work: Stretch, *, told: bool) -> None:
        self._services = context.services
        self._run_id = run_id
        self._work = work
        self._told = told

    async def stream(self) -> AsyncGenerator[bytes, None]:
        with self._services.events.listen(self._run_id) as listener:
            written = await self.safely()
            yield written.first
            async with aclosing(self._told_of(written, listener)) as groups:
                async for frames in groups:
                    yield frames
        yield stream.DONE

    def _told_of(self, written: Written, listener: Listener) -> AsyncGenerator[bytes, None]:
        """Return what happens: as it is told in this process, or as the one at work relays it."""
        if self._services.jobs.worker is not None:
            return listener.groups()
        return follow(
            self._services.database,
            self._run_id,
            listener,
            relayed=self._services.events.address is not None,
            past=written.past,
            results=written.results,
        )

    async def safely(self) -> Written:
        """Begin, also where the client goes away meanwhile."""
        return await asyncio.shield(asyncio.create_task(self._begin()))

    async def _begin(self) -> Written:
        written, job_id = await self._services.database.write(self._write)
        await self._services.jobs.begin(job_id)
        self._services.jobs.wake()  # for files of its messages that are to be indexed
        return written

    def _write(self, connection: Connection) -> tuple[Written, str]:
        written = self._work.write(connection)
        job_id = self._services.jobs.enqueue(
            connection,
            run_state.KIND,
            {"stream": self._told, "results": written.results, "relay_to": self._relay_to()},
            project_id=written.run["project_id"],
            priority=URGENT,
            key=run_state.key_of(written.run),
            here=True,
        )
        return written, job_id

    def _relay_to(self) -> str | None:
        """Return where another process shall tell of the run, None where nobody would hear."""
        elsewhere = self._services.jobs.worker is None
        return self._services.events.address if self._told and elsewhere else None


@dataclass(frozen=True, slots=True)
class New:
    """A run that is to be created; ``before`` writes what it needs, in the same unit."""

    row: dict[str, Any]
    before: Callable[[Connection], None]
    first: bytes = b""
    results: bool = False

    def write(self, connection: Connection) -> Written:
        self.before(connection)
        run_store.create(connection, self.row)
        shown = run_view.shown(self.row)
        events = [stream.frame(f"thread.run.{what}", shown) for what in ("created", "queued")]
        return Written(self.row, self.first + b"".join(events), self.results)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a run waits for."""

    project_id: str
    thread_id: str
    run_id: str
    given: Sequence[ToolOutput]

    def write(self, connection: Connection) -> Written:
        row = find(connection, self.project_id, self.thread_id, self.run_id)
        values = {"status": "queued", "required_action": None, "turn": row["turn"] + 1}
        if not run_store.change(connection, self.run_id, ("requires_action",), **values):
            raise BadRequestError(f'Runs in status "{row["status"]}" do not accept tool outputs.')
        run = {**row, **values}
        waiting = step_store.unended(connection, self.run_id)[-1]
        past = [step["id"] for step in step_store.of_run(connection, self.run_id)]
        step = self._answered(waiting)
        step_store.change(connection, step["id"], **step)
        queued = stream.frame("thread.run.queued", run_view.shown(run))
        done = stream.frame("thread.run.step.completed", step_view.shown(step, run, results=False))
        return Written(run, done + queued, past=past)

    def _answered(self, step: Row) -> dict[str, Any]:
        """Return the step with its outputs, all of which must have been given."""
        outputs = {one.tool_call_id: one.output or "" for one in self.given}
        shown = [dict(call) for call in step["details"]["tool_calls"]]
        wanted = [call["id"] for call in shown if _waits(call)]
        if sorted(wanted) != sorted(str(one.tool_call_id) for one in self.given):
            got = [one.tool_call_id for one in self.given]
            raise BadRequestError(f"Expected tool outputs for call_ids {wanted}, got {got}")
        for call in shown:
            if _waits(call):
                call["function"] = {**call["function"], "output": outputs[call["id"]]}
        made = [
            {**call, "output": outputs.get(call["id"], call["output"])} for call in step["calls"]
        ]
        details = {"type": "tool_calls", "tool_calls": shown}
        now = clock.now()
        return {**step, "details": details, "calls": made, "status": "completed"} | {
            "completed_at": now
        }


def find(
    connection: Connection, project_id: str, thread_id: str, run_id: str, param: str | None = None
) -> Row:
    """Return the run of a thread that is there, or raise ``NotFoundError``."""
    threads.found(store.find(connection, project_id, thread_id), thread_id)
    row = run_store.find(connection, project_id, thread_id, run_id)
    if row is None:
        raise NotFoundError(f"No run found with id '{run_id}'.", param=param)
    return row


def _waits(call: Row) -> bool:
    return call["type"] == "function" and call["function"]["output"] is None
