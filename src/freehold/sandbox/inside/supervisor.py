"""Stays above the kernel, out of its reach, and lets nothing outlive the session.

Where the session has a process namespace, this is its first process.
"""

import ctypes
import fcntl
import os
import select
import signal
from types import FrameType

_SET_PDEATHSIG, _SET_DUMPABLE, _SET_CHILD_SUBREAPER = 1, 4, 36


def watch_over(lifeline: int) -> None:
    """Return in a child; the parent ends with it, and ends all that it has left.

    It also ends everything when the server dies: then the pipe ``lifeline`` hangs up. (The signal
    of a dead parent is not enough: a parent without rights may not send one to another user.)
    """
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    child = os.fork()
    if child == 0:
        os.close(lifeline)
        return
    libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGIO, _end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _close_all_but(lifeline)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:  # it hung up before
        _end(signal.SIGIO, None)
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == child:
            _end_all()
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def others(uid: int | None) -> int:
    """Return how many threads the user already has: they count, where the user is the server's."""
    if uid is not None:
        return 0
    mine = [entry.path for entry in os.scandir("/proc") if entry.name.isdigit() and _is_ours(entry)]
    return sum(map(_threads, mine))


def _is_ours(process: os.DirEntry[str]) -> bool:
    try:
        return process.stat().st_uid == os.getuid()
    except FileNotFoundError:
        return False


def _threads(process: str) -> int:
    try:
        return len(os.listdir(f"{process}/task"))  # noqa: PTH208 - only counted
    except OSError:
        return 0


def _close_all_but(lifeline: int) -> None:
    """Hold nothing of the kernel's: the server sees by its end of the channel that it is gone."""
    os.closerange(3, lifeline)
    os.closerange(lifeline + 1, 1024)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)


def _end(_signal: int, _frame: FrameType | None) -> None:
    _end_all()
    os._exit(1)


def _end_all() -> None:
    """End all descendants; orphans come to us, so that none is missed for long."""
    while children := _children():
        for child in children:
            os.kill(child, signal.SIGKILL)
        for _ in children:
            os.waitpid(-1, 0)


def _children() -> list[int]:
    me = os.getpid()
    with open(f"/proc/{me}/task/{me}/children") as listed:  # noqa: PTH123 - without an import
        return [int(pid) for pid in listed.read().split()]
