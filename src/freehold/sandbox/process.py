"""One jailed kernel: started, told to the outside by handles only, and ended with all it started."""

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.core.settings import InterpreterSettings
from freehold.sandbox import seccomp, usage
from freehold.sandbox.events import SandboxUnavailableError
from freehold.sandbox.jail import SCRATCH_MB, Jail, Place, environment
from freehold.sandbox.uids import Uids

_READY_S: Final = 20.0
_END_S: Final = 3.0
_HANDLES: Final = 8


@dataclass(frozen=True, slots=True)
class Handles:
    """What the kernel gave us before it ran anything: its folders and itself."""

    data: int
    scratch: tuple[int, ...]
    kernel: int

    def close(self) -> None:
        for handle in (self.data, *self.scratch, self.kernel):
            os.close(handle)


class Jailed:
    """A kernel that is ready. ``channel`` and ``text`` are our ends of its lines."""

    def __init__(
        self, process: asyncio.subprocess.Process, jail: Jail, place: Place, uids: Uids
    ) -> None:
        self.process = process
        self.kin = jail.kin
        self.uid = place.uid
        self._home = place.home
        self._uids = uids
        self.channel: socket.socket
        self.text: int
        self.handles: Handles | None = None
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, jail: Jail, settings: InterpreterSettings, uids: Uids, folder: Callable[[], Path]
    ) -> "Jailed":
        """Return a kernel that waits for code. Raises ``SandboxUnavailableError``.

        ``folder`` is asked for a place on the disk, where the jail needs one.
        """
        uid = uids.take()
        home = _home(folder(), uid) if jail.kin else None
        ours, theirs = socket.socketpair()
        text, written = os.pipe()
        filter_ = _descriptor(seccomp.program(kin=jail.kin))
        place = Place(uid, home, theirs.fileno(), filter_)
        try:
            process = await _spawn(jail.command(place, settings), written, place)
        except OSError as error:
            ours.close()
            os.close(text)
            raise SandboxUnavailableError(f"{jail.name}: {error.strerror or error}") from None
        finally:
            theirs.close()
            os.close(written)
            os.close(filter_)
        os.set_blocking(text, False)
        ours.setblocking(False)  # noqa: FBT003 - as above
        jailed = cls(process, jail, place, uids)
        jailed.channel, jailed.text = ours, text
        try:
            async with asyncio.timeout(_READY_S):
                jailed.handles = await _shake_hands(ours)
        except (OSError, TimeoutError):
            reason = _last_words(text)
            await jailed.close()
            raise SandboxUnavailableError(f"{jail.name}: {reason}") from None
        return jailed

    @property
    def data(self) -> int:
        """The open folder that the code knows as /mnt/data."""
        return self._held.data

    @property
    def _held(self) -> Handles:
        if self.handles is None:
            raise SandboxUnavailableError("The session is closed.")
        return self.handles

    def interrupt(self) -> None:
        """Stop the running call as Ctrl-C does."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._held.kernel, signal.SIGINT)

    def family(self) -> list[int]:
        """Return all processes of the session, those of the jail itself first."""
        return usage.family(self.process.pid)

    def tidy(self) -> None:
        """End what a call has left running; the kernel stays."""
        kept = {self.process.pid, self._kernel_pid()}
        if not self.kin:
            kept.update(usage.children(self.process.pid))
        for pid in self.family():
            if pid not in kept:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def disk(self) -> tuple[int, int]:
        """Return how many files there are, and the bytes they take where no file system says no."""
        if self._home is not None:
            return await asyncio.to_thread(_counted, self._home)
        known = [os.statvfs(folder) for folder in (self._held.data, *self._held.scratch)]
        return sum(system.f_files - system.f_ffree for system in known), 0

    async def close(self) -> None:
        """End all processes and free all that belongs to them. Twice does no harm."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._kill()
        try:
            async with asyncio.timeout(_END_S):
                await self.process.wait()
        except TimeoutError:
            for pid in self.family():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await self.process.wait()
        self.channel.close()
        os.close(self.text)
        if self.handles is not None:
            self.handles.close()
            self.handles = None
        if self._home is not None:
            await _remove(self._home)
        self._uids.give_back(self.uid)

    def _kill(self) -> None:
        """End the first process of the jail's own space: the system then ends all others."""
        with suppress(ProcessLookupError):
            if self.kin:
                os.kill(self.process.pid, signal.SIGTERM)  # it ends all others first
                return
            for pid in usage.children(self.process.pid) or [self.process.pid]:
                os.kill(pid, signal.SIGKILL)

    def _kernel_pid(self) -> int:
        lines = Path(f"/proc/self/fdinfo/{self._held.kernel}").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in lines.splitlines() if line.startswith("Pid:"))


async def _spawn(command: list[str], text: int, place: Place) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=text,
        stderr=text,
        env=environment(str(place.home / "tmp") if place.home else "/tmp"),
        cwd="/",
        pass_fds=(place.channel, place.filter_),
    )


def _descriptor(program: bytes) -> int:
    descriptor = os.memfd_create("filter")
    os.write(descriptor, program)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


async def _shake_hands(ours: socket.socket) -> Handles:
    """Wait until the kernel is ready. Raises ``OSError`` where it ended before."""
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(ours, lambda: readable.done() or readable.set_result(None))
    try:
        await readable
    finally:
        loop.remove_reader(ours)
    said, handles, _, _ = socket.recv_fds(ours, 1, _HANDLES)
    if said != b"R":
        raise ConnectionAbortedError
    data, *scratch, kernel = handles
    return Handles(data, tuple(scratch), kernel)


def _last_words(text: int) -> str:
    with suppress(BlockingIOError):
        lines = os.read(text, 1 << 16).decode(errors="replace").split("\n")
        if said := [line.strip() for line in lines if line.strip()]:
            return said[-1]
    return "the kernel did not start"


def _home(base: Path, uid: int | None) -> Path:
    """Return a new folder whose own folders belong to the session; the rest does not."""
    home = Path(tempfile.mkdtemp(prefix="jail-", dir=base))
    home.chmod(0o711)
    for name in ("data", "tmp"):
        (home / name).mkdir(mode=0o700)
        if uid is not None:
            os.chown(home / name, uid, uid)
    return home


def _counted(home: Path) -> tuple[int, int]:
    """Return entries and bytes below a folder, no link followed."""
    entries = size = 0
    for _, folders, files, descriptor in os.fwalk(home):
        entries += len(folders) + len(files)
        for name in files:
            with suppress(OSError):
                known = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                size += known.st_blocks * 512
    return entries, max(0, size - (SCRATCH_MB << 20))


async def _remove(home: Path) -> None:
    """Remove a folder however deep it is."""
    removing = await asyncio.create_subprocess_exec(
        shutil.which("rm") or "/bin/rm", "-rf", "--", str(home)
    )
    await removing.wait()
