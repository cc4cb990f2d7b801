"""A copy of the SQLite database while servers use it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from freehold.storage.address import DatabaseSetupError, is_sqlite, parse, sqlite_path


def backup(url: str, target: Path) -> None:
    """Write all that is committed to a new file; whole and durable once this returns.

    Raises ``DatabaseSetupError`` where there is no such database, or the file is there already.
    """
    source = _source(url)
    if target.exists():
        raise DatabaseSetupError(f"{target} is there already: name a new file.")
    partial = target.with_name(f"{target.name}.partial")
    try:
        _copy(source, partial)
        partial.rename(target)
    except (OSError, sqlite3.Error) as error:
        partial.unlink(missing_ok=True)
        raise DatabaseSetupError(f"The backup to {target} failed: {error}.") from error


def _source(url: str) -> Path:
    address = parse(url)
    path = sqlite_path(address) if is_sqlite(address) else None
    if path is None:
        raise DatabaseSetupError(
            "Only an SQLite database in a file is copied here; for PostgreSQL use pg_dump."
        )
    if not path.exists():
        raise DatabaseSetupError(f"There is no database at {path}.")
    return path


def _copy(source: Path, target: Path) -> None:
    """Copy one snapshot: writers go on meanwhile."""
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    original, copy = sqlite3.connect(source, timeout=30), sqlite3.connect(target)
    with closing(original), closing(copy):
        original.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    file = os.open(target, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
