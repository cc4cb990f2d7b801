"""What happens to an object, told to those in this process who listen while it happens.

Events are not kept: who must not miss one reads the database. Each item is bytes that are ready to
be sent, so listeners share them.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager


class Listener:
    """What was published on one topic since it began to listen, until the topic's end."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._ended = False
        self._news = asyncio.Event()

    async def groups(self) -> AsyncGenerator[bytes, None]:
        """Yield what has come, joined, until the end."""
        while True:
            await self._news.wait()
            self._news.clear()
            group, self._waiting = self._waiting, []
            ended = self._ended
            if group:
                yield b"".join(group)
            if ended:
                return

    def take(self, item: bytes) -> None:
        self._waiting.append(item)
        self._news.set()

    def end(self) -> None:
        self._ended = True
        self._news.set()


class Events:
    """The topics of this process; without a listener, what is published goes nowhere."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}

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

    def heard(self, topic: str) -> bool:
        """Return whether anybody listens."""
        return topic in self._listeners

    def publish(self, topic: str, item: bytes) -> None:
        for listener in self._listeners.get(topic, ()):
            listener.take(item)

    def end(self, topic: str) -> None:
        """Tell the listeners that nothing more will come."""
        for listener in self._listeners.get(topic, ()):
            listener.end()
