"""The parent's end of a slot: one request at a time, answers read in groups of whole lines."""

import asyncio
from collections.abc import Callable
from typing import cast

_STOP = b"\n"


class EngineLostError(Exception):
    """The child process has ended."""


class EvictedError(Exception):
    """The answer had to make room for others."""


class Channel(asyncio.Protocol):
    """A slot of the child. ``on_idle`` is called whenever it has become free for a request.

    It is free again when the engine has ended its work and the reader has called ``release``.
    """

    def __init__(self, on_idle: Callable[["Channel"], None]) -> None:
        self._on_idle = on_idle
        self._transport: asyncio.WriteTransport | None = None
        self._rest = b""
        self._lines: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._working = True
        self._held = False
        self._lost = False
        self._evicted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Keep whole lines; wake the reader once for all of them."""
        lines = (self._rest + data if self._rest else data).split(b"\n")
        self._rest = lines.pop()
        if lines and not lines[-1]:
            lines.pop()
            self._working = False
        if self._held:
            self._lines += lines
            if lines or not self._working:  # not for a part of a line
                self._wake()
        elif not self._working:
            self._on_idle(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._lost = True
        self._working = False
        self._wake()

    @property
    def working(self) -> bool:
        """Whether the engine is at work here."""
        return self._working

    def start(self, request: bytes) -> None:
        """Hold the idle slot and send it a request. Raises ``EngineLostError``."""
        self._lines, self._held, self._evicted = [], True, False
        if self._lost or self._transport is None:
            raise EngineLostError
        self._working = True
        self._transport.write(request + b"\n")

    async def lines(self) -> list[bytes] | None:
        """Return all lines that have come since the last call; None after the last one.

        Raises ``EngineLostError`` where the child ended before the answer did, ``EvictedError``.
        """
        if not self._lines and self._working and not self._evicted:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._evicted:
            raise EvictedError
        if self._lines:
            lines, self._lines = self._lines, []
            return lines
        if self._lost:
            raise EngineLostError
        return None

    def release(self) -> None:
        """Let go of the slot; an answer that still runs ends within one token."""
        self._held, self._lines = False, []
        if self._lost or self._transport is None:
            return
        if self._working:
            self._transport.write(_STOP)
        else:
            self._on_idle(self)

    def evict(self) -> None:
        """Tell the reader that its answer can't be finished."""
        self._evicted = True
        self._wake()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
