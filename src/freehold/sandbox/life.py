"""One kernel from its start to its end: it runs calls, and dies where a limit is reached."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Final

from freehold.core.settings import InterpreterSettings
from freehold.sandbox import files, usage
from freehold.sandbox.call import Call
from freehold.sandbox.channel import Channel
from freehold.sandbox.events import Ended, Event
from freehold.sandbox.process import Jailed

_log = logging.getLogger(__name__)
_MB: Final = 1 << 20


class Life:
    """A kernel that runs; ``over`` says why it runs no more."""

    def __init__(self, settings: InterpreterSettings, jailed: Jailed) -> None:
        self.over: str | None = None
        self.jailed = jailed
        self._settings = settings
        self._channel = Channel(jailed.text, self)
        self._call: Call | None = None
        self._seen: files.Snapshot = {}
        self._cpu_s = 0.0
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def begin(cls, settings: InterpreterSettings, jailed: Jailed) -> "Life":
        """Return the life of a kernel that has just been started."""
        life = cls(settings, jailed)
        await life._channel.open(jailed.channel)
        return life

    @property
    def running(self) -> bool:
        """Whether a call is running."""
        return self._call is not None

    async def run(self, code: str) -> AsyncGenerator[Event]:
        """Run a call and yield what it says, ``Ended`` last. Left before, the life ends."""
        self._call = call = Call(self._settings.output_kb << 10, self._cpu_s)
        self._channel.call(code)
        try:
            while not isinstance(event := await call.next(), Ended):
                yield event
            yield await self._finished(event)
        finally:
            self._call = None
            if not call.over:
                self.lost("its last call was left")

    def note(self, name: str) -> None:
        """Know a file that the server has put there, so that it is no output."""
        self._seen[name] = files.mark(self.jailed.data, name)

    async def _finished(self, end: Ended) -> Ended:
        """Leave nothing running, and look which files are new."""
        if self.over is not None:
            return end
        self.jailed.tidy()
        if (reason := await self._full()) is not None:
            self.lost(reason)
            return Ended(_told(reason))
        found = await asyncio.to_thread(files.snapshot, self.jailed.data, self._settings.files)
        new = files.outputs(self._seen, found, self._settings.disk_mb * _MB)
        self._seen = found
        return replace(end, files=new)

    async def close(self) -> None:
        """End all its processes."""
        self.lost("it was closed")
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def check(self) -> None:
        """End the life where a limit has been reached."""
        if self.over is None and (reason := await self._excess()) is not None:
            self.lost(reason)

    async def _excess(self) -> str | None:
        limits = self._settings
        most = limits.memory_mb * _MB
        now = usage.of(self.jailed.family(), most)
        self._cpu_s = max(self._cpu_s, now.cpu_s)
        if now.memory > most:
            return f"it used more than {limits.memory_mb} MB of memory"
        call = self._call
        if call is None:
            self.jailed.tidy()
        elif asyncio.get_running_loop().time() - call.started > limits.wall_s:
            return f"a call took longer than {limits.wall_s:g} s"
        if now.cpu_s - (call.cpu_s if call else self._cpu_s) > limits.cpu_s:
            return f"a call used more than {limits.cpu_s:g} s of the processor"
        return await self._full()

    async def _full(self) -> str | None:
        limits = self._settings
        entries, size = await self.jailed.disk()
        if entries > limits.files:
            return f"it made more than {limits.files} files"
        if size > limits.disk_mb * _MB:
            return f"its files took more than {limits.disk_mb} MB"
        return None

    def printed(self, text: str) -> None:
        """Take text that was printed."""
        if self._call is not None and not self._call.printed(text):
            self.lost("it printed without end")

    def shown(self, png: bytes) -> None:
        """Take a picture."""
        if self._call is None or not self._call.shown(png):
            self.lost("it showed too many pictures")

    def ended(self, error: str | None) -> None:
        """Take the end of a call."""
        if self._call is None or self._call.over:
            self.lost("it broke its own rules")
            return
        self._channel.rest()
        self._call.end(error)

    def lost(self, reason: str) -> None:
        """End the life; a running call ends with the reason as its error."""
        if self.over is not None:
            return
        self.over = reason
        self._channel.close()
        self._closing = asyncio.create_task(self.jailed.close())
        if self._call is not None:
            self._call.end(_told(reason))


def _told(reason: str) -> str:
    return f"The session was ended: {reason}."
