"""Runs Alembic on a connection that holds the lock, so two processes cannot upgrade at once."""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, text

from freehold.storage.address import DatabaseSetupError, is_sqlite, sqlite_path
from freehold.storage.postgres import create_postgres_engine
from freehold.storage.sqlite import connect, create_sqlite_engine

_LOCK = 0x66726565  # any number, as long as it is always the same


def config() -> Config:
    """Return Alembic's settings, without an ini file."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return settings


def run(address: URL) -> None:
    """Take every step that is still missing; all are kept, or none."""
    settings = config()
    with _locked(address) as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")


def _locked(address: URL) -> AbstractContextManager[Connection]:
    return _locked_sqlite(address) if is_sqlite(address) else _locked_postgres(address)


@contextmanager
def _locked_postgres(address: URL) -> Generator[Connection]:
    engine = create_postgres_engine(address)
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _locked_sqlite(address: URL) -> Generator[Connection]:
    path = sqlite_path(address)
    if path is None:
        raise DatabaseSetupError("A database in memory is created with its schema.")
    raw = connect(path)
    try:
        raw.execute("PRAGMA foreign_keys = OFF")  # a step may rebuild a table others refer to
        with create_sqlite_engine(raw).connect() as connection:
            raw.execute("BEGIN IMMEDIATE")
            with connection.begin():
                yield connection
                _check_references(connection)
    finally:
        raw.close()


def _check_references(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise DatabaseSetupError(f"The upgrade was undone: it broke a reference in {broken[0]}.")
