"""Blobs on their way to an object: claimed, written, made durable, then taken over with its row.

A blob is claimed by a row before its first byte. Its writer shows itself from time to time; a claim
whose writer was not seen for a while is swept, and what was written with it. So whatever a crash
leaves is found, and nothing that an object refers to is ever touched.
"""

import asyncio
import contextlib
import hashlib
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Sequence

from sqlalchemy import Connection

from freehold.api.context import Services
from freehold.core import clock
from freehold.core.errors import APIError, ServiceUnavailableError
from freehold.data import limits
from freehold.resources.files import store
from freehold.storage.blobs import Blobs, BlobWriter, Observer
from freehold.storage.database import Database

log = logging.getLogger("freehold")
_SWEPT_AT_ONCE = 1000


class Draft:
    """A blob that is being written."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self.blob = secrets.token_hex(16)
        self.size = 0
        self._database = database
        self._blobs = blobs
        self._hash = hashlib.sha256()
        self._observers: list[Observer] = [self._hash.update]
        self._opening: asyncio.Task[BlobWriter] | None = None
        self._seen = time.monotonic()

    @property
    def sha256(self) -> str:
        """The digest of the bytes, once ``finish`` has returned."""
        return self._hash.hexdigest()

    def observe(self, observer: Observer) -> None:
        """Have every block shown to ``observer``, off the event loop; call it before ``write``."""
        self._observers.append(observer)

    async def write(self, data: bytes) -> None:
        """Append to the blob."""
        self.size += len(data)
        await (await self._writer()).write(data)
        if time.monotonic() - self._seen > sweep_s() / 4:
            self._seen = time.monotonic()
            await self._database.write(lambda c: store.touch(c, self.blob, clock.now()))

    async def finish(self) -> None:
        """Make the bytes durable; nothing can be written any more."""
        await (await self._writer()).commit()

    def take_over(self, connection: Connection) -> None:
        """Keep the finished blob, in the unit that writes the row which refers to it."""
        if not store.keep(connection, self.blob):
            raise ServiceUnavailableError("The upload took too long.", retry_after=1)

    async def discard(self) -> None:
        """Delete what was written, unless it has been taken over."""
        if self._opening is None:
            return
        with contextlib.suppress(APIError):
            await (await self._opening).abort()
        released = await self._database.write(
            lambda connection: store.release(connection, self.blob, clock.now())
        )
        if released:
            await remove(self._database, self._blobs, [self.blob])

    async def _writer(self) -> BlobWriter:
        """Return the writer. It is opened whole, also for a caller who is cancelled meanwhile."""
        self._opening = self._opening or asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> BlobWriter:
        await self._database.write(lambda c: store.claim(c, self.blob, clock.now()))
        return await self._blobs.create(self.blob, *self._observers)


@contextlib.asynccontextmanager
async def drafting(services: Services) -> AsyncGenerator[Draft]:
    """Give a draft; unless it has been kept when the block ends, nothing of it is left."""
    draft = Draft(services.database, services.blobs)
    try:
        yield draft
    finally:
        await asyncio.shield(_settle(draft))


async def _settle(draft: Draft) -> None:
    try:
        await draft.discard()
    except Exception as error:  # noqa: BLE001 - reported; the sweep will do it
        log.warning("a blob is left to the sweep: %s", type(error).__name__)


async def remove(database: Database, blobs: Blobs, names: Sequence[str]) -> int:
    """Delete the bytes of blobs whose rows say so, and return how many could be."""
    removed = 0
    for name in names:
        try:
            await blobs.delete(name)
        except APIError as error:
            log.warning("a blob is left to the sweep: %s", error.message)
        else:
            await database.write(lambda connection, gone=name: store.forget(connection, gone))
            removed += 1
    return removed


async def sweep(services: Services) -> int:
    """Delete deleted objects' blobs and what crashed writers left; return how many."""
    now = clock.now()
    names = await services.database.write(
        lambda connection: store.abandoned(connection, now - sweep_s(), now, _SWEPT_AT_ONCE)
    )
    return await remove(services.database, services.blobs, names)


def discard(connection: Connection, names: Sequence[str]) -> None:
    """Mark blobs whose objects go, in the unit that deletes those; then call ``remove``."""
    store.discard(connection, names, clock.now())


def period_s() -> int:
    """Return within how many seconds what is no longer kept is deleted."""
    return limits.figure("sweep", "period_s")


def sweep_s() -> int:
    """Return the seconds between two sweeps, after which a silent writer is given up, too.

    So what a crash leaves stays for two of them at most, which is the documented period.
    """
    return period_s() // 2
