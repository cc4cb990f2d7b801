"""Blobs in a bucket of any S3-compatible store, through obstore.

Credentials, region and endpoint come from the usual ``AWS_*`` variables.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import S3Store

from freehold.core.errors import ServiceUnavailableError
from freehold.storage.blobs import BLOCK, BlobMissingError, BlobWriter, Observer

_PART = 8 * BLOCK  # a part of a multipart upload; smaller blobs are put whole
_PARTS_AT_ONCE = 2


class S3Blobs:
    """A ``Blobs`` in one bucket, below one prefix."""

    def __init__(self, address: str) -> None:
        """Take ``s3://BUCKET/PREFIX``; nothing is asked of the store yet."""
        parts = urlsplit(address)
        plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
        self._store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            client_options={"allow_http": plain, "connect_timeout": "5s", "timeout": "120s"},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
        )

    async def create(self, name: str, *observers: Observer) -> BlobWriter:
        return BlobWriter(_S3Sink(self._store, name), observers)

    async def read(
        self, name: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        with _explained(name):
            size = await self.size(name)
            end = size if length is None else min(size, start + length)
            if start >= end:  # the store knows no empty range
                return
            found = await self._store.get_async(name, options={"range": (start, end)})
            async for chunk in found.stream(min_chunk_size=BLOCK):
                yield chunk

    async def size(self, name: str) -> int:
        with _explained(name):
            return (await self._store.head_async(name))["size"]

    async def delete(self, name: str) -> None:
        with suppress(BlobMissingError), _explained(name):
            await self._store.delete_async(name)

    def path(self, name: str) -> None:
        """Return None: the store has no files of this machine's."""


class _S3Sink:
    """A blob that is put whole if it is small, else in parts while it is written."""

    def __init__(self, store: S3Store, name: str) -> None:
        self._store = store
        self._name = name
        self._held: list[bytes] = []
        self._size = 0
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._upload: asyncio.Task[Any] | None = None
        self._abandoned = False

    async def put(self, data: bytes) -> None:
        self._size += len(data)
        if self._upload is None and self._size <= _PART:
            self._held.append(data)
            return
        if self._upload is None:
            self._upload = asyncio.create_task(self._put_parts())
            for held in self._held:
                await self._send(held)
            self._held.clear()
        await self._send(data)

    async def finish(self) -> None:
        with _explained(self._name):
            if self._upload is None:
                await self._store.put_async(self._name, b"".join(self._held), use_multipart=False)
            else:
                await self._send(None)
                await self._upload

    async def abandon(self) -> None:
        if self._upload is None:
            return
        self._abandoned = True  # cancelling it would leave its parts in the store
        with suppress(_AbandonedError, ServiceUnavailableError), _explained(self._name):
            await self._send(None)
            await self._upload

    async def _send(self, data: bytes | None) -> None:
        """Hand a block to the upload; where that has failed, raise its error instead."""
        assert self._upload is not None  # noqa: S101 - narrows the type
        handed = asyncio.ensure_future(self._queue.put(data))
        await asyncio.wait((handed, self._upload), return_when=asyncio.FIRST_COMPLETED)
        if self._upload.done():
            handed.cancel()
            with _explained(self._name):
                await self._upload

    async def _put_parts(self) -> None:
        await self._store.put_async(
            self._name, self._blocks(), chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE
        )

    async def _blocks(self) -> AsyncGenerator[bytes, None]:
        while (block := await self._queue.get()) is not None:
            yield block
        if self._abandoned:
            raise _AbandonedError


class _AbandonedError(Exception):
    """Makes obstore delete the parts that it has put."""


@contextmanager
def _explained(name: str) -> Generator[None]:
    """Turn obstore's errors into ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise BlobMissingError(name) from error
    except BaseError as error:
        raise ServiceUnavailableError(
            "The server can't reach its file storage.", code="storage_unavailable", retry_after=5
        ) from error
