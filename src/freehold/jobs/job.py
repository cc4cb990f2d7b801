"""One job as its handler sees it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Row

from freehold.jobs import store
from freehold.storage.database import Database

T = TypeVar("T")

State = Literal["queued", "running", "done", "failed", "cancelled"]

# Priorities: higher ones are claimed first, and what is below zero never takes the last slots.
URGENT = 10  # somebody waits for it
NORMAL = 0
BACKGROUND = -10


class JobFailedError(Exception):
    """The job cannot succeed: it is failed with this reason, without another try."""


class JobCancelledError(Exception):
    """The handler has followed the request to cancel; the job ends as cancelled."""


class LeaseLostError(Exception):
    """The job is no longer this worker's: another one may be running it by now."""


@dataclass(frozen=True, slots=True)
class Again:
    """What a handler returns to be called again, ``after_s`` seconds from now."""

    after_s: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that ended without its handler having finished."""

    job_id: str
    key: str | None
    project_id: str | None
    payload: Any
    state: Literal["failed", "cancelled"]
    reason: str


class JobContext:
    """What a handler is given: its payload, the checkpoint of earlier runs, and its lease.

    A handler may be run again from its last checkpoint at any time, so what it does must bear
    repeating; what it writes through ``write`` is written only while the lease is held.
    ``cancelled`` is set once the job shall end; ``crowded`` while others wait for its place: then
    a handler that has run for long may return ``Again``.
    """

    def __init__(
        self, row: Row[Any], database: Database, worker: str, crowded: asyncio.Event
    ) -> None:
        self.id: str = row.id
        self.kind: str = row.kind
        self.key: str | None = row.key
        self.project_id: str | None = row.project_id
        self.priority: int = row.priority
        self.payload: Any = row.payload
        self.saved: Any = row.checkpoint
        self.attempts: int = row.attempts
        self.cancelled = asyncio.Event()
        if row.cancel_requested:
            self.cancelled.set()
        self.crowded = crowded
        self._database = database
        self._worker = worker

    def raise_if_cancelled(self) -> None:
        """Raise ``JobCancelledError`` once the job shall be cancelled."""
        if self.cancelled.is_set():
            raise JobCancelledError

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run a unit of work that is kept only while the lease is held, else ``LeaseLostError``."""

        def fenced(connection: Connection) -> T:
            self.hold(connection)
            return work(connection)

        return await self._database.write(fenced)

    async def checkpoint(self, value: Any) -> None:
        """Keep ``value`` (JSON) durably: the next run finds it as ``saved``."""
        await self._database.write(lambda connection: self.save(connection, value))
        self.saved = value

    def hold(self, connection: Connection) -> None:
        """Lock the job for the rest of this unit; raise ``LeaseLostError`` where it is lost."""
        if not store.hold(connection, self.id, self._worker):
            raise LeaseLostError(self.id)

    def save(self, connection: Connection, value: Any) -> None:
        """Keep a checkpoint in the caller's own unit, together with what it stands for."""
        if not store.save(connection, self.id, self._worker, value):
            raise LeaseLostError(self.id)


Handler = Callable[[JobContext], Awaitable[Again | None]]
# Called in the transaction that ends the job, so that its object ends truthfully with it.
OnFailure = Callable[[Connection, Failure], None]


@dataclass(frozen=True, slots=True)
class Task:
    """A handler and how it is run. ``every_s`` makes it periodic, one job for all processes."""

    handler: Handler
    on_failure: OnFailure | None = None
    max_attempts: int = 5
    every_s: int | None = None
