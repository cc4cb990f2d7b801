"""Every SQL statement of stored chat completions.

``since`` leaves out what is older than the retention rule allows: it counts as gone, whether or not
it has been swept yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    exists,
    func,
    select,
    type_coerce,
    update,
)
from sqlalchemy import insert as sql_insert
from sqlalchemy.dialects.postgresql import JSONB

from freehold.storage.tables import chat_completions

_INSERT = sql_insert(chat_completions)
_STORED = chat_completions.c


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose completions are looked at, and how far back."""

    project_id: str
    since: int

    def condition(self) -> ColumnElement[bool]:
        return and_(_STORED.project_id == self.project_id, _STORED.created > self.since)


def insert(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(_INSERT, row)


def find(connection: Connection, owner: Owner, completion_id: str) -> Row[Any] | None:
    """Return the row of this id, None where the project has no such one."""
    statement = select(chat_completions).where(owner.condition(), _STORED.id == completion_id)
    return connection.execute(statement).one_or_none()


def page(
    connection: Connection,
    owner: Owner,
    *,
    models: tuple[str, ...],
    metadata: Mapping[str, str],
    after: int | None,
    order: Literal["asc", "desc"],
    limit: int,
) -> list[Row[Any]]:
    """Return up to ``limit`` rows behind the ``seq`` of ``after``; no ``models`` means any."""
    statement = select(chat_completions).where(owner.condition()).limit(limit)
    if models:
        statement = statement.where(_STORED.model.in_(models))
    if metadata:
        statement = statement.where(_tagged(connection, metadata))
    if after is not None:
        behind = _STORED.seq > after if order == "asc" else _STORED.seq < after
        statement = statement.where(behind)
    by = _STORED.seq if order == "asc" else _STORED.seq.desc()
    return list(connection.execute(statement.order_by(by)))


def set_metadata(
    connection: Connection, owner: Owner, completion_id: str, metadata: Mapping[str, str]
) -> Row[Any] | None:
    """Replace the metadata and return the row, None where the project has no such one."""
    statement = update(chat_completions).where(owner.condition(), _STORED.id == completion_id)
    connection.execute(statement.values(metadata=dict(metadata)))
    return find(connection, owner, completion_id)


def remove(connection: Connection, owner: Owner, completion_id: str) -> bool:
    """Delete the row; False where the project has no such one."""
    statement = delete(chat_completions).where(owner.condition(), _STORED.id == completion_id)
    return bool(connection.execute(statement).rowcount)


def sweep(connection: Connection, oldest: int, limit: int) -> int:
    """Delete up to ``limit`` completions that are not younger than ``oldest``; say how many."""
    old = select(_STORED.seq).where(_STORED.created <= oldest).limit(limit)
    return connection.execute(delete(chat_completions).where(_STORED.seq.in_(old))).rowcount


def _tagged(connection: Connection, metadata: Mapping[str, str]) -> ColumnElement[bool]:
    """Return the condition that all of these pairs are in the metadata."""
    if connection.dialect.name == "postgresql":
        return type_coerce(_STORED.metadata, JSONB).contains(dict(metadata))
    return and_(*(_has(key, value) for key, value in metadata.items()))


def _has(key: str, value: str) -> ColumnElement[bool]:
    pair = func.json_each(_STORED.metadata).table_valued("key", "value")
    return exists(select(1).select_from(pair).where(pair.c.key == key, pair.c.value == value))
