"""The statements of stored chat completions say the same on each database."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import insert

from freehold.resources.chat import store
from freehold.storage import migrations
from freehold.storage.database import Database
from freehold.storage.open import open_database
from freehold.storage.tables import organizations, projects

OWNER = store.Owner("proj_a", since=100)
TAGS: list[dict[str, str]] = [{"k": "1", 'odd".key': "a'b"}, {"k": "1"}, {"k": "2", "ü": "ö"}, {}]


def row(name: str, **fields: Any) -> dict[str, Any]:
    response = {"id": name, "text": "\0 and ü"}
    given = {"request_id": "req", "request": {"messages": []}, "response": response}
    return {"id": name, "project_id": "proj_a", "created": 101, "model": "m", **given, **fields}


@pytest.fixture
async def stored(durable_url: str) -> AsyncIterator[Database]:
    """Return a database with four completions of a project, an old one, and one of another."""
    migrations.upgrade(durable_url)
    database = open_database(durable_url)
    rows = [row(f"c{place}", metadata=tags) for place, tags in enumerate(TAGS)]
    rows[3]["model"] = "other"
    rows += [row("old", created=100, metadata={}), row("b", project_id="proj_b", metadata={})]

    def fill(connection: store.Connection) -> None:
        connection.execute(insert(organizations), {"id": "o", "name": "O", "created_at": 1})
        for name in ("proj_a", "proj_b"):
            project = {"id": name, "organization_id": "o", "name": name, "created_at": 1}
            connection.execute(insert(projects), project)
        for one in rows:
            store.insert(connection, one)

    await database.write(fill)
    yield database
    await database.close()


async def ids(database: Database, **wanted: Any) -> list[str]:
    wanted = {"models": (), "metadata": {}, "after": None, "order": "asc", "limit": 10, **wanted}
    rows = await database.read(lambda c: store.page(c, OWNER, **wanted))
    return [one.id for one in rows]


async def test_pages_hold_what_is_the_owners_in_order(stored: Database) -> None:
    assert await ids(stored) == ["c0", "c1", "c2", "c3"]
    assert await ids(stored, order="desc", limit=2) == ["c3", "c2"]
    one = await stored.read(lambda c: store.find(c, OWNER, "c1"))
    assert one is not None
    assert await ids(stored, after=one.seq) == ["c2", "c3"]
    assert await ids(stored, after=one.seq, order="desc") == ["c0"]
    assert await ids(stored, models=("other", "x")) == ["c3"]


async def test_metadata_is_found_whatever_its_letters(stored: Database) -> None:
    assert await ids(stored, metadata={"k": "1"}) == ["c0", "c1"]
    assert await ids(stored, metadata={"k": "1", 'odd".key': "a'b"}) == ["c0"]
    assert await ids(stored, metadata={"ü": "ö"}) == ["c2"]
    assert await ids(stored, metadata={"k": "3"}) == []


async def test_documents_come_back_as_they_went_in(stored: Database) -> None:
    found = await stored.read(lambda c: store.find(c, OWNER, "c0"))
    assert found is not None
    assert found.response == {"id": "c0", "text": "\0 and ü"}
    assert found.metadata == TAGS[0]


@pytest.mark.parametrize("missing", ["old", "b", "none"])
async def test_what_is_old_or_of_others_is_not_touched(stored: Database, missing: str) -> None:
    assert await stored.read(lambda c: store.find(c, OWNER, missing)) is None
    assert await stored.write(lambda c: store.set_metadata(c, OWNER, missing, {"a": "b"})) is None
    assert await stored.write(lambda c: store.remove(c, OWNER, missing)) is False


async def test_changes_and_removals_last(stored: Database) -> None:
    changed = await stored.write(lambda c: store.set_metadata(c, OWNER, "c1", {"new": "x"}))
    assert changed is not None
    assert changed.metadata == {"new": "x"}
    assert await ids(stored, metadata={"new": "x"}) == ["c1"]
    assert await stored.write(lambda c: store.remove(c, OWNER, "c1")) is True
    assert await ids(stored) == ["c0", "c2", "c3"]
