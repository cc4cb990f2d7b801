"""Database addresses: which kind, which driver, and what is wrong with a bad one."""

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_POSTGRES = {"postgres", "postgresql", "postgresql+psycopg"}
_SQLITE = {"sqlite", "sqlite+pysqlite"}


class DatabaseSetupError(Exception):
    """The database cannot be used until the operator has done what the message says."""


def parse(address: str) -> URL:
    """Return the address with the driver we use, or refuse it by saying what would be right."""
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise DatabaseSetupError(
            "The database address is not one: write sqlite:///path/to/file.db or "
            "postgresql://user@host/database."
        ) from error
    if url.drivername in _POSTGRES:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername not in _SQLITE:
        raise DatabaseSetupError(
            f"Freehold knows no database {url.drivername!r}: use sqlite:/// or postgresql://."
        )
    if url.host or url.query:
        raise DatabaseSetupError(
            f"An SQLite address has only a path, with three slashes before it: {url}"
        )
    return url.set(drivername="sqlite")


def is_sqlite(url: URL) -> bool:
    return url.drivername == "sqlite"


def sqlite_path(url: URL) -> Path | None:
    """Return the file of an SQLite address; None where the database lives in memory."""
    name = url.database
    return None if name in (None, "", ":memory:") else Path(name)
