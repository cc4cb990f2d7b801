"""PostgreSQL: a few threads, each running one unit at a time on a pooled connection."""

import asyncio
import importlib.util
import random
import time
from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from freehold.core.errors import ServiceUnavailableError
from freehold.storage import documents
from freehold.storage.address import DatabaseSetupError
from freehold.storage.work import Intake, Unit, delivering, forbid_ending_transactions

T = TypeVar("T")

_TRIES = 5
_ASKS_FOR_ANOTHER_TRY = {"40001", "40P01"}  # serialization failure, deadlock


def create_postgres_engine(url: URL, *, connections: int = 1) -> Engine:
    """Prepare a pool that connects when first used; psycopg must be installed."""
    if importlib.util.find_spec("psycopg") is None:
        raise DatabaseSetupError(
            "PostgreSQL needs a driver that is not installed: pip install 'freehold[postgres]'"
        )
    return create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_use_lifo=True,  # idle connections beyond those in use stay unopened
        connect_args={"connect_timeout": 10, "application_name": "freehold"},
        json_serializer=documents.dumps,
        json_deserializer=documents.loads,
    )


class PostgresDatabase:
    """A ``Database`` on a PostgreSQL server."""

    def __init__(self, url: URL, *, connections: int = 8) -> None:
        """Start ``connections`` threads; each connects when it gets its first unit."""
        self._engine = create_postgres_engine(url, connections=connections)
        forbid_ending_transactions(self._engine)
        self._snapshots = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._intake = Intake()
        self._threads = [Thread(target=self._work, daemon=True) for _ in range(connections)]
        for thread in self._threads:
            thread.start()

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._intake.submit(_Read(work))

    async def write(self, work: Callable[[Connection], T]) -> T:
        return await self._intake.submit(work)

    async def close(self) -> None:
        self._intake.close()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        self._engine.dispose()

    def _work(self) -> None:
        while unit := self._intake.take():
            engine = self._snapshots if isinstance(unit.work, _Read) else self._engine
            with delivering([unit]):
                _run_until_settled(engine, unit)


class _Read:
    """Marks a unit as one that only reads."""

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self._work = work

    def __call__(self, connection: Connection) -> Any:
        return self._work(connection)


def _run_until_settled(engine: Engine, unit: Unit) -> None:
    """Run the unit, again while the server asks for it; afterwards it holds result or error."""
    for attempt in range(_TRIES):
        unit.error = None
        try:
            connection = engine.connect()
        except SQLAlchemyError as error:
            unit.error = _explain(error)
            return
        with connection:
            if not _run_once(connection, unit):
                return
        # At once it would meet the same rival again; each must wait for a different while.
        time.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - spreads load, no secret


def _run_once(connection: Connection, unit: Unit) -> bool:
    """Run and commit the unit; say whether it is worth another try."""
    transaction = connection.begin()
    succeeded = unit.run(connection)
    if not (transaction.is_active or connection.closed):  # the unit tried to end it: undo all
        connection.invalidate()
    if not succeeded:
        return _is_passing(unit.error)
    try:
        transaction.commit()
    except SQLAlchemyError as error:
        unit.error = error
        # Lost during the commit, its outcome is unknown: no second try.
        return _is_passing(error) and not _is_lost(error)
    return False


def _is_passing(error: BaseException | None) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    return _is_lost(error) or getattr(error.orig, "sqlstate", None) in _ASKS_FOR_ANOTHER_TRY


def _is_lost(error: BaseException) -> bool:
    return isinstance(error, DBAPIError) and error.connection_invalidated


def _explain(error: Exception) -> Exception:
    unavailable = ServiceUnavailableError(
        "The database cannot be reached. Try again in a moment.", retry_after=1
    )
    unavailable.__cause__ = error
    return unavailable
