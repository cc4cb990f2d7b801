"""What Database.write and Database.read promise, on each implementation."""

import asyncio
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Connection, Table, func, insert, literal, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from freehold.storage.database import Database

WAIT_S = 20


class UnitFailedError(Exception):
    """Raised by a unit on purpose."""


def add(rows: Table, name: str) -> Callable[[Connection], object]:
    return lambda connection: connection.execute(insert(rows), {"name": name})


def names_in(rows: Table) -> Callable[[Connection], list[str]]:
    return lambda connection: list(connection.scalars(select(rows.c.name).order_by(rows.c.name)))


def add_then_fail(rows: Table, name: str) -> Callable[[Connection], object]:
    def work(connection: Connection) -> None:
        connection.execute(insert(rows), {"name": name})
        raise UnitFailedError(name)

    return work


async def hold_writer(database: Database) -> tuple[Event, "asyncio.Task[None]"]:
    """Keep the database busy with one unit until the event is set."""
    release, started, loop = Event(), asyncio.Event(), asyncio.get_running_loop()

    def work(_: Connection) -> None:
        loop.call_soon_threadsafe(started.set)
        assert release.wait(WAIT_S)

    task = asyncio.create_task(database.write(work))
    await started.wait()
    return release, task


async def test_write_returns_what_the_unit_returns(database: Database) -> None:
    assert await database.write(lambda c: c.scalar(select(literal(7)))) == 7


async def test_written_rows_are_seen_by_the_next_read(database: Database, rows: Table) -> None:
    await database.write(add(rows, "one"))

    assert await database.read(names_in(rows)) == ["one"]


async def test_failed_unit_leaves_nothing_and_its_exception_comes_out(
    database: Database, rows: Table
) -> None:
    with pytest.raises(UnitFailedError, match="lost"):
        await database.write(add_then_fail(rows, "lost"))

    assert await database.read(names_in(rows)) == []


async def test_failed_unit_in_a_group_does_not_touch_its_neighbours(
    database: Database, rows: Table
) -> None:
    release, holder = await hold_writer(database)
    group = [
        asyncio.create_task(database.write(work))
        for work in (
            add(rows, "before"),
            add_then_fail(rows, "failing"),
            add(rows, "between"),
            add(rows, "before"),  # breaks the unique constraint
            add(rows, "after"),
        )
    ]
    await asyncio.sleep(0)  # each task has handed in its unit
    release.set()
    outcomes = await asyncio.gather(*group, return_exceptions=True)
    await holder

    failures = [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)]
    assert failures.count(UnitFailedError) == 1
    assert failures.count(IntegrityError) == 1
    assert await database.read(names_in(rows)) == ["after", "before", "between"]


async def test_caught_constraint_error_in_a_nested_transaction_keeps_the_rest(
    database: Database, rows: Table
) -> None:
    def work(connection: Connection) -> None:
        connection.execute(insert(rows), {"name": "kept"})
        with pytest.raises(IntegrityError), connection.begin_nested():
            connection.execute(insert(rows), {"name": "kept"})
        connection.execute(insert(rows), {"name": "kept too"})

    await database.write(work)

    assert await database.read(names_in(rows)) == ["kept", "kept too"]


async def test_concurrent_read_modify_writes_lose_no_update(
    database: Database, rows: Table
) -> None:
    await database.write(lambda c: c.execute(insert(rows), {"id": 1, "document": 0}))

    def increment(connection: Connection) -> None:
        row = select(rows.c.document).where(rows.c.id == 1).with_for_update()
        count = connection.execute(row).scalar_one()
        connection.execute(rows.update().where(rows.c.id == 1), {"document": count + 1})

    await asyncio.gather(*(database.write(increment) for _ in range(100)))

    assert await database.read(lambda c: c.scalar(select(rows.c.document))) == 100


async def test_read_sees_one_snapshot_while_others_write(database: Database, rows: Table) -> None:
    await database.write(add(rows, "old"))
    go_on, started, loop = Event(), asyncio.Event(), asyncio.get_running_loop()

    def count_twice(connection: Connection) -> tuple[int | None, int | None]:
        count = select(func.count()).select_from(rows)
        first = connection.scalar(count)
        loop.call_soon_threadsafe(started.set)
        assert go_on.wait(WAIT_S)
        return first, connection.scalar(count)

    reading = asyncio.create_task(database.read(count_twice))
    await started.wait()
    writing = asyncio.create_task(database.write(add(rows, "new")))
    # A database in memory has one connection: there the write waits for the read.
    await asyncio.wait({writing}, timeout=0.5)
    go_on.set()

    assert await reading == (1, 1)
    await writing
    assert await database.read(names_in(rows)) == ["new", "old"]


async def test_writing_in_a_read_is_an_error(database: Database, rows: Table) -> None:
    with pytest.raises(DBAPIError):
        await database.read(add(rows, "forbidden"))

    assert await database.read(names_in(rows)) == []
    await database.write(add(rows, "allowed"))
    assert await database.read(names_in(rows)) == ["allowed"]


@pytest.mark.parametrize("ending", ["commit", "rollback", "close"])
async def test_unit_may_not_end_its_transaction(
    database: Database, rows: Table, ending: str
) -> None:
    def work(connection: Connection) -> None:
        connection.execute(insert(rows), {"name": "half"})
        getattr(connection, ending)()

    with pytest.raises(RuntimeError, match="must not commit or roll back"):
        await database.write(work)

    await database.write(add(rows, "whole"))
    assert await database.read(names_in(rows)) == ["whole"]


async def test_unread_rows_may_not_leave_their_unit(database: Database, rows: Table) -> None:
    for run in (database.read, database.write):
        with pytest.raises(TypeError, match="fetch them"):
            await run(lambda c: c.execute(select(rows)))


async def test_stop_iteration_in_a_unit_reaches_the_caller(database: Database) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await database.write(lambda _: next(iter([])))

    assert await database.write(lambda _: "still working") == "still working"


async def test_cancelled_callers_unit_still_happens(database: Database, rows: Table) -> None:
    inserted, loop = asyncio.Event(), asyncio.get_running_loop()

    def work(connection: Connection) -> None:
        connection.execute(insert(rows), {"name": "kept"})
        loop.call_soon_threadsafe(inserted.set)

    release, holder = await hold_writer(database)
    caller = asyncio.create_task(database.write(work))
    await asyncio.sleep(0)  # the unit is handed in
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    release.set()
    await asyncio.gather(holder, inserted.wait())

    with pytest.raises(IntegrityError):  # the name is taken
        await database.write(add(rows, "kept"))
    assert await database.read(names_in(rows)) == ["kept"]


async def test_close_finishes_what_was_accepted_and_refuses_the_rest(
    database: Database, rows: Table
) -> None:
    release, holder = await hold_writer(database)
    accepted = [asyncio.create_task(database.write(add(rows, f"{n:02}"))) for n in range(40)]
    await asyncio.sleep(0)  # the units are handed in
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(holder, closing, *accepted)

    for run in (database.read, database.write):
        with pytest.raises(RuntimeError, match="closed"):
            await run(lambda _: None)
    await database.close()  # twice is once


async def test_values_come_back_as_they_were_written(database: Database, rows: Table) -> None:
    document = {
        "z": "first key stays first",
        "a": ["Grüße 😀 漢字", "nul \x00", "half \ud83d", None, True, 1.5, 2**80],
        "text": "line\nbreak \u2028 \\ \" '",
    }
    row = {
        "name": "Ünïcödé 😀 % :name",
        "document": document,
        "secret": bytes(range(256)),
        "flag": True,
    }
    await database.write(lambda c: c.execute(insert(rows), row))

    def get(connection: Connection) -> dict[str, Any]:
        return dict(connection.execute(select(rows)).mappings().one())

    found = await database.read(get)
    assert {**found, "id": None} == {**row, "id": None}
    assert list(found["document"]) == ["z", "a", "text"]
    assert found["flag"] is True


async def test_foreign_keys_are_enforced(database: Database, rows: Table) -> None:
    await database.write(
        lambda c: c.execute(
            text("CREATE TABLE notes (row_id INTEGER NOT NULL REFERENCES rows (id))")
        )
    )

    with pytest.raises(IntegrityError):
        await database.write(lambda c: c.execute(text("INSERT INTO notes VALUES (404)")))
