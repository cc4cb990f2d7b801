"""One run of one job: its handler, the ways to interrupt it, and what is written at its end."""

import asyncio
import logging
import traceback
from collections.abc import Callable
from typing import Literal

from sqlalchemy import Connection

from freehold.core import clock
from freehold.core.errors import APIError
from freehold.jobs import settle, store
from freehold.jobs.job import (
    Again,
    JobCancelledError,
    JobContext,
    JobFailedError,
    LeaseLostError,
    Task,
)
from freehold.storage.database import Database

log = logging.getLogger("freehold.jobs")
CANCEL_GRACE_S = 10.0  # what a handler gets to end by itself
_LONGEST_BACK_OFF_S = 300

Ending = Callable[[Connection], str | None]


class Run:
    """Runs a handler once; ``settled`` is done when the outcome has been written.

    ``ended_as`` is the job's last state, None where it will run again.
    """

    def __init__(self, context: JobContext, task: Task, worker: str, database: Database) -> None:
        self.context = context
        self.ended_as: str | None = None
        self._task = task
        self._worker = worker
        self._database = database
        self._interrupted: Literal["stopping", "lost", "cancelled"] | None = None

    def start(self) -> None:
        """Begin."""
        self._handler = asyncio.ensure_future(self._task.handler(self.context))
        self.settled = asyncio.create_task(self._settle())
        if self.context.cancelled.is_set():
            self._insist()

    def interrupt(self, reason: Literal["stopping", "lost", "cancelled"]) -> None:
        """End the handler where it stands."""
        if not self._handler.done():
            self._interrupted = reason
            self._handler.cancel()

    def cancel(self) -> None:
        """Ask the handler to end, and end it where it does not."""
        if not self.context.cancelled.is_set():
            self.context.cancelled.set()
            self._insist()

    def _insist(self) -> None:
        asyncio.get_running_loop().call_later(CANCEL_GRACE_S, self.interrupt, "cancelled")

    async def _settle(self) -> None:
        await asyncio.wait([self._handler])
        if (ending := self._ending()) is None:
            return
        try:
            self.ended_as = await self._database.write(ending)
        except Exception as error:  # noqa: BLE001 - the boundary: the lease runs out, others try
            self._report(error)

    def _ending(self) -> Ending | None:
        """Return what to write; nothing where the lease is lost."""
        if self._handler.cancelled():
            return self._after_interruption()
        error = self._handler.exception()
        match error:
            case None:
                return self._after_success(self._handler.result())
            case LeaseLostError():
                return None
            case JobCancelledError():
                return self._fail("cancelled", "cancelled")
            case JobFailedError():
                return self._fail("failed", str(error))
            case _:
                return self._after_error(error)

    def _after_interruption(self) -> Ending | None:
        match self._interrupted:
            case "lost":
                return None
            case "cancelled":
                return self._fail("cancelled", "cancelled")
            case _:
                return self._again(0)

    def _after_success(self, outcome: Again | None) -> Ending:
        if outcome is not None:
            return self._again(outcome.after_s)
        if self._task.every_s is not None:
            anew = {"attempts": 0, "checkpoint": None, "cancel_requested": False, "error": None}
            return self._again(self._task.every_s, **anew)
        return self._end

    def _after_error(self, error: BaseException) -> Ending:
        self._report(error)
        told = error.message if isinstance(error, APIError) else type(error).__qualname__
        attempts = self.context.attempts + 1
        if self._task.every_s is not None:
            return self._again(self._task.every_s, attempts=attempts, error=told)
        if attempts >= self._task.max_attempts:
            return self._fail("failed", f"{told} ({attempts} attempts)")
        pause = min(_LONGEST_BACK_OFF_S, 2**attempts)
        return self._again(pause, attempts=attempts, error=told)

    def _end(self, connection: Connection) -> str | None:
        ended = store.end(connection, self.context.id, self._worker, "done", None)
        return "done" if ended else None

    def _fail(self, state: Literal["failed", "cancelled"], reason: str) -> Ending:
        def fail(connection: Connection) -> str | None:
            mine = self.context.id, self._worker
            return settle.fail(connection, *mine, task=self._task, state=state, reason=reason)

        return fail

    def _again(self, after_s: int, **values: object) -> Ending:
        def put_back(connection: Connection) -> None:
            run_at = clock.now() + after_s
            store.put_back(connection, self.context.id, self._worker, run_at, **values)

        return put_back

    def _report(self, error: BaseException) -> None:
        """Log an error without its message, which may quote what the job is about."""
        fields = {
            "job": self.context.id,
            "kind": self.context.kind,
            "frames": traceback.format_tb(error.__traceback__),
        }
        log.error("job failed: %s", type(error).__qualname__, extra={"fields": fields})
