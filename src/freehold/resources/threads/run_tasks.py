"""The jobs behind runs: one for each stretch of work, one that ends those that wait too long."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from sqlalchemy import Connection

from freehold.api.context import Services
from freehold.api.tasks import task
from freehold.core import clock
from freehold.core.errors import ServiceUnavailableError
from freehold.jobs.job import Failure, JobCancelledError, JobContext, LeaseLostError
from freehold.resources.threads import run_end, run_store, stream
from freehold.resources.threads.loop import Loop
from freehold.resources.threads.loop_calls import EXPIRY
from freehold.resources.threads.run_journal import Journal
from freehold.resources.threads.run_relay import Relay
from freehold.resources.threads.run_state import KIND, run_of
from freehold.storage import notify

_STOPPING: Final = "The server is shutting down."


def fail(connection: Connection, failure: Failure) -> None:
    """End the run of a job that was given up or cancelled."""
    row = run_store.load(connection, run_of(failure.key))
    if row is not None:
        failed = failure.state == "failed"
        error = run_end.fault("server_error", failure.reason) if failed else None
        run_end.end(connection, row, failure.state, error=error)
    if address := failure.payload.get("relay_to"):
        notify.send(connection, address, run_of(failure.key))


@task(KIND, on_failure=fail)
async def work(services: Services, job: JobContext) -> None:
    """Advance a run until it has ended or waits for outputs."""
    run_id = run_of(job.key)
    async with _telling(services, job, run_id) as publish:
        journal = Journal(job, run_id, publish, results=job.payload["results"])
        if await journal.begin(services.database):
            await _Supervised(services, job, journal).run()


@asynccontextmanager
async def _telling(
    services: Services, job: JobContext, run_id: str
) -> AsyncGenerator[Callable[[bytes], None], None]:
    """Give the way to tell of a run those who listen to it, here or where it is streamed."""
    address = job.payload.get("relay_to")
    if address is not None:
        relay = Relay(services.database, address, run_id)
        try:
            yield relay.publish
        finally:
            await relay.close()
        return
    publish = partial(services.events.publish, run_id)
    try:
        yield publish
    except (asyncio.CancelledError, LeaseLostError):
        publish(stream.error_frame(ServiceUnavailableError(_STOPPING, retry_after=5)))
        raise
    finally:
        services.events.end(run_id)


class _Supervised:
    """A loop that ends when it is done, is cancelled, or has no time left."""

    def __init__(self, services: Services, job: JobContext, journal: Journal) -> None:
        self._job = job
        self._journal = journal
        self._loop = Loop(services, journal, stream=job.payload["stream"])

    async def run(self) -> None:
        if self._job.cancelled.is_set():
            await self._cancel()
        left = max(0, self._journal.run["expires_at"] - clock.now())
        work = asyncio.create_task(self._loop.go_on())
        cancelled = asyncio.create_task(self._job.cancelled.wait())
        try:
            await asyncio.wait({work, cancelled}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (work, cancelled):
                each.cancel()
            await asyncio.wait({work, cancelled})
            await self._journal.settled()
        await self._conclude(work)

    async def _conclude(self, work: asyncio.Task[None]) -> None:
        error = None if work.cancelled() else work.exception()
        if isinstance(error, LeaseLostError) or (
            error is not None and not isinstance(error, Exception)
        ):
            raise error
        if work.cancelled() and not self._job.cancelled.is_set():
            await self._journal.end("expired", content=self._loop.written)
        elif work.cancelled():
            await self._cancel()
        elif error is not None:
            await self._loop.fail(error)

    async def _cancel(self) -> None:
        self._journal.tell_cancelling()
        await self._journal.end("cancelled", content=self._loop.written)
        raise JobCancelledError


@task(EXPIRY)
async def expire(_: Services, job: JobContext) -> None:
    """End a run whose outputs nobody has submitted in time."""
    run_id = job.key or ""

    def unit(connection: Connection) -> None:
        row = run_store.load(connection, run_id)
        if row is not None and row["status"] == "requires_action":
            run_end.end(connection, row, "expired")

    await job.write(unit)
