"""Every SQL statement of assistants."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, select, update
from sqlalchemy import insert as sql_insert

from freehold.storage.cursors import Cursor, Slice, fetch
from freehold.storage.records import Record, one
from freehold.storage.tables import assistants

_ASSISTANT = assistants.c


def insert(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(sql_insert(assistants), dict(row))


def find(connection: Connection, project_id: str, assistant_id: str) -> Record | None:
    """Return the assistant of this id, None where the project has no such one."""
    statement = select(assistants).where(*_one(project_id, assistant_id))
    return one(connection, statement)


def lock(connection: Connection, project_id: str, assistant_id: str) -> Record | None:
    """Return the assistant as ``find`` does, and keep others from changing it in this unit."""
    statement = select(assistants).where(*_one(project_id, assistant_id)).with_for_update()
    return one(connection, statement)


def page(connection: Connection, project_id: str, cursor: Cursor) -> Slice:
    """Return a page of the project's assistants."""
    statement = select(assistants).where(_ASSISTANT.project_id == project_id)
    return fetch(connection, statement, _ASSISTANT.seq, cursor)


def change(connection: Connection, assistant_id: str, values: Mapping[str, Any]) -> None:
    connection.execute(update(assistants).where(_ASSISTANT.id == assistant_id).values(**values))


def remove(connection: Connection, project_id: str, assistant_id: str) -> bool:
    """Delete the assistant; False where the project has no such one."""
    statement = delete(assistants).where(*_one(project_id, assistant_id))
    return bool(connection.execute(statement).rowcount)


def _one(project_id: str, assistant_id: str) -> tuple[Any, ...]:
    return _ASSISTANT.project_id == project_id, _ASSISTANT.id == assistant_id
