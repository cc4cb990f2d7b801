"""Files of a session, seen from the server: nothing in the folder is trusted, no link followed."""

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import BinaryIO, Final

from freehold.sandbox.events import Output, SandboxFileError

Snapshot = dict[str, tuple[int, ...]]

_DEPTH: Final = 12
_MOST_OUTPUTS: Final = 100
_LONGEST_NAME: Final = 255
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def snapshot(folder: int, most: int) -> Snapshot:
    """Return the regular files below an open folder; no hidden ones, at most ``most`` entries."""
    found: Snapshot = {}
    left = [most]
    _collect(folder, "", _DEPTH, found, left)
    return found


def _collect(folder: int, prefix: str, depth: int, found: Snapshot, left: list[int]) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            left[0] -= 1
            if left[0] < 0:
                return
            if entry.name.startswith((".", "__pycache__")) or not _is_text(entry.name):
                continue
            with suppress(OSError):
                known = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(known.st_mode):
                    found[prefix + entry.name] = _mark(known)
                elif stat.S_ISDIR(known.st_mode) and depth:
                    with _opened(entry.name, folder) as below:
                        _collect(below, f"{prefix}{entry.name}/", depth - 1, found, left)


def _mark(known: os.stat_result) -> tuple[int, ...]:
    """Return what changes with a file; its first number is the size."""
    return known.st_size, known.st_ino, known.st_mtime_ns, known.st_ctime_ns


def outputs(before: Snapshot, after: Snapshot, most: int) -> tuple[Output, ...]:
    """Return what is new or changed, by name, up to a number of files and ``most`` bytes."""
    changed: list[Output] = []
    for name in sorted(after):
        if before.get(name) != after[name] and len(changed) < _MOST_OUTPUTS:
            size = after[name][0]
            if size <= most:
                most -= size
                changed.append(Output(name, size))
    return tuple(changed)


def open_(folder: int, name: str, most: int) -> BinaryIO:
    """Return a regular file of at most that many bytes. Raises ``SandboxFileError``."""
    *parents, last = name.split("/")
    if len(parents) > _DEPTH or not all(map(_is_plain, [*parents, last])):
        raise SandboxFileError(f"{name!r} is not a file's name.")
    handle = os.dup(folder)
    try:
        for parent in parents:
            with _opened(parent, handle) as below:
                os.dup2(below, handle, inheritable=False)
        return _regular(os.open(last, _READ, dir_fd=handle), name, most)
    except OSError as error:
        raise SandboxFileError(f"{name!r} can't be read: {error.strerror}.") from None
    finally:
        os.close(handle)


def _regular(descriptor: int, name: str, most: int) -> BinaryIO:
    known = os.fstat(descriptor)
    if stat.S_ISREG(known.st_mode) and known.st_size <= most:
        return open(descriptor, "rb")
    os.close(descriptor)
    reason = "too large" if stat.S_ISREG(known.st_mode) else "not a regular file"
    raise SandboxFileError(f"{name!r} can't be read: it is {reason}.")


def create(folder: int, name: str, uid: int | None) -> BinaryIO:
    """Return a new file in an open folder, in place of an older one; it belongs to ``uid``.

    Raises ``SandboxFileError``.
    """
    if not _is_plain(name):
        raise SandboxFileError(f"{name!r} is not a file's name.")
    try:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        descriptor = os.open(name, _CREATE, 0o644, dir_fd=folder)
    except OSError as error:
        raise SandboxFileError(f"{name!r} can't be written: {error.strerror}.") from None
    if uid is not None:
        os.fchown(descriptor, uid, uid)
    return open(descriptor, "wb")  # noqa: PTH123 - a descriptor; the caller closes it


def remove(folder: int, name: str) -> None:
    """Remove a file from an open folder, if it is there."""
    with suppress(OSError):
        os.unlink(name, dir_fd=folder)


def mark(folder: int, name: str) -> tuple[int, ...]:
    """Return how a snapshot would show a file."""
    return _mark(os.stat(name, dir_fd=folder, follow_symlinks=False))


@contextmanager
def _opened(name: str, folder: int) -> Generator[int]:
    descriptor = os.open(name, _FOLDER, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_plain(name: str) -> bool:
    if name in {"", ".", ".."} or "/" in name or "\0" in name or not _is_text(name):
        return False
    return len(name.encode()) <= _LONGEST_NAME


def _is_text(name: str) -> bool:
    """Tell names that can be written as UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in name)
