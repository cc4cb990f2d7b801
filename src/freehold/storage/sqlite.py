"""SQLite: one thread writes in groups, a few threads read.

Each group of waiting units is one transaction and one fsync; within it each unit is a savepoint, so
one that fails is undone alone. Callers learn the outcome only after the commit.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import TypeVar, cast

from sqlalchemy import Connection, Engine, MetaData, StaticPool, create_engine

from freehold.core.errors import ServiceUnavailableError
from freehold.storage import documents
from freehold.storage.address import DatabaseSetupError
from freehold.storage.work import Intake, Unit, delivering, forbid_ending_transactions

T = TypeVar("T")

_LOCK_WAIT_S = 30
_LOCK_RETRY_S = 0.02
_creating = Lock()  # until a new file is closed, no other thread may open it
_GROUP_LIMIT = 256  # bounds what one commit holds back


def connect(path: Path | None) -> sqlite3.Connection:
    """Open a connection that commits durably, waits for locks and leaves transactions to us.

    A new file is readable by its owner only. None opens a database in memory.
    """
    if path is not None:
        _create_private(path)
    raw = sqlite3.connect(
        path or ":memory:", isolation_level=None, timeout=_LOCK_WAIT_S, check_same_thread=False
    )
    raw.execute("PRAGMA foreign_keys = ON")
    if path is not None:
        _make_durable(raw, path)
    return raw


def _create_private(path: Path) -> None:
    """Create the file if it is not there; never touch one that is.

    Closing any descriptor of a file drops every lock this process has on it. SQLite in another
    process would then take itself for the last user and delete the log that we still write to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _creating, suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise DatabaseSetupError(f"{path} cannot be opened: {error.strerror}.") from error


def _make_durable(raw: sqlite3.Connection, path: Path) -> None:
    try:
        mode = _write_ahead(raw)
    except sqlite3.DatabaseError as error:
        raw.close()
        raise DatabaseSetupError(f"{path} cannot be used: {error}.") from error
    if mode != "wal":
        raw.close()
        raise DatabaseSetupError(
            f"{path}: SQLite cannot keep its write-ahead log there (a network drive?). "
            "Put the state folder on a local disk, or use PostgreSQL."
        )
    raw.execute("PRAGMA synchronous = FULL")
    raw.execute("PRAGMA journal_size_limit = 67108864")


def _write_ahead(raw: sqlite3.Connection) -> str:
    """Return the mode of the log, asked to be written ahead.

    Where two do this to a new file at once, SQLite refuses one without the wait it was told.
    """
    give_up = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            (mode,) = raw.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(_LOCK_RETRY_S)
        else:
            return str(mode)


def create_sqlite_engine(raw: sqlite3.Connection) -> Engine:
    """Wrap one open connection; the engine neither begins nor ends transactions on it."""
    return create_engine(
        "sqlite://",
        creator=lambda: raw,
        poolclass=StaticPool,
        pool_reset_on_return=None,
        json_serializer=documents.dumps,
        json_deserializer=documents.loads,
    )


class _Session:
    """One raw connection and SQLAlchemy's view of it, for the thread that owns both."""

    def __init__(self, path: Path | None, *, query_only: bool) -> None:
        self.raw = connect(path)
        if query_only:
            self.raw.execute("PRAGMA query_only = ON")
        self._engine = create_sqlite_engine(self.raw)
        forbid_ending_transactions(self._engine)
        self._open_view()

    def _open_view(self) -> None:
        # SQLAlchemy believes itself in one endless transaction; the true ones are begun and ended
        # on the raw connection, which is several times cheaper.
        self.connection = self._engine.connect()
        self._transaction = self.connection.begin()

    def run(self, unit: Unit) -> bool:
        succeeded = unit.run(self.connection)
        if not self._transaction.is_active:  # the unit tried to end it
            self._open_view()
        return succeeded

    def close(self) -> None:
        self.raw.close()


class _Writer(_Session):
    """Runs groups of units, each group in one transaction."""

    def __init__(self, path: Path | None) -> None:
        super().__init__(path, query_only=False)

    def create(self, schema: MetaData) -> None:
        schema.create_all(self.connection)

    def run_group(self, units: list[Unit]) -> None:
        """Run and commit the units; afterwards each one holds its result or its error."""
        lost: list[Unit] = []
        try:
            self.raw.execute("BEGIN IMMEDIATE")
            lost = self._run_each(units) if len(units) > 1 else self._run_only(units[0])
            if self.raw.in_transaction:
                self.raw.execute("COMMIT")
        except sqlite3.Error as error:
            if self.raw.in_transaction:
                self.raw.execute("ROLLBACK")
            _fail(units, error)
        for unit in lost:
            self.run_group([unit])

    def _run_only(self, unit: Unit) -> list[Unit]:
        if not self.run(unit) and self.raw.in_transaction:
            self.raw.execute("ROLLBACK")
        return []

    def _run_each(self, units: list[Unit]) -> list[Unit]:
        """Run each unit in a savepoint; return those that another one's failure has undone."""
        execute = self.raw.execute
        for position, unit in enumerate(units):
            execute("SAVEPOINT unit")
            if self.run(unit):
                execute("RELEASE unit")
            elif self.raw.in_transaction:
                execute("ROLLBACK TO unit")
                execute("RELEASE unit")
            else:  # a full disk, or ON CONFLICT ROLLBACK: SQLite has dropped the whole transaction
                undone = [other for other in units[:position] if other.error is None]
                return undone + units[position + 1 :]
        return []


class _Reader(_Session):
    """Runs one unit at a time against a snapshot."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, query_only=True)

    def run_one(self, unit: Unit) -> None:
        self.raw.execute("BEGIN")
        self.run(unit)
        if self.raw.in_transaction:
            self.raw.execute("ROLLBACK")


def _fail(units: list[Unit], error: sqlite3.Error) -> None:
    for unit in units:
        if unit.error is None:
            unit.error = _explain(error)


def _explain(error: sqlite3.Error) -> Exception:
    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
        return error
    busy = ServiceUnavailableError(
        "The database is locked by another process. Try again in a moment.", retry_after=1
    )
    busy.__cause__ = error
    return busy


class SQLiteDatabase:
    """A ``Database`` in one file, or in memory for tests (``path`` None)."""

    def __init__(
        self, path: Path | None, *, readers: int = 4, schema: MetaData | None = None
    ) -> None:
        """Open the database; ``schema``, where given, is created first (memory starts empty)."""
        writer = _Writer(path)
        if schema is not None:
            writer.create(schema)
        self._writes, self._reads = Intake(), Intake()
        self._in_memory = path is None
        self._writer = Thread(target=self._write, args=(writer,), daemon=True)
        self._readers = (
            []
            if path is None
            else [
                Thread(target=self._read, args=(_Reader(path),), daemon=True)
                for _ in range(readers)
            ]
        )
        for thread in (self._writer, *self._readers):
            thread.start()

    async def read(self, work: Callable[[Connection], T]) -> T:
        if self._in_memory:  # its only connection belongs to the writer
            return await self._writes.submit(lambda connection: _query_only(connection, work))
        return await self._reads.submit(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        return await self._writes.submit(work)

    async def close(self) -> None:
        self._reads.close()
        self._writes.close()
        for thread in (*self._readers, self._writer):
            await asyncio.to_thread(thread.join)

    def _write(self, writer: _Writer) -> None:
        while group := self._writes.take_all(_GROUP_LIMIT):
            with delivering(group):
                writer.run_group(group)
        writer.close()

    def _read(self, reader: _Reader) -> None:
        while unit := self._reads.take():
            with delivering([unit]):
                reader.run_one(unit)
        reader.close()


def _query_only(connection: Connection, work: Callable[[Connection], T]) -> T:
    raw = cast("sqlite3.Connection", connection.connection.dbapi_connection)
    raw.execute("PRAGMA query_only = ON")
    try:
        return work(connection)
    finally:
        raw.execute("PRAGMA query_only = OFF")
