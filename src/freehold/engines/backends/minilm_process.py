"""Starts and ends the child process, and carries questions to it and answers back."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections import deque
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from freehold.data.embedder_options import Precision
from freehold.engines.backends.minilm_messages import (
    LENGTH_BYTES,
    Answer,
    Cancel,
    Count,
    Embed,
    Greeting,
    Input,
    Unfit,
    length,
    packed,
)
from freehold.engines.base import EngineLoadError

_CHILD: Final = "freehold.engines.backends.minilm_child"
# Nothing else of our environment reaches the child: it may hold keys.
_PASSED_ON: Final = (
    "PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
)  # fmt: skip
# The network has its own threads; the libraries around it shall start none.
_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
# What is not on this machine is not fetched behind one's back.
_OFFLINE: Final = {"HF_HUB_OFFLINE": "1"}
_REMEMBERED_LINES: Final = 20
_ANSWER: Final = msgspec.msgpack.Decoder[Answer](Answer)
_GREETING: Final = msgspec.msgpack.Decoder[Greeting](Greeting)


class ChildLostError(Exception):
    """The child process has ended before it answered."""


@dataclass(frozen=True, slots=True)
class ChildSettings:
    """What the child is told. ``embedder`` is the ``module:Class`` of its model."""

    weights: Path
    threads: int
    embedder: str
    precision: Precision


class EmbeddingProcess:
    """A running child. Any number of questions may be under way at once."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.dimensions = self.window = 0
        self._process = process
        self._reader = reader
        self._writer = writer
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._last_words: deque[str] = deque(maxlen=_REMEMBERED_LINES)
        self._listening = asyncio.create_task(self._listen_to_complaints())
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, settings: ChildSettings) -> "EmbeddingProcess":
        """Return a child that has loaded the model. Raises ``EngineLoadError``."""
        ours, theirs = socket.socketpair()
        try:
            process = await _spawn(settings, theirs.fileno())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        child = cls(process, reader, writer)
        try:
            await child._greet(settings)
        except BaseException:
            await child.close()
            raise
        child._reading = asyncio.create_task(child._read_answers())
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def busy(self) -> int:
        """How many questions wait for their answers."""
        return len(self._waiting)

    async def embed(self, inputs: list[Input]) -> Answer:
        """Return the answer to ``Embed``. Raises ``ChildLostError``."""
        number = next(self._numbers)
        return await self._ask(Embed(number, inputs))

    async def count(self, inputs: list[Input]) -> Answer:
        """Return the answer to ``Count``. Raises ``ChildLostError``."""
        return await self._ask(Count(next(self._numbers), inputs))

    def resident_bytes(self) -> int | None:
        """Return the child's memory where the system tells it."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        except OSError:
            return None
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    async def wait(self) -> str:
        """Return how the child ended, once it has."""
        code = await self._process.wait()
        if code < 0:
            return f"ended by {signal.Signals(-code).name}"
        return f"ended with status {code}"

    async def close(self) -> None:
        """End the child; questions that are under way fail."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._listening
        if self._reading is not None:
            await self._reading
        self._writer.close()

    async def _ask(self, question: Embed | Count) -> Answer:
        if self._writer.is_closing() or self._reader.at_eof():
            raise ChildLostError
        answer = asyncio.get_running_loop().create_future()
        self._waiting[question.id] = answer
        try:
            self._writer.write(packed(question))
            return await answer
        except asyncio.CancelledError:
            self._writer.write(packed(Cancel(question.id)))
            raise
        finally:
            self._waiting.pop(question.id, None)

    async def _greet(self, settings: ChildSettings) -> None:
        try:
            greeting = _GREETING.decode(await self._next())
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            await self._process.wait()
            await self._listening
            raise _unloadable(settings.weights, self._reason()) from error
        if isinstance(greeting, Unfit):
            raise _unloadable(settings.weights, greeting.reason)
        self.dimensions, self.window = greeting.dimensions, greeting.window

    async def _next(self) -> bytes:
        head = await self._reader.readexactly(LENGTH_BYTES)
        return await self._reader.readexactly(length(head))

    async def _read_answers(self) -> None:
        """Hand each answer to who waits for it, until the child is gone."""
        while True:
            try:
                answer = _ANSWER.decode(await self._next())
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            waiter = self._waiting.get(answer.id)
            if waiter is not None and not waiter.done():
                waiter.set_result(answer)
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_exception(ChildLostError())

    async def _listen_to_complaints(self) -> None:
        """Keep the last lines that the child wrote about its end."""
        stream = self._process.stderr
        while stream is not None and (line := await stream.readline()):
            self._last_words.append(line.decode(errors="replace").strip())

    def _reason(self) -> str:
        return self._last_words[-1].rstrip(".") if self._last_words else "the engine ended at once"


def _unloadable(weights: Path, reason: str) -> EngineLoadError:
    return EngineLoadError(
        f"The weights {weights} can't be loaded: {reason}. "
        "Check the files, or fetch them again with `freehold models pull`."
    )


async def _spawn(settings: ChildSettings, socket_fd: int) -> asyncio.subprocess.Process:
    told = {
        "weights": str(settings.weights),
        "threads": settings.threads,
        "embedder": settings.embedder,
        "precision": settings.precision,
        "socket": socket_fd,
    }
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        _CHILD,
        json.dumps(told),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment | _ONE_THREAD | _OFFLINE,
        pass_fds=(socket_fd,),
    )
