"""Units of work on their way from an event loop to a thread and back.

A caller hands in a function and awaits its future; a thread takes it, runs it on its connection and
delivers the outcome. One call into the event loop delivers a whole group: waking a loop costs more
than a small insert.
"""

import asyncio
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Lock, local
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, event

T = TypeVar("T")
_here = local()  # whether this thread is running a unit


class Unit:
    """One function to run on a connection, and the future that waits for its outcome."""

    __slots__ = ("error", "future", "loop", "result", "work")

    def __init__(self, work: Callable[[Connection], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self, connection: Connection) -> bool:
        """Run the function, keep its result or what it raised, and say whether it succeeded."""
        _here.in_unit = True
        try:
            result = self.work(connection)
        except BaseException as error:  # noqa: BLE001 - it comes out at the caller's await
            self.error = error
            return False
        finally:
            _here.in_unit = False
        if isinstance(result, CursorResult) and result.cursor is not None:
            result.close()
            self.error = TypeError("A unit of work returned unread rows: fetch them inside it.")
            return False
        self.result, self.error = result, None
        return True

    def settle(self) -> None:
        """Give the caller the outcome, unless it has gone away; runs in the event loop."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        elif isinstance(self.error, StopIteration):  # a future cannot carry it
            wrapped = RuntimeError("A unit of work raised StopIteration.")
            wrapped.__cause__ = self.error
            self.future.set_exception(wrapped)
        else:
            self.future.set_exception(self.error)


def deliver(units: list[Unit]) -> None:
    """Wake all callers, with one call into each event loop that waits."""
    loops = {unit.loop for unit in units}
    for loop in loops:
        group = units if len(loops) == 1 else [unit for unit in units if unit.loop is loop]
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, group)


@contextmanager
def delivering(units: list[Unit]) -> Generator[None]:
    """Deliver the units at the end; should running them break down, callers get that error."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - it comes out at the callers' await
        for unit in units:
            unit.error = unit.error or error
    deliver(units)


def _settle(units: Iterable[Unit]) -> None:
    for unit in units:
        unit.settle()


class Intake:
    """A queue of units; once closed it refuses new ones but still gives out what it accepted."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Unit | None] = SimpleQueue()
        self._lock = Lock()
        self._closed = False

    async def submit(self, work: Callable[[Connection], T]) -> T:
        """Queue ``work`` and return its result; cancelling the wait does not take it back."""
        unit = Unit(work, asyncio.get_running_loop())
        with self._lock:
            if self._closed:
                raise RuntimeError("The database is closed.")
            self._queue.put(unit)
        return await unit.future

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._queue.put(None)

    def take(self) -> Unit | None:
        """Wait for one unit; None once the intake is closed and empty."""
        unit = self._queue.get()
        if unit is None:
            self._queue.put(None)  # for the next thread
        return unit

    def take_all(self, limit: int) -> list[Unit]:
        """Wait for a unit and return it with those behind it; empty once closed and empty."""
        group: list[Unit] = []
        unit = self.take()
        with suppress(Empty):
            while unit is not None:
                group.append(unit)
                if len(group) == limit:
                    break
                unit = self._queue.get_nowait()
                if unit is None:
                    self._queue.put(None)
        return group


def forbid_ending_transactions(engine: Engine) -> None:
    """Make ``commit()`` and ``rollback()`` inside a unit an error: Database does both."""

    def refuse(_: Connection) -> None:
        if getattr(_here, "in_unit", False):
            raise RuntimeError("A unit of work must not commit or roll back: return or raise.")

    event.listen(engine, "commit", refuse)
    event.listen(engine, "rollback", refuse)
