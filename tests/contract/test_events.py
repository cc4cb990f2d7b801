"""Processes that share a PostgreSQL database tell each other what happens."""

import asyncio

import pytest

from freehold.storage import notify
from freehold.storage.address import parse
from freehold.storage.notify import NotifiedEvents
from freehold.storage.postgres import PostgresDatabase

pytestmark = pytest.mark.external


@pytest.fixture
async def database(postgres_url):
    opened = PostgresDatabase(parse(postgres_url))
    yield opened
    await opened.close()


@pytest.fixture
async def events(postgres_url):
    hearing = NotifiedEvents(parse(postgres_url))
    hearing.start()
    await heard(hearing)
    yield hearing
    await hearing.stop()


async def heard(events):
    async with asyncio.timeout(20):
        while events.address is None:
            await asyncio.sleep(0.01)


async def test_what_is_sent_is_heard_once_it_is_written(database, events):
    with events.listen("topic") as listener, events.listen("other") as other:

        def unit(connection):
            notify.send(connection, events.address, "topic", '{"a": "µ 漢"}'.encode())
            notify.send(connection, events.address, "topic")

        await database.write(unit)

        assert await listener.group(10) == '{"a": "µ 漢"}\n\n'.encode()
        assert await other.group(0) == b""


async def test_some_news_are_for_every_process(database, events):
    with events.listen("topic") as listener:
        await database.write(lambda c: notify.send(c, notify.EVERYONE, "topic", b"all"))

        assert await listener.group(10) == b"all\n"


async def test_what_is_not_written_is_not_heard(database, events):
    def unit(connection):
        notify.send(connection, events.address, "topic", b"lost")
        raise RuntimeError

    with events.listen("topic") as listener:
        with pytest.raises(RuntimeError):
            await database.write(unit)
        await database.write(lambda c: notify.send(c, events.address, "topic", b"kept"))

        assert await listener.group(10) == b"kept\n"


async def test_longest_item_is_taken(database, events):
    item = b"x" * notify.MOST_BYTES

    with events.listen("run_abc") as listener:
        await database.write(lambda c: notify.send(c, events.address, "run_abc", item))

        assert await listener.group(10) == item + b"\n"


async def test_lost_connection_is_made_again(database, events, monkeypatch):
    monkeypatch.setattr(notify, "_TRY_AGAIN_S", 0.05)
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE starts_with(query, 'LISTEN')"
    )
    with events.listen("topic") as listener:
        await database.write(lambda c: c.exec_driver_sql(end).all())
        async with asyncio.timeout(20):
            while events.address is not None:
                await asyncio.sleep(0.001)
            await heard(events)
        await database.write(lambda c: notify.send(c, events.address, "topic", b"again"))

        assert await listener.group(10) == b"again\n"


async def test_stop_ends_every_listener(events):
    with events.listen("topic") as listener:
        await events.stop()

        assert [group async for group in listener.groups()] == []
