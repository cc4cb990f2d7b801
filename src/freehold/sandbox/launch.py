"""Starts a kernel in a jail and waits until it is ready."""

import asyncio
import os
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from freehold.core.settings import InterpreterSettings
from freehold.sandbox import seccomp
from freehold.sandbox.events import SandboxUnavailableError
from freehold.sandbox.jail import Jail, Place, environment
from freehold.sandbox.process import Ground, Handles, Jailed
from freehold.sandbox.uids import Uids

_READY_S: Final = 20.0
_MOST_HANDLES: Final = 8


async def launch(
    jail: Jail, settings: InterpreterSettings, uids: Uids, folder: Callable[[], Path]
) -> Jailed:
    """Return a kernel that waits for code. Raises ``SandboxUnavailableError``.

    ``folder`` is asked for a place on the disk, where the jail needs one.
    """
    uid = uids.take()
    ground = Ground(uids, uid, _home(folder(), uid) if jail.kin else None)
    try:
        jailed = await _spawn(jail, settings, ground)
    except BaseException as error:
        await ground.release()
        if isinstance(error, OSError):
            raise SandboxUnavailableError(f"{jail.name}: {_reason(error)}.") from None
        raise
    try:
        async with asyncio.timeout(_READY_S):
            jailed.handles = await _shake_hands(jailed.channel)
    except BaseException as error:
        reason = _last_words(jailed.text)
        await jailed.close()
        if isinstance(error, OSError):
            raise SandboxUnavailableError(f"{jail.name}: {reason}.") from None
        raise
    jailed.offer()
    return jailed


async def _spawn(jail: Jail, settings: InterpreterSettings, ground: Ground) -> Jailed:
    ours, theirs = socket.socketpair()
    text, written = os.pipe()
    watched, lifeline = os.pipe()
    filter_ = _descriptor(seccomp.program(kin=jail.kin))
    place = Place(ground.uid, ground.home, theirs.fileno(), watched, filter_)
    try:
        process = await asyncio.create_subprocess_exec(
            *jail.command(place, settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            env=environment(ground.home),
            cwd="/",
            pass_fds=(place.channel, place.lifeline, place.filter_),
        )
    except BaseException:
        ours.close()
        os.close(text)
        os.close(lifeline)
        raise
    finally:
        theirs.close()
        os.close(written)
        os.close(watched)
        os.close(filter_)
    os.set_blocking(text, False)
    ours.setblocking(False)  # noqa: FBT003 - as above
    return Jailed(process, ground, ours, text, lifeline)


def _descriptor(program: bytes) -> int:
    descriptor = os.memfd_create("filter")
    os.write(descriptor, program)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


async def _shake_hands(ours: socket.socket) -> Handles:
    """Wait until the kernel is ready. Raises ``OSError`` where it ended before."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(ours, lambda: readable.done() or readable.set_result(None))
    try:
        await readable
    finally:
        loop.remove_reader(ours)
    said, handles, _, _ = socket.recv_fds(ours, 1, _MOST_HANDLES)
    if said != b"R":
        raise ConnectionAbortedError
    data, *scratch, kernel = handles
    return Handles(data, tuple(scratch), kernel)


def _last_words(text: int) -> str:
    with suppress(BlockingIOError):
        lines = os.read(text, 1 << 16).decode(errors="replace").split("\n")
        if said := [line.strip() for line in lines if line.strip()]:
            return said[-1].rstrip(".")
    return "the kernel did not start"


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _home(base: Path, uid: int | None) -> Path:
    """Return a new folder whose own folders belong to the session; the rest does not."""
    home = Path(tempfile.mkdtemp(prefix="jail-", dir=base))
    home.chmod(0o711)
    for name in ("data", "tmp"):
        (home / name).mkdir(mode=0o700)
        if uid is not None:
            os.chown(home / name, uid, uid)
    return home
