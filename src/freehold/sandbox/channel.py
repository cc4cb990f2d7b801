"""The server's ends of a session: frames from the kernel, text from all its programs.

Nothing that comes is trusted. What breaks the protocol or never ends loses the session.
"""

import asyncio
import codecs
import os
import socket
import struct
from contextlib import suppress
from typing import Final, Protocol, cast

import msgspec

_HEAD: Final = struct.Struct(">IB")
_PICTURE, _END, _CODE = b"PEC"
_LONGEST: Final = {_PICTURE: 8 << 20, _END: 64 << 10}
_BLOCK: Final = 1 << 16
_LAST_WORDS: Final = 1 << 20  # the most that a pipe can hold when a call has ended
_BROKEN: Final = "the session broke its own rules"


class _End(msgspec.Struct):
    error: str | None


class Listener(Protocol):
    """Who hears what a session says."""

    def printed(self, text: str) -> None:
        """Take text, as it comes."""
        ...

    def shown(self, png: bytes) -> None:
        """Take a picture."""
        ...

    def ended(self, error: str | None) -> None:
        """Take the end of a call."""
        ...

    def lost(self, reason: str) -> None:
        """Hear that nothing more will come."""
        ...


class Channel(asyncio.Protocol):
    """Frames over a socket; ``text`` is the descriptor where the session's text arrives."""

    def __init__(self, text: int, listener: Listener) -> None:
        self._text = text
        self._listener = listener
        self._buffer = bytearray()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()

    async def open(self, ours: socket.socket) -> None:
        """Begin to listen on a connected socket."""
        await self._loop.create_connection(lambda: self, sock=ours)

    def call(self, code: str) -> None:
        """Send code to be run, and listen to what it prints."""
        self._send(code.encode(errors="replace"))
        self._loop.add_reader(self._text, self._read_text)

    def rest(self) -> None:
        """Listen no more to text; what still is printed waits, and whoever prints it."""
        self._loop.remove_reader(self._text)

    def close(self) -> None:
        """Let go of both ends."""
        self.rest()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not its child

    def connection_lost(self, exc: Exception | None) -> None:
        self._read_rest()
        self._listener.lost("the session ended by itself" if exc is None else str(exc))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            length, kind = _HEAD.unpack_from(self._buffer)
            if length > _LONGEST.get(kind, -1):
                self._fail()
                return
            end = _HEAD.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEAD.size : end])
            del self._buffer[:end]
            self._take(kind, body)

    def _take(self, kind: int, body: bytes) -> None:
        self._read_rest()
        if kind == _PICTURE:
            self._listener.shown(body)
            self._send(b"")
            return
        try:
            error = msgspec.json.decode(body, type=_End).error
        except msgspec.DecodeError:
            self._fail()
        else:
            self._listener.ended(error)

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(_HEAD.pack(len(data), _CODE) + data)

    def _fail(self) -> None:
        self._buffer.clear()
        self._listener.lost(_BROKEN)

    def _read_rest(self) -> None:
        """Take what was printed before the frame that has just come."""
        left = _LAST_WORDS
        while left > 0 and (read := self._read_text()):
            left -= read

    def _read_text(self) -> int:
        data = b""
        with suppress(BlockingIOError):
            if not (data := os.read(self._text, _BLOCK)):
                self.rest()  # all programs have closed it
        if text := self._decoder.decode(data):
            self._listener.printed(text)
        return len(data)
