"""Each contract test runs on every database; a new implementation is one more entry here."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import JSON, Boolean, Column, Integer, LargeBinary, MetaData, Table, Text

from freehold.jobs.queue import Jobs
from freehold.storage import migrations
from freehold.storage.address import parse
from freehold.storage.database import Database
from freehold.storage.open import open_database
from freehold.storage.postgres import PostgresDatabase
from freehold.storage.sqlite import SQLiteDatabase
from postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

MEMORY = "sqlite://"
_FILE = pytest.param("file", id="sqlite-file")
_MEMORY = pytest.param("memory", id="sqlite-memory")
_POSTGRES = pytest.param("postgres", id="postgres", marks=pytest.mark.external)


def _address(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "postgres":
        return request.getfixturevalue("postgres_url")
    return MEMORY if kind == "memory" else f"sqlite:///{folder}/freehold.db"


def open_bare(url: str) -> Database:
    """Open a database as it is, without a schema."""
    if url == MEMORY:
        return SQLiteDatabase(None)
    if url.startswith("sqlite"):
        return SQLiteDatabase(Path(url.removeprefix("sqlite:///")))
    return PostgresDatabase(parse(url))


@pytest.fixture(params=[_FILE, _MEMORY, _POSTGRES])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return _address(request.param, request, tmp_path)


@pytest.fixture(params=[_FILE, _POSTGRES])
def durable_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return _address(request.param, request, tmp_path)


@pytest.fixture
async def jobs(durable_url: str) -> AsyncIterator[Jobs]:
    """Give the queue of an empty database."""
    migrations.upgrade(durable_url)
    database = open_database(durable_url)
    yield Jobs(database, poll_s=0.05)
    await database.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = open_bare(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def rows(database: Database) -> Table:
    """Make a table on the database under test."""
    table = Table(
        "rows",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("name", Text, unique=True),
        Column("document", JSON),
        Column("secret", LargeBinary),
        Column("flag", Boolean),
    )
    await database.write(table.metadata.create_all)
    return table


@pytest.fixture
async def open_again() -> AsyncIterator[Callable[[str], Database]]:
    """Open databases that are closed after the test."""
    opened: list[Database] = []

    def open_it(url: str) -> Database:
        opened.append(open_bare(url))
        return opened[-1]

    yield open_it
    for one in opened:
        await one.close()
