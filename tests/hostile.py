"""A small web server for tests of fetching: it sends whatever bytes it is told to, how it is told.

It listens at 127.0.0.2, which the tests take for the one public address; 127.0.0.1 is where a
fetch must never arrive.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from freehold.api.fetch import Fetcher, PinnedTransport

PUBLIC, PRIVATE = "127.0.0.2", "127.0.0.1"
Handler = Callable[[asyncio.StreamWriter], Awaitable[None]]


class HostileServer:
    """Answers each path by its handler; ``asked`` are the heads of requests, at any address."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []
        self.paths: dict[str, Handler] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def url(self, path: str, host: str = "pictures.test") -> str:
        return f"http://{host}:{self.port}{path}"

    def page(self, path: str, body: bytes, *headers: str, status: str = "200 OK") -> str:
        """Answer this path with a body, and return its URL."""

        async def send(writer: asyncio.StreamWriter) -> None:
            writer.write(head(status, f"Content-Length: {len(body)}", *headers) + body)

        return self.on(path, send)

    def redirect(self, path: str, target: str, status: str = "302 Found") -> str:
        return self.page(path, b"", f"Location: {target}", status=status)

    def on(self, path: str, handler: Handler) -> str:
        self.paths[path] = handler
        return self.url(path)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.asked.append(f"{writer.get_extra_info('sockname')[0]} {request}")
            try:
                await self.paths[request.split()[1]](writer)
                await writer.drain()
            finally:
                writer.close()


def head(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()


@contextlib.asynccontextmanager
async def hostile_server():
    """Listen at both addresses on one port."""
    hostile = HostileServer(0)
    public = await asyncio.start_server(hostile.serve, PUBLIC, 0)
    hostile.port = public.sockets[0].getsockname()[1]
    private = await asyncio.start_server(hostile.serve, PRIVATE, hostile.port)
    try:
        yield hostile
    finally:
        public.close()
        private.close()
        for task in hostile.tasks:
            task.cancel()
        await asyncio.gather(*hostile.tasks, return_exceptions=True)


def is_public(address: str) -> bool:
    return address == PUBLIC


async def found_at(*addresses: str) -> Sequence[str]:
    return addresses


async def names(host: str, port: int) -> Sequence[str]:
    """Resolve as tests need it: names below ``.test`` are ours, numbers are themselves."""
    if host.endswith(".test"):
        return [PUBLIC]
    return [host]


def fetcher(resolve=names, **options):
    """Return a fetcher for which 127.0.0.2 is the whole internet."""
    options = {"timeout_s": 5, "at_once": 2, "redirects": 3, **options}
    return Fetcher(PinnedTransport(allowed=is_public, resolve=resolve), **options)
