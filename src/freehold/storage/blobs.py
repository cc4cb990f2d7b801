"""Blobs: bytes by name, whole or not at all; a folder and an S3 bucket behave the same here."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Protocol

BLOCK = 1 << 20  # what a writer holds in memory, and a reader gives at once

Observer = Callable[[bytes], object]


class BlobMissingError(Exception):
    """There is no blob of this name."""


class Sink(Protocol):
    """Where the bytes of one new blob go."""

    async def put(self, data: bytes) -> None:
        """Append a block."""
        ...

    async def finish(self) -> None:
        """Make the blob durable, then visible under its name, in place of an older one."""
        ...

    async def abandon(self) -> None:
        """Leave nothing behind."""
        ...


class BlobWriter:
    """Writes one blob in blocks; what ``observers`` do with each runs off the event loop."""

    def __init__(self, sink: Sink, observers: tuple[Observer, ...]) -> None:
        self._sink = sink
        self._observers = observers
        self._pending: list[bytes] = []
        self._waiting = 0
        self.size = 0

    async def write(self, data: bytes) -> None:
        self._pending.append(data)
        self._waiting += len(data)
        self.size += len(data)
        if self._waiting >= BLOCK:
            await self._flush()

    async def commit(self) -> None:
        """Once this returns, the blob is there and survives a power cut."""
        await self._flush()
        await self._sink.finish()

    async def abort(self) -> None:
        """Leave nothing behind; harmless after an error of ``write`` or ``commit``."""
        await self._sink.abandon()

    async def _flush(self) -> None:
        block = b"".join(self._pending)
        self._pending.clear()
        self._waiting = 0
        if block:
            await asyncio.to_thread(self._observe, block)
            await self._sink.put(block)

    def _observe(self, block: bytes) -> None:
        for observe in self._observers:
            observe(block)


class Blobs(Protocol):
    """A store of blobs. Their names are random lower-case letters and digits.

    Where the store itself fails, ``ServiceUnavailableError`` says so to the client.
    """

    async def create(self, name: str, *observers: Observer) -> BlobWriter:
        """Begin a blob. Until it is committed, nothing can be read under its name."""
        ...

    def read(
        self, name: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from ``start`` on, at most ``length``. Raises ``BlobMissingError``."""
        ...

    async def size(self, name: str) -> int:
        """Return the number of bytes. Raises ``BlobMissingError``."""
        ...

    async def delete(self, name: str) -> None:
        """Delete the blob and what unfinished writers left of it; nothing there is fine."""
        ...

    def path(self, name: str) -> Path | None:
        """Return the blob's file on this machine; None where the store is elsewhere."""
        ...
