"""Bring a database to the schema this version needs, and say where it stands.

Alembic takes half a second to import, so it is asked only when there is something to do.
"""

import re
import sqlite3
from contextlib import closing
from importlib.resources import files

from sqlalchemy import URL, inspect, text
from sqlalchemy.exc import OperationalError

from freehold.storage.address import DatabaseSetupError, is_sqlite, parse, sqlite_path
from freehold.storage.postgres import create_postgres_engine

_STEP = re.compile(r"v(\d{4})_\w+\.py")


def head() -> str:
    """Return the newest revision this version knows."""
    names = (entry.name for entry in files(f"{__name__}.versions").iterdir())
    return max(step[1] for name in names if (step := _STEP.fullmatch(name)))


def current(url: str) -> str | None:
    """Return the database's revision; None if it is new or does not exist."""
    address = parse(url)
    return _current_sqlite(address) if is_sqlite(address) else _current_postgres(address)


def upgrade(url: str) -> None:
    """Bring the database to ``head()``, in one transaction; return at once if it is there."""
    if _is_current(url):
        return
    from freehold.storage.migrations import runner  # noqa: PLC0415 - imports Alembic

    runner.run(parse(url))


def check(url: str) -> None:
    """Raise an error that says what to do unless the database is at ``head()``."""
    if not _is_current(url):
        found = current(url)
        state = "is empty" if found is None else f"is at revision {found}, not {head()}"
        raise DatabaseSetupError(f"The database {state}: run `freehold db upgrade`.")


def _is_current(url: str) -> bool:
    found = current(url)
    if found is not None and found > head():
        raise DatabaseSetupError(
            f"The database is at revision {found}, made by a newer Freehold than this one, "
            f"which knows {head()}: install the newer version."
        )
    return found == head()


def _current_sqlite(address: URL) -> str | None:
    path = sqlite_path(address)
    if path is None or not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        if "no such table" in str(error):
            return None
        raise DatabaseSetupError(f"{path} cannot be read as a database: {error}.") from error
    return row[0] if row else None


def _current_postgres(address: URL) -> str | None:
    engine = create_postgres_engine(address)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.scalar(text("SELECT version_num FROM alembic_version"))
    except OperationalError as error:
        raise DatabaseSetupError(
            f"The database at {address!r} cannot be reached: {error.orig}"
        ) from error
    finally:
        engine.dispose()
