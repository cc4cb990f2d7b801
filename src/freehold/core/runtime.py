"""The private folder of a running server, for sockets; what killed servers left is cleared away."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

_PREFIX: Final = "freehold-"
# Locked as long as its server lives: the kernel frees the lock of a process that was killed.
_LOCK: Final = "lock"


class RuntimeFolder:
    """A folder below the system's temporary one (a socket's path must be short), mode 0700."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def take(cls) -> Self:
        """Return a new folder, after removing those whose servers are gone."""
        for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            _remove_abandoned(folder)
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = _locked(path / "taking", os.O_CREAT)
        (path / "taking").rename(path / _LOCK)  # never seen before it is locked
        return cls(path, lock)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _remove_abandoned(folder: Path) -> None:
    """Remove a folder of ours that nobody holds; leave it where anything speaks against it."""
    with suppress(OSError):
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return
        lock = _locked(folder / _LOCK)
        try:
            shutil.rmtree(folder)
        finally:
            os.close(lock)


def _locked(path: Path, flags: int = 0) -> int:
    """Open and lock a file at once. Raises ``OSError`` where it is missing or held by another."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
