"""What is told of a run, sent to the process that streams it: that there is news, and deltas.

The news are in the rows, so nothing is lost where a message is. Each delta has the number that it
has among those of its object: who misses one leaves out the later ones, and reads the rest.
"""

import asyncio
import contextlib
import logging
from typing import Any, Final

import orjson
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from freehold.core.errors import APIError
from freehold.resources.threads import run_delta, stream
from freehold.storage import notify
from freehold.storage.database import Database

log = logging.getLogger("freehold.runs")
_DELTAS_EVERY_S: Final = 0.05


class Relay:
    """Sends news at once, and what came of deltas since the last ones at most 20 times a second."""

    def __init__(self, database: Database, address: str, run_id: str) -> None:
        self._database = database
        self._address = address
        self._run_id = run_id
        self._pending: dict[str, dict[str, Any]] = {}
        self._sent: dict[str, int] = {}
        self._news = asyncio.Event()
        self._next_at = 0.0
        self._sending: asyncio.Task[None] | None = None

    def publish(self, frame: bytes) -> None:
        """Take an event of the run."""
        delta = stream.delta_of(frame)
        if delta is None:
            self._news.set()
        else:
            about: dict[str, Any] = {"id": delta["id"], "kind": delta["object"], "delta": {}}
            pending = self._pending.setdefault(delta["id"], about)
            run_delta.join(pending["delta"], delta["delta"])
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())

    async def close(self) -> None:
        """Send what is left, and that there is news."""
        self._news.set()
        if self._sending is not None:
            await asyncio.wait({self._sending})
        await self._send()

    async def _send_all(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._pending or self._news.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._next_at):
                    await self._news.wait()
            await self._send()
            self._next_at = clock() + _DELTAS_EVERY_S
        self._sending = None

    async def _send(self) -> None:
        items = [self._item(delta) for delta in self._pending.values()]
        if self._news.is_set():
            items.append(b"")
        self._pending = {}
        self._news.clear()
        if not items:
            return

        def unit(connection: Connection) -> None:
            for item in items:
                if len(item) <= notify.MOST_BYTES:
                    notify.send(connection, self._address, self._run_id, item)

        try:
            await self._database.write(unit)
        except (SQLAlchemyError, APIError) as error:  # the rows tell all of it, only later
            log.warning("news of a run are not sent: %s", type(error).__qualname__)

    def _item(self, delta: dict[str, Any]) -> bytes:
        number = self._sent.get(delta["id"], 0)
        self._sent[delta["id"]] = number + 1
        return orjson.dumps({**delta, "number": number})
