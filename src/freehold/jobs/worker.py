"""Runs jobs in this process: claims them, keeps their leases, ends them truthfully."""

import asyncio
import contextlib
import logging
import math
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from freehold.core import clock
from freehold.jobs import settle, store
from freehold.jobs.job import BACKGROUND, JobContext, Task
from freehold.jobs.queue import Jobs
from freehold.jobs.run import Run

log = logging.getLogger("freehold.jobs")
_COUNT_EVERY_S = 5.0
_STOP_GRACE_S = 10.0  # what handlers get to clean up; who needs longer loses the lease
_PERIODIC = "periodic"  # the key of a job of which there is one


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look at the table has shown."""

    due: bool
    held: Mapping[str, bool]  # this worker's jobs, each with whether to cancel it
    counts: Mapping[tuple[str, str], int] | None  # of all live jobs, where it was time to count


@dataclass(frozen=True, slots=True)
class Figures:
    """What operators watch, by kind: what waits anywhere, and what runs and ended here."""

    queued: Mapping[str, int]
    running: Mapping[str, int]
    ended: Mapping[tuple[str, str], int]  # by kind and state


class Worker:
    """Runs up to ``at_once`` jobs in this event loop; background jobs leave a quarter of it free.

    ``sole`` says that no other worker can be alive: leases found at the start are those of a
    process that died, and are not waited for. A job that may have taken workers down is run once
    this one has lived for ``trial_s``: where processes die of something else, none gets so far.
    """

    def __init__(
        self,
        jobs: Jobs,
        tasks: Mapping[str, Task],
        *,
        at_once: int = 16,
        lease_s: int = 30,
        sole: bool = False,
        trial_s: float = 10.0,
    ) -> None:
        self.name = f"worker_{secrets.token_hex(8)}"
        self.ended: Counter[tuple[str, str]] = Counter()
        self._jobs = jobs
        self._database = jobs.database
        self._tasks = tasks
        self._at_once = at_once
        self._in_background = max(1, at_once * 3 // 4)
        self._lease_s = lease_s
        self._sole = sole
        self._runs: dict[str, Run] = {}
        self._crowded = asyncio.Event()
        self._stopping = False
        self._trusted_at = time.monotonic() + trial_s
        self._beaten_at = time.monotonic()
        self._counted_at = -math.inf
        self._queued: dict[str, int] = {}
        self._loop: asyncio.Task[None] | None = None

    def figures(self) -> Figures:
        """Return the figures of now; what waits was counted within the last seconds."""
        running = Counter(run.context.kind for run in self._runs.values())
        return Figures(self._queued, running, self.ended)

    def start(self) -> None:
        """Begin to look for work."""
        self._jobs.worker = self
        self._loop = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Interrupt what runs and put it back, to be resumed by whoever starts next."""
        self._jobs.worker = None
        self._stopping = True
        self._jobs.due.set()
        if self._loop is not None:  # not cancelled: what it claims must be known to be put back
            await self._loop
        runs = list(self._runs.values())
        for run in runs:
            run.interrupt("stopping")
        if runs:
            await asyncio.wait({run.settled for run in runs}, timeout=_STOP_GRACE_S)

    def lease(self, now: int) -> dict[str, Any]:
        """Return the columns of a job that this worker has leased."""
        held = {"worker": self.name, "started_at": now, "lease_ends_at": now + self._lease_s}
        return {"state": "running", "losses": 1, **held}

    def begin(self, row: Row[Any]) -> bool:
        """Run a job that this worker has leased; False where it has no such lease."""
        if row.state != "running" or row.worker != self.name or row.id in self._runs:
            return False
        self._begin(row)
        return True

    def _begin(self, row: Row[Any]) -> None:
        context = JobContext(row, self._database, self.name, self._crowded)
        run = Run(context, self._tasks[row.kind], self.name, self._database)
        self._runs[row.id] = run
        run.start()
        run.settled.add_done_callback(lambda _: self._left(run))

    async def _work(self) -> None:
        started = False
        while not self._stopping:
            self._jobs.due.clear()
            try:
                if not started:
                    await self._database.write(self._settle_in)
                    started = True
                await self._turn()
            except Exception as error:  # noqa: BLE001 - the boundary: reported, tried again
                log.warning("jobs are not looked after: %s", type(error).__qualname__)
            if not self._stopping:
                await self._rest()

    async def _rest(self) -> None:
        """Wait until something is due in this process, or it is time to look for others'."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._jobs.poll_s):
                await self._jobs.due.wait()

    def _settle_in(self, connection: Connection) -> None:
        """Take back what a dead process held, and see that each periodic job is there."""
        if self._sole:
            settle.recover(connection, self._tasks, None)
        now = clock.now()
        for kind, task in self._tasks.items():
            if task.every_s is not None:
                due = now + task.every_s
                self._jobs.enqueue(
                    connection, kind, {}, key=_PERIODIC, priority=BACKGROUND, run_at=due
                )

    async def _turn(self) -> None:
        """Keep leases, pass on requests to cancel, claim and begin what is due."""
        await self._keep_leases()
        watched = list(self._runs)
        look = await self._database.read(lambda c: self._look(c, watched))
        self._heed(watched, look.held)
        self._keep(look.counts)
        room, background_room = self._room()
        claimed: list[Row[Any]] = []
        if look.due and room:
            claimed = await self._database.write(lambda c: self._claim(c, room, background_room))
            for row in claimed:
                self._begin(row)
        if look.due and not claimed and (room == 0 or background_room <= 0):
            self._crowded.set()
        else:
            self._crowded.clear()

    async def _keep_leases(self) -> None:
        if time.monotonic() - self._beaten_at < self._lease_s / 3:
            return
        watched = list(self._runs)
        self._beaten_at = time.monotonic()
        if watched:
            until = clock.now() + self._lease_s
            held = await self._database.write(lambda c: store.extend(c, watched, self.name, until))
            self._heed(watched, held)

    def _look(self, connection: Connection, watched: list[str]) -> _Look:
        return _Look(
            store.is_due(connection, self._tasks, clock.now(), suspects=self._is_trusted()),
            store.asked_to_cancel(connection, watched, self.name) if watched else {},
            self._counts(connection),
        )

    def _counts(self, connection: Connection) -> Mapping[tuple[str, str], int] | None:
        if time.monotonic() - self._counted_at < _COUNT_EVERY_S:
            return None
        return store.counts(connection)

    def _keep(self, counts: Mapping[tuple[str, str], int] | None) -> None:
        if counts is not None:
            self._counted_at = time.monotonic()
            self._queued = {kind: n for (kind, state), n in counts.items() if state == "queued"}

    def _heed(self, watched: list[str], held: Mapping[str, bool]) -> None:
        for run in [self._runs[each] for each in watched if each in self._runs]:
            if run.context.id not in held:
                run.interrupt("lost")
            elif held[run.context.id]:
                run.cancel()

    def _room(self) -> tuple[int, int]:
        background = sum(run.context.priority < 0 for run in self._runs.values())
        return max(0, self._at_once - len(self._runs)), self._in_background - background

    def _claim(self, connection: Connection, room: int, background_room: int) -> list[Row[Any]]:
        now = clock.now()
        settle.recover(connection, self._tasks, now)
        return store.claim(
            connection,
            worker=self.name,
            kinds=self._tasks,
            now=now,
            lease_s=self._lease_s,
            room=room,
            background_room=background_room,
            suspects=self._is_trusted(),
        )

    def _is_trusted(self) -> bool:
        return time.monotonic() >= self._trusted_at

    def _left(self, run: Run) -> None:
        self._runs.pop(run.context.id, None)
        if run.ended_as is not None:
            self.ended[run.context.kind, run.ended_as] += 1
        self._jobs.announce(run.context.id)
        self._jobs.due.set()
