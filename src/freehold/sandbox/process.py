"""One jailed kernel: known by handles only, and ended with all that it has started."""

import asyncio
import os
import shutil
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.sandbox import usage
from freehold.sandbox.events import SandboxUnavailableError
from freehold.sandbox.jail import SCRATCH_MB
from freehold.sandbox.uids import Uids

_END_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What a session is lent: its own user, and a folder on the disk for a jail that needs one."""

    uids: Uids
    uid: int | None
    home: Path | None

    async def release(self) -> None:
        """Take all of it back; no process of the session may be left."""
        if self.home is not None:
            await _remove(self.home)
        self.uids.give_back(self.uid)


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
    """A kernel. ``channel`` and ``text`` are our ends of its lines.

    It ends when ``lifeline`` is closed, so that nothing is left of it when the server is killed.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        ground: Ground,
        channel: socket.socket,
        text: int,
        lifeline: int,
    ) -> None:
        self.process = process
        self.channel = channel
        self.text = text
        self._lifeline = lifeline
        self.handles: Handles | None = None
        self._ground = ground
        self._closing: asyncio.Task[None] | None = None

    @property
    def uid(self) -> int | None:
        """The session's own user."""
        return self._ground.uid

    @property
    def data(self) -> int:
        """The open folder that the code knows as /mnt/data."""
        return self._held.data

    @property
    def _held(self) -> Handles:
        if self.handles is None:
            raise SandboxUnavailableError("The session is closed.")
        return self.handles

    def offer(self) -> None:
        """Let the system end the kernel first where memory runs out."""
        with suppress(OSError):
            Path(f"/proc/{self._kernel_pid()}/oom_score_adj").write_text("1000", encoding="ascii")

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
        if self._ground.home is None:
            kept.update(usage.children(self.process.pid))
        for pid in self.family():
            if pid not in kept:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def disk(self) -> tuple[int, int]:
        """Return how many files there are, and the bytes they take where no file system says no."""
        if self._ground.home is not None:
            return await asyncio.to_thread(_counted, self._ground.home)
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
        os.close(self._lifeline)
        if self.handles is not None:
            self.handles.close()
            self.handles = None
        await self._ground.release()

    def _kill(self) -> None:
        """End the first process of the jail's own space: the system then ends all others."""
        with suppress(ProcessLookupError):
            if self._ground.home is not None:
                os.kill(self.process.pid, signal.SIGTERM)  # it ends all others first
                return
            for pid in usage.children(self.process.pid) or [self.process.pid]:
                os.kill(pid, signal.SIGKILL)

    def _kernel_pid(self) -> int:
        lines = Path(f"/proc/self/fdinfo/{self._held.kernel}").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in lines.splitlines() if line.startswith("Pid:"))


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
