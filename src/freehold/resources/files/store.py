"""Every SQL statement of files and of the blobs that hold their bytes."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, delete, func, or_, select, update
from sqlalchemy import insert as sql_insert

from freehold.core import clock
from freehold.storage.tables import blobs, files, output_pieces

_FILE = files.c
_BLOB = blobs.c


def insert(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(sql_insert(files), row)


def find(connection: Connection, project_id: str, file_id: str) -> Row[Any] | None:
    """Return the row of this id, None where the project has no such one, or it has expired."""
    mine = select(files).where(_FILE.project_id == project_id, _FILE.id == file_id, _lasting())
    return connection.execute(mine).one_or_none()


def page(
    connection: Connection,
    project_id: str,
    *,
    purpose: str | None,
    after: int | None,
    order: Literal["asc", "desc"],
    limit: int,
) -> list[Row[Any]]:
    """Return up to ``limit`` rows behind the ``seq`` of ``after``."""
    statement = select(files).where(_FILE.project_id == project_id, _lasting()).limit(limit)
    if purpose is not None:
        statement = statement.where(_FILE.purpose == purpose)
    if after is not None:
        statement = statement.where(_FILE.seq > after if order == "asc" else _FILE.seq < after)
    by = _FILE.seq if order == "asc" else _FILE.seq.desc()
    return list(connection.execute(statement.order_by(by)))


def remove(connection: Connection, project_id: str, file_id: str) -> bool:
    """Delete the row; False where the project has no such one."""
    statement = delete(files).where(_FILE.project_id == project_id, _FILE.id == file_id)
    return bool(connection.execute(statement).rowcount)


def remove_expired(connection: Connection, limit: int) -> list[str]:
    """Delete the rows of up to ``limit`` expired files and return the names of their blobs."""
    expired = select(_FILE.seq).where(_FILE.expires_at <= clock.now()).limit(limit)
    gone = delete(files).where(_FILE.seq.in_(expired)).returning(_FILE.blob)
    return list(connection.scalars(gone))


def stored_bytes(connection: Connection, organization_id: str) -> int:
    """Return the size of all files of an organization."""
    total = select(func.sum(_FILE.bytes)).where(_FILE.organization_id == organization_id)
    return int(connection.scalar(total) or 0)


def claim(connection: Connection, name: str, now: int) -> None:
    """Note that a blob is about to be written."""
    connection.execute(sql_insert(blobs), {"name": name, "state": "writing", "since": now})


def touch(connection: Connection, name: str, now: int) -> None:
    """Note that the blob's writer is still there."""
    connection.execute(update(blobs).where(*_writing(name)).values(since=now))


def keep(connection: Connection, name: str) -> bool:
    """Turn a blob that is being written into one that is kept; False where it was swept."""
    statement = update(blobs).where(*_writing(name)).values(state="kept")
    return bool(connection.execute(statement).rowcount)


def release(connection: Connection, name: str, now: int) -> bool:
    """Give up a blob that is being written; False where it is kept by now."""
    statement = update(blobs).where(*_writing(name)).values(state="deleted", since=now)
    return bool(connection.execute(statement).rowcount)


def discard(connection: Connection, names: Sequence[str], now: int) -> None:
    """Mark blobs whose objects have gone: their bytes are to be deleted."""
    statement = update(blobs).where(_BLOB.name.in_(names))
    connection.execute(statement.values(state="deleted", since=now))


def abandoned(connection: Connection, before: int, now: int, limit: int) -> list[str]:
    """Give up what no writer was seen at since ``before``, and return what is to be deleted."""
    unseen = update(blobs).where(_BLOB.state == "writing", _BLOB.since < before)
    connection.execute(unseen.values(state="deleted", since=now))
    statement = select(_BLOB.name).where(_BLOB.state == "deleted").limit(limit)
    return list(connection.scalars(statement))


def forget(connection: Connection, name: str) -> None:
    """Drop the row of a blob whose bytes are deleted."""
    connection.execute(delete(blobs).where(_BLOB.name == name, _BLOB.state == "deleted"))


def append(connection: Connection, draft: str, data: bytes) -> None:
    connection.execute(sql_insert(output_pieces), {"draft": draft, "data": data})


def pieces(connection: Connection, draft: str, after: int, limit: int) -> list[Row[Any]]:
    """Return up to ``limit`` pieces of a draft behind the ``seq`` of ``after``, in order."""
    statement = select(output_pieces).where(
        output_pieces.c.draft == draft, output_pieces.c.seq > after
    )
    return list(connection.execute(statement.order_by(output_pieces.c.seq).limit(limit)))


def remove_pieces(connection: Connection, draft: str) -> None:
    connection.execute(delete(output_pieces).where(output_pieces.c.draft == draft))


def _lasting() -> ColumnElement[bool]:
    return or_(_FILE.expires_at.is_(None), _FILE.expires_at > clock.now())


def _writing(name: str) -> tuple[Any, ...]:
    return _BLOB.name == name, _BLOB.state == "writing"
