"""A session as its users hold it: one life after another, each with its own variables and files."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO, Final

from freehold.sandbox import files
from freehold.sandbox.events import Event, Logs, SandboxFileError
from freehold.sandbox.life import Life

_BLOCK: Final = 1 << 20


class Session:
    """Runs calls one after another; ``starts`` counts the lives, each of which begins empty."""

    def __init__(self, begin: Callable[[], Awaitable[Life]], most: int) -> None:
        """``most`` are the bytes that a file may have to be read."""
        self.starts = 0
        self.life: Life | None = None
        self.used_at = asyncio.get_running_loop().time()
        self._begin = begin
        self._most = most
        self._turn = asyncio.Lock()

    @property
    def running(self) -> bool:
        """Whether a call is running or a file is being put."""
        return self._turn.locked()

    async def put(self, name: str, content: bytes | Path | AsyncIterable[bytes]) -> None:
        """Make a file appear as /mnt/data/name, in place of an older one.

        Raises ``SandboxFileError``.
        """
        async with self._turn:
            life, _ = await self._alive()
            await _write(life, name, content)
            life.note(name)
            self._used()

    async def run(self, code: str) -> AsyncGenerator[Event]:
        """Run a call and yield what it says, ``Ended`` last.

        Where the life before has ended, the first event says so. A caller that leaves before the
        end of the call ends the life.
        """
        async with self._turn:
            life, before = await self._alive()
            if before is not None:
                yield Logs(f"[A new session: {before}. Variables and files are gone.]\n")
            async with aclosing(life.run(code)) as events:
                async for event in events:
                    yield event
            self._used()

    def open(self, name: str) -> BinaryIO:
        """Return a file below /mnt/data for reading, safely. Raises ``SandboxFileError``."""
        if self.life is None or self.life.over is not None:
            raise SandboxFileError(f"{name!r} is gone with its session.")
        self._used()
        return files.open_(self.life.jailed.data, name, self._most)

    def interrupt(self) -> None:
        """Stop the running call as Ctrl-C does; variables stay."""
        if self.life is not None and self.life.over is None and self.life.running:
            self.life.jailed.interrupt()

    async def close(self) -> None:
        """End all processes of the session; a running call ends with an error."""
        if self.life is not None:
            await self.life.close()

    async def _alive(self) -> tuple[Life, str | None]:
        """Return a life, and why the one before it ended if this one is new."""
        if self.life is not None and self.life.over is None:
            return self.life, None
        before = self.life and self.life.over
        self.life = await self._begin()
        self.starts += 1
        return self.life, before

    def _used(self) -> None:
        self.used_at = asyncio.get_running_loop().time()


async def _write(life: Life, name: str, content: bytes | Path | AsyncIterable[bytes]) -> None:
    file = files.create(life.jailed.data, name, life.jailed.uid)
    try:
        with file:
            async for block in _blocks(content):
                await asyncio.to_thread(file.write, block)
    except BaseException as error:
        files.remove(life.jailed.data, name)
        if isinstance(error, OSError):
            raise SandboxFileError(f"{name!r} can't be written: {error.strerror}.") from None
        raise


async def _blocks(content: bytes | Path | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(content, bytes):
        yield content
    elif isinstance(content, Path):
        with content.open("rb") as source:
            while block := await asyncio.to_thread(source.read, _BLOCK):
                yield block
    else:
        async for block in content:
            yield block
