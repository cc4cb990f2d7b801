"""uvicorn, with one clear line for a taken port and a shutdown that ends requests truthfully."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import uvicorn

_LAST_WORDS_S = 5.0  # what a request that was ended gets to say so


class ListenError(Exception):
    """The address can't be listened on; the message says what to do."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address. Raises ``ListenError``."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(f"The address {host} can't be used: {error.strerror}.") from None
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
    except OSError as error:
        sock.close()
        reason = error.strerror
        raise ListenError(
            f"Port {port} of {host} can't be used: {reason}. Choose another one with --port."
        ) from None
    return sock


class Listener(uvicorn.Server):
    """Serves one application on one bound socket until SIGINT or SIGTERM.

    Then no connection is accepted any more, running requests have ``grace_s`` to finish, and
    ``stop`` is called: what still runs must end itself with an error. A second signal skips the
    waiting.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        *,
        grace_s: float,
        on_listening: Callable[[], None],
        stop: Callable[[], Awaitable[None]],
    ) -> None:
        self._grace_s = grace_s
        self._on_listening = on_listening
        self._stop = stop
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=round(grace_s + _LAST_WORDS_S) or None,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests finish within the grace; stop the application in any case."""
        closing = asyncio.ensure_future(super().shutdown(sockets))
        await asyncio.wait({closing}, timeout=self._grace_s)
        await self._stop()
        await closing

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take SIGINT and SIGTERM as the wish to stop, and end normally after it."""
        loop = asyncio.get_running_loop()
        handled = (signal.SIGINT, signal.SIGTERM)
        for number in handled:
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
