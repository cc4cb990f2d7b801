"""One call while it runs: what it has said so far, within its limits."""

import asyncio
from typing import Final

from freehold.sandbox.events import Ended, Event, Logs, Picture

_FLOOD: Final = 64  # times the text that is passed on: no program prints that by mistake
_MOST_PICTURES: Final = 64
_MOST_PIXELS: Final = 32 << 20  # bytes of them, as PNG
_LEFT_OUT: Final = "\n[The rest of the output is left out.]\n"


class Call:
    """Collects the events of a call. ``most`` are the characters of text that are passed on."""

    def __init__(self, most: int, cpu_s: float) -> None:
        self.over = False
        self.cpu_s = cpu_s  # what the session had used before
        self.started = asyncio.get_running_loop().time()
        self._most = most
        self._printed = 0
        self._pictures = 0
        self._shown = 0
        self._events: asyncio.Queue[Event] = asyncio.Queue()

    async def next(self) -> Event:
        """Return the next event, once it is there."""
        return await self._events.get()

    def printed(self, text: str) -> bool:
        """Take text; return whether it is bearable."""
        left = max(0, self._most - self._printed)
        cut_before = self._printed > self._most
        self._printed += len(text)
        if passed := text[:left]:
            self._events.put_nowait(Logs(passed))
        if self._printed > self._most and not cut_before:
            self._events.put_nowait(Logs(_LEFT_OUT))
        return self._printed <= self._most * _FLOOD

    def shown(self, png: bytes) -> bool:
        """Take a picture; return whether there are few enough."""
        self._pictures += 1
        self._shown += len(png)
        self._events.put_nowait(Picture(png))
        return self._pictures <= _MOST_PICTURES and self._shown <= _MOST_PIXELS

    def end(self, error: str | None) -> None:
        """End it; what comes later is not heard."""
        if not self.over:
            self.over = True
            self._events.put_nowait(Ended(error))
