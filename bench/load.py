"""A load generator: keep-alive HTTP connections in a closed loop, timed where bytes arrive.

It does little per event so that it takes little of the machine from the server it measures.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

import httptools
import orjson

WARM_UPS = 8
_LEAST_PER_CLIENT = 3
_TEXT = re.compile(rb'"content":"[^"]')
_COMPLETE = b'"finish_reason":"length"'
_STREAM_END = b"data: [DONE]"
_NO_ANSWER_S = 120.0


class LoadError(Exception):
    """A request was not answered as it should be; the figures of its case mean nothing."""


class ConnectionGoneError(LoadError):
    """The connection was closed before any of the answer came."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send requests."""

    port: int
    key: str = "none"


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked: chats of exactly ``tokens`` tokens by so many clients at once."""

    clients: int
    tokens: int
    stream: bool


@dataclass(slots=True)
class Answer:
    """One answer: seconds to its end, to its first text, and between texts."""

    seconds: float = 0.0
    first: float = 0.0
    gaps: list[float] = field(default_factory=list[float])


@dataclass(frozen=True, slots=True)
class Measured:
    """All answers of one round and the seconds from the first request to the last answer."""

    answers: list[Answer]
    seconds: float


def request(target: Target, load: Load, prompt: str) -> bytes:
    """Return the bytes of one chat request."""
    fields = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": load.tokens,
        "temperature": 0,
        "stream": load.stream,
    }
    body = orjson.dumps(fields)
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{target.port}\r\n"
        "Content-Type: application/json\r\n"
        f"Authorization: Bearer {target.key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Client(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, *, stream: bool) -> None:
        self._stream = stream
        self._lost = False
        self._waiter: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        reason = f"the connection was closed: {exc or 'no reason given'}"
        if self._waiter and not self._waiter.done():
            error = LoadError if self._answering else ConnectionGoneError
            self._waiter.set_exception(error(reason))

    def data_received(self, data: bytes) -> None:
        self._now = time.perf_counter()
        self._answering = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not HTTP: {error}")

    def on_body(self, body: bytes) -> None:
        self._body += body
        if not self._stream:
            return
        # Only whole events count: what follows the last blank line waits for more.
        end = self._body.rfind(b"\n\n", self._seen)
        if end < 0:
            return
        texts = len(_TEXT.findall(self._body, self._seen, end))
        self._seen = end
        if texts:
            self._arrived(texts)

    def on_message_complete(self) -> None:
        self._answer.seconds = self._now - self._started
        complete = _COMPLETE in self._body and (not self._stream or _STREAM_END in self._body)
        if self._parser.get_status_code() != 200 or not complete:
            beginning = bytes(self._body[:300]).decode(errors="replace")
            self._fail(f"answer {self._parser.get_status_code()}: {beginning}")
        elif self._waiter and not self._waiter.done():
            self._lost = self._lost or not self._parser.should_keep_alive()
            self._waiter.set_result(self._answer)

    @property
    def usable(self) -> bool:
        """Whether the connection takes another request."""
        return not self._lost

    async def ask(self, data: bytes) -> Answer:
        """Send a request and return its answer. Raises ``LoadError``."""
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self._seen = 0
        self._answering = False
        self._answer = Answer()
        self._waiter = asyncio.get_running_loop().create_future()
        self._started = self._last = time.perf_counter()
        self._transport.write(data)
        return await self._waiter

    def close(self) -> None:
        self._lost = True
        self._transport.close()

    def _arrived(self, texts: int) -> None:
        """Note texts that came at once: one after a gap, the others after none."""
        gap = self._now - self._last
        self._last = self._now
        if self._answer.first:
            self._answer.gaps.append(gap)
        else:
            self._answer.first = gap
        self._answer.gaps.extend([0.0] * (texts - 1))

    def _fail(self, reason: str) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(LoadError(reason))


class _Loop:
    """One client: asks again as soon as it is answered, on a new connection where it must.

    llama.cpp closes after each stream although it promised to keep the connection: the first time
    that happens costs a second try, from then on each request has a connection of its own.
    """

    def __init__(self, target: Target, load: Load) -> None:
        self._target = target
        self._load = load
        self._client: Client | None = None
        self._kept = True

    async def ask(self, prompt: str) -> Answer:
        client = self._client
        data = request(self._target, self._load, prompt)
        if client is None or not client.usable or not self._kept:
            client = await self.connect()
        try:
            return await client.ask(data)
        except ConnectionGoneError:
            if not self._kept:
                raise
            self._kept = False
            return await (await self.connect()).ask(data)

    async def connect(self) -> Client:
        self.close()
        loop = asyncio.get_running_loop()
        stream = self._load.stream
        _, self._client = await loop.create_connection(
            lambda: Client(stream=stream), "127.0.0.1", self._target.port
        )
        return self._client

    def close(self) -> None:
        if self._client:
            self._client.close()


async def drive(
    target: Target,
    load: Load,
    prompts: Iterator[str],
    seconds: float,
    begin: Callable[[], None] = lambda: None,
) -> Measured:
    """Warm up, then ask for ``seconds``, at least three times per client; wait for all answers.

    ``begin`` is called between the warm-up and the first measured request. Raises ``LoadError``,
    ``TimeoutError``.
    """
    loops = [_Loop(target, load) for _ in range(load.clients)]
    try:
        async with asyncio.timeout(seconds + _NO_ANSWER_S):
            for loop in loops:
                await loop.connect()
            await _warm_up(loops[:WARM_UPS], prompts)
            begin()
            started = time.perf_counter()
            runs = [_repeat(loop, prompts, started + seconds) for loop in loops]
            answers = await asyncio.gather(*runs)
            return Measured([a for own in answers for a in own], time.perf_counter() - started)
    finally:
        for loop in loops:
            loop.close()


async def in_a_row(target: Target, load: Load, prompts: Iterator[str], count: int) -> list[Answer]:
    """Ask so many times, one after another. Raises ``LoadError``."""
    loop = _Loop(target, load)
    try:
        return [await loop.ask(next(prompts)) for _ in range(count)]
    finally:
        loop.close()


async def _warm_up(loops: list[_Loop], prompts: Iterator[str]) -> None:
    for _ in range(0, WARM_UPS, len(loops)):
        await asyncio.gather(*(loop.ask(next(prompts)) for loop in loops))


async def _repeat(loop: _Loop, prompts: Iterator[str], end: float) -> list[Answer]:
    answers: list[Answer] = []
    while len(answers) < _LEAST_PER_CLIENT or time.perf_counter() < end:
        answers.append(await loop.ask(next(prompts)))
    return answers
