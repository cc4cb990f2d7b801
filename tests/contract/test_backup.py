"""A copy of the database holds what was committed, and only that."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from freehold.storage.address import DatabaseSetupError
from freehold.storage.backup import backup
from freehold.storage.database import Database


def rows_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return copy.execute("SELECT count(*) FROM numbers").fetchone()[0]


async def test_copy_of_a_database_in_use_holds_every_committed_row(
    tmp_path: Path, open_again: Callable[[str], Database]
) -> None:
    url = f"sqlite:///{tmp_path}/freehold.db"
    database = open_again(url)
    await database.write(lambda c: c.execute(text("CREATE TABLE numbers (n INTEGER)")))
    for count in range(1, 4):
        await database.write(lambda c: c.execute(text("INSERT INTO numbers VALUES (1)")))
        target = tmp_path / f"copy-{count}.db"
        backup(url, target)
        assert rows_of(target) == count
        assert target.stat().st_mode & 0o077 == 0
    left = sorted(path.name for path in tmp_path.glob("copy*"))
    assert left == ["copy-1.db", "copy-2.db", "copy-3.db"]


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "freehold.db").touch()
    (tmp_path / "copy.db").write_text("precious")
    with pytest.raises(DatabaseSetupError, match="there already"):
        backup(f"sqlite:///{tmp_path}/freehold.db", tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "precious"


def test_what_is_no_database_leaves_no_copy(tmp_path: Path) -> None:
    (tmp_path / "freehold.db").write_text("no database at all" * 100)
    with pytest.raises(DatabaseSetupError, match="failed"):
        backup(f"sqlite:///{tmp_path}/freehold.db", tmp_path / "copy.db")
    assert [path.name for path in tmp_path.iterdir()] == ["freehold.db"]


@pytest.mark.parametrize("url", ["sqlite:///none/freehold.db", "sqlite://", "postgresql://h/d"])
def test_what_can_not_be_copied_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseSetupError):
        backup(url, tmp_path / "copy.db")
