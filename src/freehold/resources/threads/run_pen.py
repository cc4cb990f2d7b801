"""Writes down what a run does, and lets out what is told of it once it is written."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from freehold.jobs.job import JobContext

T = TypeVar("T")
Unit = Callable[[Connection], Any]

# How long a unit waits for others to be written with: nobody notices it, and an engine that answers
# at once costs one commit instead of three.
_TOGETHER_S: Final = 0.002


class Pen:
    """Takes units in their order; those that wait together are written in one transaction.

    What is told goes out when every unit that was issued before it has been written.
    """

    def __init__(self, job: JobContext, publish: Callable[[bytes], None]) -> None:
        self._job = job
        self._publish = publish
        self._waiting: list[tuple[Unit, asyncio.Future[Any]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._held: deque[tuple[int, bytes]] = deque()
        self._issued = 0
        self._written = 0
        self._fault: BaseException | None = None

    def issue(self, unit: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Have a unit written soon. A fault comes out here, or at the next unit."""
        if self._fault is not None:
            raise self._fault
        written: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((unit, written))
        self._issued += 1
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        return written

    async def write(self, unit: Callable[[Connection], T]) -> T:
        """Return once the unit is written; who is cancelled meanwhile leaves it to be written."""
        return await asyncio.shield(self.issue(unit))

    def tell(self, frame: bytes) -> None:
        """Let a frame out, now or when what it tells of is written."""
        if self._written == self._issued:
            self._publish(frame)
        else:
            self._held.append((self._issued, frame))

    async def settled(self) -> None:
        """Wait until nothing is being written."""
        if self._writing is not None:
            await asyncio.wait({self._writing})

    async def _write_all(self) -> None:
        await asyncio.sleep(_TOGETHER_S)
        while self._waiting:
            group, self._waiting = self._waiting, []
            await self._write_group(group)
        self._writing = None

    async def _write_group(self, group: Sequence[tuple[Unit, asyncio.Future[Any]]]) -> None:
        try:
            results = await self._job.write(lambda c: [unit(c) for unit, _ in group])
        except Exception as error:  # noqa: BLE001 - it comes out at the caller's await
            self._fault = error
            for _, written in group:
                written.set_exception(error)
                written.exception()  # seen: perhaps nobody awaits it
            return
        self._written += len(group)
        for (_, written), result in zip(group, results, strict=True):
            written.set_result(result)
        while self._held and self._held[0][0] <= self._written:
            self._publish(self._held.popleft()[1])
