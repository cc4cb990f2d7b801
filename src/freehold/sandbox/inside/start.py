"""The first thing that runs in the jail: gives up every right, then becomes the kernel.

The server passes one argument, what is told here as JSON. Nothing of the user's has run yet.
"""

import ctypes
import json
import os
import resource
import socket
import struct
import sys
from typing import Any

from . import kernel, landlock, supervisor

_SET_NO_NEW_PRIVS = 38
_SET_SECCOMP, _FILTER = 22, 2
_CAPABILITIES = 0x20080522  # the version of their interface
_MB = 1 << 20


def main(argument: str) -> None:
    """Close the door behind us and serve calls until the server hangs up."""
    sys.path.pop()  # where these modules were found
    told = json.loads(argument)
    filters = [told["walls"]["filter"]] if told["walls"] else []
    _keep_only(told["channel"], told["lifeline"], *filters)
    if told["walls"]:
        told["limits"]["processes"] += supervisor.others(told["uid"])
    _limit(told["limits"])
    if told["uid"] is not None:
        become(told["uid"])
    supervisor.watch_over(told["lifeline"])
    channel = socket.socket(fileno=told["channel"])
    os.chdir(told["data"])
    handles = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY) for folder in told["folders"]]
    handles.append(os.pidfd_open(os.getpid()))
    if told["walls"]:
        _wall_in(told["walls"])
    _report(channel, handles)
    kernel.Kernel(channel, told["data"]).serve()


def _keep_only(*wanted: int) -> None:
    """Close what else was inherited: event loops differ in what they close."""
    last = 2
    for descriptor in sorted(wanted):
        os.closerange(last + 1, descriptor)
        last = descriptor
    os.closerange(last + 1, 1 << 20)


def become(uid: int) -> None:
    """Be another user for good, without any capability."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    libc = ctypes.CDLL(None, use_errno=True)
    head, nothing = struct.pack("=Ii", _CAPABILITIES, 0), bytes(24)
    if libc.capset(head, nothing):
        raise OSError(ctypes.get_errno(), "capabilities can't be given up")


def _limit(limits: dict[str, Any]) -> None:
    memory = limits["memory_mb"] * _MB
    for what, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_AS, 2 * memory + 1024 * _MB),
        (resource.RLIMIT_FSIZE, limits["disk_mb"] * _MB),
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_NOFILE, limits["files"]),
        # A limit of 1 keeps the kernel from starting a handler of core dumps; 0 would not.
        (resource.RLIMIT_CORE, 1),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)  # noqa: PLW2901 - the same
        resource.setrlimit(what, (most, most))
    os.nice(limits["nice"])


def _wall_in(walls: dict[str, Any]) -> None:
    """Do what bubblewrap does elsewhere, in a process that may not make namespaces."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs is refused")
    program = os.pread(walls["filter"], 1 << 16, 0)
    os.close(walls["filter"])
    landlock.restrict(walls["read"], walls["write"], walls["devices"])
    code = ctypes.create_string_buffer(program, len(program))
    head = _Program(len(program) // 8, ctypes.addressof(code))
    if libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(head), 0, 0):
        raise OSError(ctypes.get_errno(), "the seccomp filter is refused")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _report(channel: socket.socket, handles: list[int]) -> None:
    """Tell the server that all is ready, with handles on our folders and on ourselves."""
    socket.send_fds(channel, [b"R"], handles)
    for handle in handles:
        os.close(handle)
    del sys.argv[1:]
