"""Holds one engine: loads it on first use, and admits as many generations as it has slots."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from freehold.core.errors import ServiceUnavailableError
from freehold.engines.background import Guest, guest
from freehold.engines.base import EngineLoadError, EngineStatus

# How much the newest answer's duration counts in the average, for estimates of waiting times.
_WEIGHT_OF_NEWEST = 0.2
_FIRST_GUESS_S = 2.0
_LONGEST_RETRY_S = 60.0


class LoadFailedError(ServiceUnavailableError, EngineLoadError):
    """The engine can't be loaded: a 503 for requests, an ``EngineLoadError`` at start-up."""


class Engine(Protocol):
    """What a holder needs to know of an engine, whatever the engine does."""

    @property
    def slots(self) -> int: ...

    def status(self) -> EngineStatus: ...

    async def close(self) -> None: ...


E = TypeVar("E", bound=Engine)


class Holder(Generic[E]):
    """One engine for everybody who asks: loaded once, entered by as many as it has slots.

    The others wait in order of arrival, at most ``queue_limit`` of them; more are turned away.
    Background work (``background.guest``) waits behind them all, and leaves when one has to wait.
    It is unloaded when nobody has used it for ``idle_unload_s``, and whenever ``unload`` is called.
    ``on_idle`` is called when nobody uses the engine any more, ``on_unloaded`` when it has gone;
    the next one who asks loads it again.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[E]],
        queue_limit: int,
        *,
        idle_unload_s: float | None = None,
        on_idle: Callable[[], None] | None = None,
        on_unloaded: Callable[[], None] | None = None,
    ) -> None:
        self._load = load
        self._queue_limit = queue_limit
        self._idle_unload_s = idle_unload_s
        self._pinned = False
        self._on_idle = on_idle
        self._on_unloaded = on_unloaded
        self._engine: E | None = None
        self._loading: asyncio.Task[E] | None = None
        self._unloading: asyncio.Task[None] | None = None
        self._proven = False
        self._last_used = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._fault: str | None = None
        self._arriving = 0
        self._busy = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._waiting_guests: deque[asyncio.Future[None]] = deque()
        self._guests: list[Guest] = []
        self._duration_s = _FIRST_GUESS_S
        self._closed = False

    @property
    def queued(self) -> int:
        """How many wait for a slot, or for the engine to load."""
        return self._arriving + len(self._waiters)

    @property
    def busy(self) -> int:
        """How many generations are inside."""
        return self._busy

    @property
    def loaded(self) -> bool:
        """Whether the engine is there."""
        return self._engine is not None

    @property
    def pinned(self) -> bool:
        """Whether the engine stays, once loaded."""
        return self._pinned

    @property
    def idle(self) -> bool:
        """Whether the engine is there and nobody uses it or waits for it."""
        waiting = self.queued or self._waiting_guests
        return self._engine is not None and not self._busy and not waiting

    @property
    def last_used(self) -> float:
        """When the engine was loaded or left the last time, on the loop's clock."""
        return self._last_used

    @property
    def resident_bytes(self) -> int | None:
        """Memory of the loaded engine, None where that is not known."""
        return None if self._engine is None else self._engine.status().resident_bytes

    @asynccontextmanager
    async def admit(self) -> AsyncGenerator[E, None]:
        """Enter with one generation; wait in line first when all slots are taken.

        Raises ``ServiceUnavailableError``: code ``server_overloaded`` with ``retry_after`` when
        the line is full, without another try where the engine can't be loaded.
        """
        engine = await self._arrive()
        await self._take_slot(engine)
        started = asyncio.get_running_loop().time()
        visitor = guest.get()
        if visitor is not None:
            self._guests.append(visitor)
        try:
            yield engine
        finally:
            if visitor is not None:
                self._guests.remove(visitor)
            self._last_used = asyncio.get_running_loop().time()
            duration = self._last_used - started
            self._duration_s += _WEIGHT_OF_NEWEST * (duration - self._duration_s)
            self._give_slot()
            self._rest()

    async def ensure_loaded(self) -> E:
        """Return the engine, loading it where that has not been done; callers share one try.

        Raises ``LoadFailedError``; the next call tries again.
        """
        if self._engine is not None:
            return self._engine
        if self._closed:
            raise _stopping()
        if self._loading is None:
            self._loading = asyncio.create_task(self._load_once())
            self._loading.add_done_callback(self._loading_ended)
        return await asyncio.shield(self._loading)

    def pin(self) -> None:
        """Keep the engine from now on, once it is loaded."""
        self._pinned = True

    async def prove(self) -> None:
        """Load the engine unless that has been done before, even where it was unloaded since.

        Raises ``LoadFailedError``.
        """
        if not self._proven or self._fault is not None:
            await self.ensure_loaded()

    def unload(self) -> None:
        """Begin to free an idle engine; whoever asks meanwhile loads it again after that."""
        if self._engine is None or not self.idle:
            return
        engine, self._engine = self._engine, None
        self._unloading = asyncio.create_task(self._end(engine))

    def status(self) -> EngineStatus:
        """Return the engine's own status, or how far its loading is."""
        if self._engine is not None:
            return replace(self._engine.status(), queued=self.queued)
        if self._fault is not None and self._loading is None:
            return EngineStatus("failed", 0, 0, 0, 0, detail=self._fault)
        if self._loading is None:
            return EngineStatus("unloaded", 0, 0, 0, 0, detail="loaded when it is asked for")
        return EngineStatus("loading", 0, 0, 0, 0, detail="being loaded", queued=self.queued)

    async def close(self) -> None:
        """Turn away who waits and stop the engine."""
        self._closed = True
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])
        for waiter in (*self._waiters, *self._waiting_guests):
            if not waiter.done():
                waiter.set_exception(_stopping())
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._unloading is not None:
            await asyncio.wait([self._unloading])
        if self._engine is not None:
            await self._engine.close()

    async def _load_once(self) -> E:
        if self._unloading is not None:
            await asyncio.wait([self._unloading])
        try:
            engine = await self._load()
        except EngineLoadError as error:
            self._fault = str(error)
            raise LoadFailedError(self._fault, code="model_not_loaded", retryable=False) from error
        self._engine, self._fault, self._proven = engine, None, True
        self._last_used = asyncio.get_running_loop().time()
        return engine

    async def _end(self, engine: E) -> None:
        try:
            await engine.close()
        finally:
            self._unloading = None
            if self._on_unloaded is not None:
                self._on_unloaded()

    def _rest(self) -> None:
        """Tell those who wait for an idle engine, and begin to count the time it is unused."""
        if not self.idle:
            return
        if self._on_idle is not None:
            self._on_idle()
        if self._idle_unload_s is not None and self._idle_timer is None:
            self._watch_idleness(self._idle_unload_s)

    def _watch_idleness(self, idle_unload_s: float) -> None:
        """Look again when the engine may have been unused for long enough."""
        if self._pinned:
            return
        loop = asyncio.get_running_loop()
        due = self._last_used + idle_unload_s
        self._idle_timer = loop.call_at(due, self._unload_if_unused, idle_unload_s)

    def _unload_if_unused(self, idle_unload_s: float) -> None:
        self._idle_timer = None
        if not self.idle:
            return
        if asyncio.get_running_loop().time() >= self._last_used + idle_unload_s:
            self.unload()
        else:
            self._watch_idleness(idle_unload_s)

    def _loading_ended(self, task: asyncio.Task[E]) -> None:
        self._loading = None
        if not task.cancelled():
            # Marks the exception as seen, in case that all who waited have gone.
            task.exception()
        self._rest()

    async def _arrive(self) -> E:
        if self._engine is not None:
            return self._engine
        if self._arriving > self._queue_limit:
            raise self._overloaded(1)
        self._arriving += 1
        try:
            return await self.ensure_loaded()
        finally:
            self._arriving -= 1
            self._rest()

    async def _take_slot(self, engine: E) -> None:
        if self._closed:
            raise _stopping()
        if self._busy < engine.slots and not self._waiters:
            self._busy += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        line = self._line(engine)
        line.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            self._leave(line, waiter)
            raise

    def _line(self, engine: E) -> deque[asyncio.Future[None]]:
        """Return where to wait; for one who is awaited a guest is asked to leave."""
        if guest.get() is not None:
            return self._waiting_guests
        if len(self._waiters) >= self._queue_limit:
            raise self._overloaded(engine.slots)
        staying = [one for one in self._guests if one.leave is not None and not one.sent_away]
        if staying:
            staying[-1].give_way()
        return self._waiters

    def _leave(self, line: deque[asyncio.Future[None]], waiter: asyncio.Future[None]) -> None:
        """Step out of the line; a slot that was handed over in the same moment goes on."""
        if waiter in line:
            line.remove(waiter)
        elif not waiter.cancelled() and waiter.exception() is None:
            self._give_slot()

    def _give_slot(self) -> None:
        for line in (self._waiters, self._waiting_guests):
            while line:
                waiter = line.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    return
        self._busy -= 1

    def _overloaded(self, slots: int) -> ServiceUnavailableError:
        wait = self._duration_s * (self.queued + 1) / max(1, slots)
        return ServiceUnavailableError(
            "The server is overloaded: too many requests wait for this model. "
            "Please retry after a brief wait.",
            code="server_overloaded",
            retry_after=min(max(1.0, round(wait, 1)), _LONGEST_RETRY_S),
        )


def _stopping() -> ServiceUnavailableError:
    return ServiceUnavailableError("The server is shutting down.", retry_after=5)
