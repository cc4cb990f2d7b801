"""Writes usage in groups, off the path of the answers."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from freehold.api.usage import UsageRecord
from freehold.resources.organization import store
from freehold.storage.database import Database

log = logging.getLogger("freehold.usage")
FLUSH_SECONDS = 0.5


class DatabaseUsageLedger:
    """Keeps records in memory for at most ``FLUSH_SECONDS``, then in the database."""

    def __init__(self, database: Database, *, every: float = FLUSH_SECONDS) -> None:
        self._database = database
        self._every = every
        self._waiting: list[UsageRecord] = []
        self._task: asyncio.Task[None] | None = None

    def record(self, usage: UsageRecord) -> None:
        self._waiting.append(usage)

    def start(self) -> None:
        """Begin to write in the background."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what is left."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.flush()

    async def flush(self) -> None:
        """Write everything recorded so far in one transaction; on failure it stays recorded."""
        records, self._waiting = self._waiting, []
        if not records:
            return
        try:
            await self._database.write(lambda c: write(c, records))
        except SQLAlchemyError:
            self._waiting[:0] = records
            log.exception("usage of %d requests could not be written yet", len(records))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await asyncio.shield(self.flush())


def write(connection: Connection, records: Sequence[UsageRecord]) -> None:
    """Count records in the caller's own unit, at least one."""
    store.insert_usage(connection, [asdict(record) for record in records])
    store.touch_keys(connection, {record.api_key_id: record.at for record in records})
