import importlib.util

import pytest
from sqlalchemy import insert, select

from freehold.storage import migrations
from freehold.storage.address import DatabaseSetupError
from freehold.storage.open import open_database
from freehold.storage.tables import organizations


async def test_database_in_memory_has_the_schema_at_once() -> None:
    database = open_database("sqlite://")
    row = {"id": "org-1", "name": "Ours", "created_at": 1}

    await database.write(lambda c: c.execute(insert(organizations), row))

    assert await database.read(lambda c: c.scalar(select(organizations.c.name))) == "Ours"
    await database.close()


async def test_two_databases_in_memory_are_two() -> None:
    first, second = open_database("sqlite://"), open_database("sqlite://")
    row = {"id": "org-1", "name": "Ours", "created_at": 1}

    await first.write(lambda c: c.execute(insert(organizations), row))

    assert await second.read(lambda c: c.execute(select(organizations)).all()) == []
    await first.close()
    await second.close()


def test_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(DatabaseSetupError, match=r"pip install 'freehold\[postgres\]'"):
        open_database("postgresql://user@host/name")


def test_migrations_of_a_database_in_memory_are_refused() -> None:
    with pytest.raises(DatabaseSetupError, match="in memory"):
        migrations.upgrade("sqlite://")
