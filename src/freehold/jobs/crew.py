"""Whether this process runs jobs, and that on SQLite only one process does."""

import asyncio
import fcntl
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from freehold.core import clock
from freehold.core.settings import Settings
from freehold.data import limits
from freehold.jobs import store
from freehold.jobs.job import JobContext, Task
from freehold.jobs.queue import Jobs
from freehold.jobs.worker import Figures, Worker
from freehold.storage.address import is_sqlite, parse, sqlite_path
from freehold.storage.events import Events

log = logging.getLogger("freehold.jobs")


async def _forget(job: JobContext) -> None:
    """Delete jobs that ended long ago."""
    before = clock.now() - limits.figure("jobs", "ended_s")
    await job.write(lambda connection: store.remove_ended(connection, before))


class Crew:
    """This process's worker, where it has one, from ``start`` to ``stop``."""

    def __init__(
        self, settings: Settings, jobs: Jobs, tasks: Mapping[str, Task], events: Events
    ) -> None:
        self._settings = settings
        self._jobs = jobs
        self._events = events
        every_s = limits.figure("jobs", "sweep_s")
        self._tasks = {**tasks, "jobs.forget": Task(_forget, every_s=every_s)}
        self._lock: int | None = None
        self._hearing: asyncio.Task[None] | None = None
        self.worker: Worker | None = None

    def start(self) -> None:
        """Start the worker, unless the settings or another process say that it is not ours."""
        if not self._settings.jobs.worker:
            return
        address = parse(self._settings.database_address)
        if is_sqlite(address) and not self._lock_out_others(sqlite_path(address)):
            log.warning("another process runs the jobs of this database; this one runs none")
            return
        self.worker = Worker(
            self._jobs,
            self._tasks,
            at_once=self._settings.jobs.at_once,
            lease_s=self._settings.jobs.lease_s,
            sole=is_sqlite(address),
        )
        self.worker.start()
        self._hearing = asyncio.create_task(self._jobs.hear(self._events))

    def figures(self) -> Figures:
        """Return the worker's figures, all empty where there is none."""
        return self.worker.figures() if self.worker else Figures({}, {}, {})

    async def stop(self) -> None:
        """Put back what runs, turn away who waits, let others take over."""
        self._jobs.close()
        if self._hearing is not None:
            self._hearing.cancel()
        if self.worker is not None:
            await self.worker.stop()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _lock_out_others(self, database: Path | None) -> bool:
        """Take the lock that lies beside the database and goes with the process."""
        if database is None:
            return True
        path = database.with_name(f"{database.name}-worker")
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True
