"""Landlock: the process and all it starts see only the paths that are named here."""

import ctypes
import os
import struct
from typing import Final

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
# What each version of the interface learned to forbid in the file system.
_KNOWN: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NO_TCP: Final = 3  # bind and connect, from version 4
_SCOPED: Final = 3  # abstract sockets and signals, from version 6

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return the version of the kernel's interface, 0 where there is none."""
    return max(0, _libc.syscall(_CREATE_RULESET, None, 0, _VERSION))


def restrict(read: list[str], write: list[str], devices: list[str]) -> None:
    """Allow to read and run what is below ``read``, anything below ``write``; no more, for good."""
    found = version()
    known = max(mask for since, mask in _KNOWN.items() if since <= max(found, 1))
    handled = struct.pack("QQQ", known, _NO_TCP if found >= 4 else 0, _SCOPED if found >= 6 else 0)
    size = 24 if found >= 6 else 16 if found >= 4 else 8
    rules = _checked(_libc.syscall(_CREATE_RULESET, handled[:size], size, 0))
    for paths, rights in (
        (read, _READ),
        (write, known & ~_EXECUTE & ~_IOCTL_DEV),
        (devices, _READ_FILE | _WRITE_FILE),
    ):
        for path in paths:
            _allow(rules, path, rights & known)
    _checked(_libc.syscall(_RESTRICT_SELF, rules, 0))
    os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH)
    except FileNotFoundError:
        return
    if not os.path.isdir(path):  # noqa: PTH112 - the same, without an import
        rights &= _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
    rule = struct.pack("=Qi", rights, handle)
    _checked(_libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, 0))
    os.close(handle)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return result
