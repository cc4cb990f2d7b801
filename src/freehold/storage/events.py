"""What happens to an object, told to those in this process who listen while it happens.

Events are not kept: who must not miss one reads the database. Each item is bytes that are ready to
be sent, so listeners share them. Where the database can carry messages, other processes can tell
this one something too: ``notify.py``.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager


class Listener:
    """What was published on one topic since it began to listen, until the topic's end."""

    def __init__(self) -> None:
        self.ended = False
        self._waiting: list[bytes] = []
        self._news = asyncio.Event()

    async def groups(self) -> AsyncGenerator[bytes, None]:
        """Yield what has come, joined, until the end."""
        while True:
            group, ended = await self.group(), self.ended
            if group:
                yield group
            if ended:
                return

    async def group(self, within_s: float | None = None) -> bytes:
        """Wait, at most so long, for news and return what has come, joined; it may be nothing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._news.wait()
        self._news.clear()
        group, self._waiting = self._waiting, []
        return b"".join(group)

    def take(self, item: bytes) -> None:
        self._waiting.append(item)
        self._news.set()

    def end(self) -> None:
        self.ended = True
        self._news.set()


class Events:
    """The topics of this process; without a listener, what is published goes nowhere.

    ``address`` is where other processes can publish on them; None where they cannot.
    """

    def __init__(self) -> None:
        self.address: str | None = None
        self._listeners: dict[str, list[Listener]] = {}

    def start(self) -> None:
        """Begin to hear other processes, where there is a way."""

    async def stop(self) -> None:
        """Hear them no more, and tell all who listen that nothing more will come."""
        for topic in list(self._listeners):
            self.end(topic)

    @contextmanager
    def listen(self, topic: str) -> Generator[Listener]:
        """Hear the topic until the block ends."""
        listener = Listener()
        self._listeners.setdefault(topic, []).append(listener)
        try:
            yield listener
        finally:
            self._listeners[topic].remove(listener)
            if not self._listeners[topic]:
                del self._listeners[topic]

    def publish(self, topic: str, item: bytes) -> None:
        for listener in self._listeners.get(topic, ()):
            listener.take(item)

    def end(self, topic: str) -> None:
        """Tell the listeners that nothing more will come."""
        for listener in self._listeners.get(topic, ()):
            listener.end()
