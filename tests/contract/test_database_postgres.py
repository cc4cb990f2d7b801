"""What only PostgreSQL has: deadlocks, lost connections, a server that may be away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from threading import Barrier

import pytest
from sqlalchemy import Connection, text

from freehold.core.errors import ServiceUnavailableError
from freehold.storage.address import parse
from freehold.storage.database import Database
from freehold.storage.postgres import PostgresDatabase

pytestmark = pytest.mark.external


@pytest.fixture
async def database(postgres_url: str, open_again: Callable[[str], Database]) -> Database:
    opened = open_again(postgres_url)
    await opened.write(run("CREATE TABLE counters (id INTEGER PRIMARY KEY, count INTEGER)"))
    await opened.write(run("INSERT INTO counters VALUES (1, 0), (2, 0)"))
    return opened


@pytest.fixture
async def admin(postgres_url: str) -> AsyncIterator[Database]:
    opened = PostgresDatabase(parse(postgres_url), connections=1)
    yield opened
    await opened.close()


def run(statement: str) -> Callable[[Connection], object]:
    return lambda connection: connection.execute(text(statement))


async def counts_in(database: Database) -> list[int]:
    query = text("SELECT count FROM counters ORDER BY id")
    return await database.read(lambda c: list(c.scalars(query)))


async def test_units_that_deadlock_both_succeed(database: Database) -> None:
    both_locked, attempts = Barrier(2), []

    def increment_in_order(first: int, second: int) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            statement = text("UPDATE counters SET count = count + 1 WHERE id = :id")
            connection.execute(statement, {"id": first})
            attempts.append(first)
            if len(attempts) <= 2:
                both_locked.wait(20)
            connection.execute(statement, {"id": second})

        return work

    await asyncio.gather(
        database.write(increment_in_order(1, 2)), database.write(increment_in_order(2, 1))
    )

    assert len(attempts) >= 3  # one of them ran again
    assert await counts_in(database) == [2, 2]


async def test_lost_connections_are_replaced(database: Database, admin: Database) -> None:
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    for use in (
        lambda: database.write(run("UPDATE counters SET count = count + 1")),
        lambda: counts_in(database),
    ):
        await asyncio.gather(*(counts_in(database) for _ in range(8)))  # fill the pool
        await admin.write(lambda c: c.execute(text(kill)).all())
        await use()

    assert await counts_in(database) == [1, 1]


async def test_connection_lost_inside_a_unit_leaves_nothing_half_done(
    database: Database, admin: Database
) -> None:
    attempts: list[int] = []

    def work(connection: Connection) -> None:
        attempts.append(len(attempts))
        connection.execute(text("UPDATE counters SET count = count + 1"))
        if len(attempts) == 1:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    await database.write(work)

    assert attempts == [0, 1]
    assert await counts_in(database) == [1, 1]


async def test_server_that_is_away_is_a_503() -> None:
    database = PostgresDatabase(parse("postgresql://freehold@/nothing?host=/nonexistent"))

    for use in (database.read, database.write):
        with pytest.raises(ServiceUnavailableError, match="cannot be reached"):
            await use(lambda _: None)
    await database.close()
