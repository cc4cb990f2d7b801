"""Keeps a child process running: one that dies is replaced, with growing pauses."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Generic, Literal, Protocol, TypeVar

from freehold.core.errors import ServiceUnavailableError
from freehold.engines.base import EngineLoadError

_log = logging.getLogger(__name__)
_FIRST_DELAY_S: Final = 0.2
_LONGEST_DELAY_S: Final = 30.0
_CALM_S: Final = 30.0


class Running(Protocol):
    """A child that has loaded its model."""

    async def wait(self) -> str:
        """Return how the child ended, once it has."""
        ...

    async def close(self) -> None:
        """End the child; what it was asked fails."""
        ...


P = TypeVar("P", bound=Running)


class Kept(Generic[P]):
    """The child of the moment; ``start`` makes another. ``name`` is for the log."""

    def __init__(self, name: str, start: Callable[[], Awaitable[P]]) -> None:
        self.running: P | None = None
        self.restarts = 0
        self.detail: str | None = None
        self._name = name
        self._start = start
        self._delay_s = _FIRST_DELAY_S
        self._watching: asyncio.Task[None] | None = None

    async def begin(self) -> P:
        """Start the first child and watch over it. Raises ``EngineLoadError``."""
        self.running = await self._start()
        self._watching = asyncio.create_task(self._watch())
        return self.running

    def require(self) -> P:
        """Return the child. Raises ``ServiceUnavailableError`` while there is none."""
        if self.running is None:
            raise ServiceUnavailableError(
                "The engine is restarting. Please try again in a moment.",
                retry_after=max(1.0, self._delay_s),
            )
        return self.running

    @property
    def state(self) -> Literal["ready", "restarting"]:
        return "ready" if self.running else "restarting"

    async def close(self) -> None:
        """End the child for good."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None
        if self.running is not None:
            running, self.running = self.running, None
            await running.close()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while self.running is not None:
            started = loop.time()
            ending = await self.running.wait()
            _log.warning("The engine of %s %s.", self._name, ending)
            ended, self.running = self.running, None
            self.detail = f"The engine {ending}."
            await ended.close()
            if loop.time() - started > _CALM_S:
                self._delay_s = _FIRST_DELAY_S
            self.running = await self._restart()

    async def _restart(self) -> P:
        while True:
            await asyncio.sleep(self._delay_s)
            self._delay_s = min(self._delay_s * 2, _LONGEST_DELAY_S)
            try:
                running = await self._start()
            except (EngineLoadError, OSError) as error:
                self.detail = str(error)
                _log.warning("The engine can't be restarted: %s", error)
                continue
            self.restarts += 1
            self.detail = None
            return running


def lost() -> ServiceUnavailableError:
    """Return the error of a request whose child ended."""
    return ServiceUnavailableError(
        "The engine stopped while it worked on this request. Please try again.", retry_after=1
    )
