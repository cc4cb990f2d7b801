"""What only SQLite has: groups, one file, its locks."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import cast

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from freehold.core.errors import ServiceUnavailableError
from freehold.storage import sqlite
from freehold.storage.database import Database
from freehold.storage.sqlite import SQLiteDatabase


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folder" / "freehold.db"


@pytest.fixture
async def database(path: Path, open_again: Callable[[str], Database]) -> Database:
    opened = open_again(f"sqlite:///{path}")
    await opened.write(run("CREATE TABLE names (name TEXT PRIMARY KEY)"))
    return opened


def run(statement: str) -> Callable[[Connection], object]:
    return lambda connection: connection.execute(text(statement))


async def names_in(database: Database) -> set[str]:
    return await database.read(lambda c: set(c.scalars(text("SELECT name FROM names"))))


async def run_as_one_group(
    database: Database, units: list[Callable[[Connection], object]]
) -> tuple[list[object], list[str]]:
    """Hand in the units while the writer is busy; return outcomes and the statements run."""
    statements: list[str] = []
    release, started, loop = Event(), asyncio.Event(), asyncio.get_running_loop()

    def hold(connection: Connection) -> None:
        loop.call_soon_threadsafe(started.set)
        raw = cast("sqlite3.Connection", connection.connection.dbapi_connection)
        raw.set_trace_callback(statements.append)
        assert release.wait(20)

    holder = asyncio.create_task(database.write(hold))
    await started.wait()
    group = [asyncio.create_task(database.write(unit)) for unit in units]
    await asyncio.sleep(0)  # all are handed in
    release.set()
    await holder
    return await asyncio.gather(*group, return_exceptions=True), statements


async def test_waiting_units_share_one_commit(database: Database) -> None:
    inserts = [run("INSERT INTO names VALUES (hex(randomblob(8)))") for _ in range(50)]

    outcomes, statements = await run_as_one_group(database, inserts)

    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert statements.count("COMMIT") == 2  # the holder's, and one for all fifty
    assert len(await names_in(database)) == 50


async def test_neighbours_survive_a_failure_that_drops_the_whole_transaction(
    database: Database,
) -> None:
    units = [
        run("INSERT INTO names VALUES ('first')"),
        run("INSERT OR ROLLBACK INTO names VALUES ('first')"),
        run("INSERT INTO names VALUES ('last')"),
    ]

    outcomes, _ = await run_as_one_group(database, units)

    assert [isinstance(outcome, IntegrityError) for outcome in outcomes] == [False, True, False]
    assert await names_in(database) == {"first", "last"}


async def test_unit_that_commits_behind_our_back_fails_and_the_writer_lives(
    database: Database,
) -> None:
    outcomes, _ = await run_as_one_group(
        database, [run("COMMIT"), run("INSERT INTO names VALUES ('a')")]
    )

    assert isinstance(outcomes[0], sqlite3.OperationalError)
    await database.write(run("INSERT INTO names VALUES ('b')"))
    assert "b" in await names_in(database)


async def test_lock_that_another_program_never_lets_go_is_a_503(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_LOCK_WAIT_S", 0.05)
    database = SQLiteDatabase(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(ServiceUnavailableError, match="locked by another process"):
        await database.write(run("CREATE TABLE late (id INTEGER)"))

    other.execute("ROLLBACK")
    other.close()
    await database.write(run("CREATE TABLE late (id INTEGER)"))
    await database.close()


async def test_only_its_owner_can_read_the_file(database: Database, path: Path) -> None:
    await database.write(run("INSERT INTO names VALUES ('private')"))

    files = list(path.parent.iterdir())
    assert path in files
    assert len(files) > 1  # the write-ahead log is there too
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_commits_reach_the_disk(database: Database) -> None:
    def settings(connection: Connection) -> tuple[object, object]:
        return (
            connection.scalar(text("PRAGMA synchronous")),
            connection.scalar(text("PRAGMA journal_mode")),
        )

    full = 2
    assert await database.write(settings) == (full, "wal")


async def test_another_process_that_leaves_does_not_take_the_log_with_it(
    database: Database, path: Path
) -> None:
    """SQLite deletes the log when the last user leaves: our locks must show that we stay."""
    await database.write(run("INSERT INTO names VALUES ('before')"))
    assert names_seen_by_another_process(path) == {"before"}

    await database.write(run("INSERT INTO names VALUES ('after')"))

    assert names_seen_by_another_process(path) == {"before", "after"}
    assert await names_in(database) == {"before", "after"}


def names_seen_by_another_process(path: Path) -> set[str]:
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
        "print(*(name for (name,) in c.execute('SELECT name FROM names'))); c.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())
