"""Reads documents in child processes, a few at once, each with little memory and time."""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from freehold.documents import formats
from freehold.documents.chunking import Chunking
from freehold.documents.errors import UnreadableError
from freehold.documents.messages import Parsed, Unreadable

_CHILD: Final = "freehold.documents.child"
# Nothing else of our environment reaches the child: it may hold keys.
_PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
_TIMEOUT_S: Final = 300.0
_AT_ONCE: Final = 2
_TOO_SLOW: Final = "The file takes too long to read."


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document; ``start`` is its first character's place in the text."""

    start: int
    tokens: int
    text: str


class Reader:
    """Turns documents into chunks of text."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def chunks(
        self, path: Path, filename: str, how: Chunking, most_tokens: int
    ) -> list[Chunk]:
        """Return the document's chunks, in order. Raises ``UnreadableError``.

        What the document is, its name's ending says.
        """
        ending = formats.check(filename)
        arguments = [str(path), ending, str(how.size), str(how.overlap), str(most_tokens)]
        async with self._turns:
            answer = await _run(arguments)
        told = await asyncio.to_thread(msgspec.msgpack.decode, answer, type=Parsed | Unreadable)
        if isinstance(told, Unreadable):
            raise UnreadableError(told.message, told.code)
        return [Chunk(start, tokens, told.text[start:end]) for start, end, tokens in told.spans]


async def _run(arguments: list[str]) -> bytes:
    """Return what the child answers. Raises ``UnreadableError`` where it was too greedy."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        _CHILD,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
    )
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            answer, _ = await child.communicate()
    except TimeoutError:
        raise UnreadableError(_TOO_SLOW) from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode == -signal.SIGXCPU:
        raise UnreadableError(_TOO_SLOW)
    if child.returncode:
        raise UnreadableError("The file can't be read: it broke the program that reads it.")
    return answer
