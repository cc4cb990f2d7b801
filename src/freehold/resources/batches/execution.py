"""Runs the lines of a batch that have no result yet, as many at once as the engine takes."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal, cast

from sqlalchemy import Connection, Row

from freehold.api import replay
from freehold.api.auth import Principal
from freehold.api.context import Services
from freehold.api.operation import Bound
from freehold.api.replay import Replayed
from freehold.core import clock
from freehold.core.errors import RateLimitError
from freehold.engines.background import Guest, guest
from freehold.jobs.job import JobContext
from freehold.resources.batches import lines, store
from freehold.resources.batches.lines import Request, Result
from freehold.resources.files import library
from freehold.resources.organization import ledger

log = logging.getLogger("freehold.batches")

Outcome = Literal["completed", "cancelled", "expired", "crowded"]

_WITHOUT_ENGINE = 4  # lines at once where the model has no engine of its own
_TRIES = 20  # of a line for which there is no room
_LONGEST_PAUSE_S = 60.0
_MOST_DISTURBED = 3  # after being sent away so often, a line may finish
_SLICE_S = 60.0  # before a batch makes room for others
_EXPIRED_AT_ONCE = 500


class Execution:
    """One run through the lines, until all have a result or something else ends it."""

    def __init__(
        self, services: Services, job: JobContext, batch: Row[Any], file: Row[Any], to: Bound
    ) -> None:
        self._services = services
        self._job = job
        self._batch = batch
        self._file = file
        self._to = to
        self._principal = Principal(
            key_id=batch.api_key_id,
            kind="project",
            organization_id=batch.organization_id,
            project_id=batch.project_id,
            user_id=batch.user_id,
        )
        self._recorder = _Recorder(job, batch.id)
        self._draining = False

    async def run(self) -> Outcome:
        """Run what is left, and say why it ended; results are written by then."""
        pool = asyncio.create_task(self._run_all())
        cancelled = asyncio.create_task(self._job.cancelled.wait())
        slicing = asyncio.create_task(self._drain_when_crowded())
        window = max(0, self._batch.expires_at - clock.now())
        try:
            await asyncio.wait(
                {pool, cancelled}, timeout=window, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in (cancelled, slicing, pool):
                task.cancel()
            await asyncio.wait({cancelled, slicing, pool})
            await self._recorder.settled()
        return await self._outcome(pool)

    async def _outcome(self, pool: asyncio.Task[None]) -> Outcome:
        if not pool.cancelled():
            _told(pool)
            return "crowded" if self._draining else "completed"
        if self._job.cancelled.is_set():
            return "cancelled"
        await self._expire()
        return "expired"

    async def _drain_when_crowded(self) -> None:
        await asyncio.sleep(_SLICE_S)
        await self._job.crowded.wait()
        self._draining = True

    async def _run_all(self) -> None:
        count = await self._at_once()
        async with aclosing(self._left()) as requests:
            turn = asyncio.Lock()
            async with asyncio.TaskGroup() as pool:
                for _ in range(count):
                    pool.create_task(self._run_some(requests, turn))

    async def _run_some(self, requests: AsyncGenerator[Request], turn: asyncio.Lock) -> None:
        while not self._draining:
            async with turn:
                request = await anext(requests, None)
            if request is None:
                return
            await self._recorder.record(lines.answered(request, await self._answer(request)))

    async def _left(self) -> AsyncGenerator[Request]:
        """Yield the requests without a result."""
        done = await self._services.database.read(lambda c: store.answered(c, self._batch.id))
        async with aclosing(library.read(self._services, self._file)) as chunks:
            async for number, line in lines.numbered(chunks):
                if number not in done:
                    yield lines.request_of(number, line)

    async def _at_once(self) -> int:
        """Return how many lines keep the engine busy: its slots, and a few that wait."""
        model = self._services.registry.find(self._batch.model) if self._batch.model else None
        if model is None or model.holder is None:
            return _WITHOUT_ENGINE
        engine = await model.holder.ensure_loaded()
        return engine.slots + max(2, engine.slots // 4)

    async def _answer(self, request: Request) -> Replayed:
        """Return the answer to a line, also where it must come back later or was sent away.

        Beyond its rate limits a line comes back until the window ends, otherwise a few times.
        """
        refusals = 0
        while True:
            answer = await self._undisturbed(request)
            error = answer.error
            if answer.status not in (429, 503) or error is None or error.retryable is False:
                return answer
            refusals += error.code != RateLimitError.default_code
            if refusals > _TRIES:
                return answer
            await asyncio.sleep(min(_LONGEST_PAUSE_S, error.retry_after or 1))

    async def _undisturbed(self, request: Request) -> Replayed:
        """Replay the line; each time it had to leave to a live request, begin again."""
        for _ in range(_MOST_DISTURBED):
            visitor = Guest()
            attempt = asyncio.create_task(self._replay(request, visitor))
            visitor.leave = attempt.cancel
            await _ended(attempt)
            if not attempt.cancelled():
                return attempt.result()
        return await self._replay(request, Guest())

    async def _replay(self, request: Request, visitor: Guest) -> Replayed:
        guest.set(visitor)
        return await replay.replay(self._services, self._principal, self._to, request.body)

    async def _expire(self) -> None:
        """Give the lines that are left the result that they came too late."""
        waiting: list[Result] = []
        async with aclosing(self._left()) as requests:
            async for request in requests:
                told = "This request could not be executed before the completion window expired."
                waiting.append(lines.unanswered(request, "batch_expired", told))
                if len(waiting) == _EXPIRED_AT_ONCE:
                    await self._recorder.write(waiting)
                    waiting = []
        if waiting:
            await self._recorder.write(waiting)


def _told(pool: asyncio.Task[None]) -> None:
    """Raise what went wrong in the pool, if anything, without the group it comes in."""
    error = pool.exception()
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    if error is not None:
        raise error


async def _ended(task: asyncio.Task[Any]) -> None:
    """Wait until the task has ended, however; who is cancelled meanwhile takes it along."""
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task})
        raise


class _Recorder:
    """Writes results as they come, those that come together in one unit."""

    def __init__(self, job: JobContext, batch_id: str) -> None:
        self._job = job
        self._batch_id = batch_id
        self._waiting: list[tuple[Result, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def record(self, result: Result) -> None:
        """Return once the result is written; being cancelled does not stop that."""
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((result, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        await written

    async def settled(self) -> None:
        """Wait until nothing is being written."""
        if self._writing is not None:
            await asyncio.wait({self._writing})

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                await self._write_group()
        finally:
            self._writing = None

    async def _write_group(self) -> None:
        group, self._waiting = self._waiting, []
        fault = None
        try:
            await self.write([result for result, _ in group])
        except Exception as error:  # noqa: BLE001 - it comes out at those who wait
            fault = error
        for _, written in group:
            if written.done():  # whoever waited has gone
                continue
            if fault is None:
                written.set_result(None)
            else:
                written.set_exception(fault)

    async def write(self, results: list[Result]) -> None:
        """Write results, what they used, and that their lines are done: all or nothing."""
        usage = [one for result in results if result.answer for one in result.answer.usage]

        def unit(connection: Connection) -> None:
            good = [result for result in results if result.good]
            numbers = [result.line for result in results]
            store.add_answered(connection, self._batch_id, numbers, completed=len(good))
            for draft, data in _files(self._batch_id, results):
                library.append_output(connection, draft, data)
            if usage:
                ledger.write(connection, usage)
            self._job.save(connection, {"line": numbers[-1]})

        await self._job.write(unit)


def output_of(batch_id: str) -> str:
    """Return the name under which good results are gathered."""
    return f"{batch_id}/output"


def errors_of(batch_id: str) -> str:
    """Return the name under which failed requests are gathered."""
    return f"{batch_id}/errors"


def _files(batch_id: str, results: list[Result]) -> list[tuple[str, bytes]]:
    good = b"".join(result.data for result in results if result.good)
    bad = b"".join(result.data for result in results if not result.good)
    return [(n, d) for n, d in ((output_of(batch_id), good), (errors_of(batch_id), bad)) if d]
