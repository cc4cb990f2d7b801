"""Starts, watches and ends the child process that runs llama.cpp."""

import asyncio
import json
import logging
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freehold.data import llama_options
from freehold.engines.backends.llama_channel import Channel
from freehold.engines.base import EngineLoadError

_log = logging.getLogger(__name__)
_CHILD = "freehold.engines.backends.llama_child"
# Nothing else of our environment reaches the child: it may hold keys.
_PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES", "SYSTEMROOT",
)  # fmt: skip
MMPROJ = "mmproj.path"
_LONGEST_SOCKET_PATH = 100
_REMEMBERED_LINES = 40


@dataclass(frozen=True, slots=True)
class ChildSettings:
    """What the child is told. ``marker`` stands for a picture in a prompt's text."""

    weights: Path
    context: int
    slots: int
    threads: int
    runtime_dir: Path
    options: Mapping[str, Any]
    marker: str = ""

    @property
    def sees(self) -> bool:
        """Whether the model has eyes."""
        return MMPROJ in self.options


class LlamaProcess:
    """A running child: its slots' channels, its control socket, its end."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        control: Path,
        runtime_dir: Path,
        life_line: int,
        on_idle: Callable[[Channel], None],
    ) -> None:
        self.control = control
        self.channels: list[Channel] = []
        self._process = process
        self._runtime_dir = runtime_dir
        self._life_line = life_line
        self._on_idle = on_idle
        self._last_words: deque[str] = deque(maxlen=_REMEMBERED_LINES)
        self._reading = asyncio.create_task(self._read_log())
        self._unready = 0
        self._ready = asyncio.Event()

    @classmethod
    async def start(
        cls, settings: ChildSettings, on_idle: Callable[[Channel], None]
    ) -> "LlamaProcess":
        """Return a child that has loaded the model. Raises ``EngineLoadError``.

        ``on_idle`` gets each channel whenever it can take a request, from the first time on.
        """
        control = _socket_path(settings.runtime_dir)
        pairs = [socket.socketpair() for _ in range(settings.slots)]
        reading_end, life_line = os.pipe()
        try:
            theirs = [pair[1].fileno() for pair in pairs]
            process = await _spawn(settings, control, reading_end, theirs)
        except BaseException:
            os.close(life_line)
            for ours, _ in pairs:
                ours.close()
            raise
        finally:
            os.close(reading_end)
            for _, their_end in pairs:
                their_end.close()
        child = cls(process, control, settings.runtime_dir, life_line, on_idle)
        try:
            await child._connect([ours for ours, _ in pairs])
            await child._wait_until_loaded(settings.weights)
        except BaseException:
            await child.close()
            raise
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

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
        """End the child and free all that belongs to it."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading
        for channel in self.channels:
            channel.close()
        if self._life_line >= 0:
            os.close(self._life_line)
            self._life_line = -1
            self._remove_socket()

    def _remove_socket(self) -> None:
        self.control.unlink(missing_ok=True)
        if self.control.parent != self._runtime_dir:
            self.control.parent.rmdir()

    async def _connect(self, sockets: list[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        self._unready = len(sockets)
        for ours in sockets:
            ours.setblocking(False)  # noqa: FBT003 - the standard library's signature
            channel = Channel(self._first_idle)
            await loop.create_connection(lambda channel=channel: channel, sock=ours)
            self.channels.append(channel)

    def _first_idle(self, channel: Channel) -> None:
        self._on_idle(channel)
        self._unready -= 1
        if self._unready == 0:
            self._ready.set()

    async def _wait_until_loaded(self, weights: Path) -> None:
        ready = asyncio.create_task(self._ready.wait())
        ended = asyncio.create_task(self._process.wait())
        try:
            await asyncio.wait((ready, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
            ended.cancel()
            await asyncio.gather(ready, ended, return_exceptions=True)
        if not self._ready.is_set():
            await self._reading
            raise EngineLoadError(
                f"The weights {weights} can't be loaded: {self._reason()}. "
                "Check the file, or fetch it again with `freehold models pull`."
            )

    def _reason(self) -> str:
        """Return what the library said first about its failure."""
        faults = [line.split(" E ", 1)[-1] for line in self._last_words if _is_fault(line)]
        lines = faults or list(self._last_words)[-1:]
        return " ".join(lines[0].split()).rstrip(".") if lines else "the engine ended at once"

    async def _read_log(self) -> None:
        """Pass the library's log lines on; it never writes what a prompt says."""
        stream = self._process.stderr
        if stream is None:
            return
        while line := await stream.readline():
            text = line.decode(errors="replace").rstrip()
            self._last_words.append(text)
            _log.debug("llama.cpp: %s", text)


async def _spawn(
    settings: ChildSettings, control: Path, life_line: int, slots: list[int]
) -> asyncio.subprocess.Process:
    told = {
        "weights": str(settings.weights),
        "context": settings.context,
        "threads": settings.threads,
        "control": str(control),
        "life_line": life_line,
        "slots": slots,
        "sees": settings.sees,
        "options": llama_options.native(settings.options),
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
        env=environment | _variables(settings),
        pass_fds=(life_line, *slots),
    )


def _variables(settings: ChildSettings) -> dict[str, str]:
    variables = {"OMP_WAIT_POLICY": "passive"}
    return variables | ({"LLAMA_MEDIA_MARKER": settings.marker} if settings.marker else {})


def _socket_path(runtime_dir: Path) -> Path:
    """Return a path that is not taken, in a folder that is only ours."""
    runtime_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = runtime_dir / f"llama-{secrets.token_hex(6)}.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    return Path(tempfile.mkdtemp(prefix="freehold-")) / path.name


def _is_fault(line: str) -> bool:
    return " E " in line or line.startswith("E ")
