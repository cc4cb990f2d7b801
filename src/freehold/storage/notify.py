"""Events between processes that share a PostgreSQL database: its NOTIFY and LISTEN.

What is sent may be lost with a connection, and is at most ``MOST_BYTES`` long: it says that there
is news, or hands over what is only of use at once.
"""

import asyncio
import logging
import secrets
from typing import Final

from sqlalchemy import URL, Connection, func, select

from freehold.storage.events import Events

log = logging.getLogger("freehold.storage")
EVERYONE: Final = "freehold"  # the address of all processes at once
MOST_BYTES: Final = 7_000  # of an item; PostgreSQL takes less than 8,000 with its topic
_TRY_AGAIN_S: Final = 1.0


def send(connection: Connection, address: str, topic: str, item: bytes = b"") -> None:
    """Publish an item, UTF-8, to the listeners at an address once the caller's unit is written.

    On SQLite nobody listens.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_notify(address, f"{topic}\n{item.decode()}")))


class NotifiedEvents(Events):
    """Topics on which other processes publish too; each item of theirs ends with a newline."""

    def __init__(self, url: URL) -> None:
        super().__init__()
        self._url = url
        self._own = f"freehold_{secrets.token_hex(8)}"
        self._hearing: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._hearing = asyncio.create_task(self._hear())

    async def stop(self) -> None:
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.wait({self._hearing})
        await super().stop()

    async def _hear(self) -> None:
        """Listen, again after each loss of the connection; meanwhile there is no address."""
        import psycopg  # noqa: PLC0415 - installed where PostgreSQL is used

        while True:
            try:
                await self._hear_on_one_connection()
            except (psycopg.Error, OSError) as error:
                log.warning("no news of other processes: %s", type(error).__qualname__)
            finally:
                self.address = None
            await asyncio.sleep(_TRY_AGAIN_S)

    async def _hear_on_one_connection(self) -> None:
        from psycopg import AsyncConnection, sql  # noqa: PLC0415 - as above

        address = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = await AsyncConnection.connect(address, autocommit=True, connect_timeout=10)
        async with connection:
            for channel in (EVERYONE, self._own):
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self.address = self._own
            async for news in connection.notifies():
                topic, _, item = news.payload.partition("\n")
                self.publish(topic, item.encode() + b"\n")
