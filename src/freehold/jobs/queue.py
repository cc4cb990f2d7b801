"""What services use of the job system: enqueue, cancel, wait."""

import asyncio
import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, Row

from freehold.core import clock
from freehold.core.errors import ServiceUnavailableError
from freehold.core.ids import new_id
from freehold.jobs import job, store
from freehold.storage import notify
from freehold.storage.database import Database
from freehold.storage.events import Events

NEWS = "jobs"
"""The topic on which processes tell each other that there is work to look for."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended; ``error`` says why it failed."""

    state: job.State
    error: str | None


class LocalWorker(Protocol):
    """What the queue needs to know of the worker in its own process."""

    def lease(self, now: int) -> dict[str, Any]:
        """Return the columns of a job that this worker has leased."""
        ...

    def begin(self, row: Row[Any]) -> bool:
        """Run a job that this worker has leased; False where it has no such lease."""
        ...


class Jobs:
    """The queue of one process. Jobs are enqueued inside the unit that writes their object.

        job_id = await database.write(lambda c: (store.insert(c, row), jobs.enqueue(c, ...))[1])
        jobs.wake()

    Without ``wake`` a job starts all the same, within ``poll_s`` seconds. Processes that share a
    PostgreSQL and ``hear`` are woken once the unit is written.
    """

    def __init__(self, database: Database, *, poll_s: float = 1.0) -> None:
        self.database = database
        self.poll_s = poll_s
        self.due = asyncio.Event()  # set when a worker of this process should look
        self.worker: LocalWorker | None = None
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._closed = False

    def enqueue(
        self,
        connection: Connection,
        kind: str,
        payload: Any,
        *,
        project_id: str | None = None,
        priority: int = job.NORMAL,
        run_at: int | None = None,
        key: str | None = None,
        here: bool = False,
    ) -> str:
        """Add a job in the caller's unit and return its id.

        Where a job of this kind and ``key`` lives, nothing is added and its id is returned. With
        ``here`` this process's worker has it from the start, and runs it once ``begin`` is called.
        """
        lease = self.worker.lease(clock.now()) if here and self.worker else {}
        if not lease and run_at is None:
            notify.send(connection, notify.EVERYONE, NEWS)
        about = {"project_id": project_id, "priority": priority, "key": key}
        return add(connection, kind, payload, run_at=run_at, **about, **lease)

    def cancel(self, connection: Connection, kind: str, key: str) -> bool:
        """Ask for the end of the job of this kind and key; False where none lives."""
        living = store.live(connection, kind, key)
        if living is None or not store.request_cancel(connection, living.id, clock.now()):
            return False
        notify.send(connection, notify.EVERYONE, NEWS)
        return True

    def wake(self) -> None:
        """Have this process look for work now: call it after enqueueing or cancelling."""
        self.due.set()

    async def hear(self, events: Events) -> None:
        """Look for work whenever another process says that there is some, until the events end."""
        with events.listen(NEWS) as listener:
            async for _ in listener.groups():
                self.wake()

    async def begin(self, job_id: str) -> None:
        """Run a job that was enqueued ``here``, now that its unit has been written."""
        row = await self.database.read(lambda c: store.find(c, job_id))
        if row is None or self.worker is None or not self.worker.begin(row):
            self.wake()

    async def ended(self, job_id: str) -> Ended:
        """Wait until the job has ended, wherever it runs. Raises where the server stops first."""
        with self._news(job_id) as news:
            while not self._closed:
                row = await self.database.read(lambda c: store.find(c, job_id))
                if row is None or row.state in store.ENDED:
                    return Ended(row.state, row.error) if row else Ended("done", None)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.poll_s):
                        await news.wait()
                news.clear()
        raise ServiceUnavailableError("The server is shutting down.", retry_after=5)

    def announce(self, job_id: str) -> None:
        """Tell those in this process who wait for the job to look at it."""
        for news in self._waiting.get(job_id, ()):
            news.set()

    def close(self) -> None:
        """Turn away who waits."""
        self._closed = True
        for job_id in list(self._waiting):
            self.announce(job_id)

    @contextlib.contextmanager
    def _news(self, job_id: str) -> Generator[asyncio.Event]:
        news = asyncio.Event()
        waiting = self._waiting.setdefault(job_id, set())
        waiting.add(news)
        try:
            yield news
        finally:
            waiting.discard(news)
            if not waiting:
                self._waiting.pop(job_id, None)


def add(
    connection: Connection,
    kind: str,
    payload: Any,
    *,
    key: str | None,
    run_at: int | None = None,
    **columns: Any,
) -> str:
    """Add a job in the caller's unit and return its id, or that of the living one of this key."""
    now = clock.now()
    job_id = new_id("job")
    row = {
        "id": job_id,
        "kind": kind,
        "key": key,
        "state": "queued",
        "priority": job.NORMAL,
        "payload": payload,
        "created_at": now,
        "run_at": now if run_at is None else run_at,
        **columns,
    }
    while not store.insert(connection, row):
        # The living one may end between the two statements: then there is room.
        if key is not None and (living := store.live(connection, kind, key)):
            return living.id
    return job_id
