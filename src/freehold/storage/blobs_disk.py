"""Blobs as files: written beside their place, synced, renamed, and the folder synced."""

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from uuid import uuid4

from freehold.core.errors import ServiceUnavailableError
from freehold.storage.blobs import BLOCK, BlobMissingError, BlobWriter, Observer

_PARTIAL = ".partial"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class DiskBlobs:
    """A ``Blobs`` in one folder, which only its owner can read."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._root = root

    async def create(self, name: str, *observers: Observer) -> BlobWriter:
        with _explained():
            return BlobWriter(await asyncio.to_thread(_FileSink, self.path(name)), observers)

    async def read(
        self, name: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        with _explained():
            file = await asyncio.to_thread(_open, self.path(name), start)
        left = length
        try:
            while left is None or left > 0:
                wanted = BLOCK if left is None else min(BLOCK, left)
                with _explained():
                    data = await asyncio.to_thread(os.read, file, wanted)
                if not data:
                    return
                yield data
                left = None if left is None else left - len(data)
        finally:
            os.close(file)

    async def size(self, name: str) -> int:
        with _explained():
            return (await asyncio.to_thread(os.stat, self.path(name))).st_size

    async def delete(self, name: str) -> None:
        with _explained():
            await asyncio.to_thread(_remove, self.path(name))

    def path(self, name: str) -> Path:
        return self._root / name[:2] / name  # names are random: no folder becomes too long


class _FileSink:
    """A file under a temporary name of its own, so that two writers of a blob don't mix."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._partial = target.with_name(f"{target.name}.{uuid4().hex}{_PARTIAL}")
        self._lock = Lock()  # a write whose waiter was cancelled may still be running
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file: int | None = os.open(self._partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)

    async def put(self, data: bytes) -> None:
        with _explained():
            await asyncio.to_thread(self._put, data)

    async def finish(self) -> None:
        with _explained():
            await asyncio.to_thread(self._finish)

    async def abandon(self) -> None:
        await asyncio.to_thread(self._abandon)

    def _put(self, data: bytes) -> None:
        with self._lock:
            left = memoryview(data)
            while left and self._file is not None:
                left = left[os.write(self._file, left) :]

    def _finish(self) -> None:
        with self._lock:
            if self._file is None:
                raise FileNotFoundError(errno.ENOENT, "abandoned", str(self._target))
            os.fsync(self._file)
            self._close()
            self._partial.rename(self._target)
            _sync_folder(self._target.parent)

    def _abandon(self) -> None:
        with self._lock:
            self._close()
            with suppress(FileNotFoundError):
                self._partial.unlink()

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, and its own name in the folder above."""
    for each in (folder, folder.parent):
        file = os.open(each, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def _open(path: Path, start: int) -> int:
    file = os.open(path, os.O_RDONLY)
    os.lseek(file, start, os.SEEK_SET)
    return file


def _remove(path: Path) -> None:
    for left in (path, *path.parent.glob(f"{path.name}.*{_PARTIAL}")):
        with suppress(FileNotFoundError):
            left.unlink()


@contextmanager
def _explained() -> Generator[None]:
    """Turn the operating system's errors into ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise BlobMissingError(Path(error.filename).name) from error
    except OSError as error:
        if error.errno in _FULL:
            raise ServiceUnavailableError(
                "The server has no room left to store this. The operator must free some.",
                code="storage_full",
                retryable=False,
            ) from error
        raise ServiceUnavailableError(
            "The server can't use its file storage.", code="storage_unavailable", retry_after=5
        ) from error
