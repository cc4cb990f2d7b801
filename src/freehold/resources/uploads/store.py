"""Every SQL statement of uploads and their parts."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy import insert as sql_insert

from freehold.storage.tables import upload_parts, uploads

_UPLOAD = uploads.c
_PART = upload_parts.c


def insert(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(sql_insert(uploads), row)


def find(connection: Connection, project_id: str, upload_id: str) -> Row[Any] | None:
    """Return the row of this id, None where the project has no such one."""
    mine = select(uploads).where(_UPLOAD.project_id == project_id, _UPLOAD.id == upload_id)
    return connection.execute(mine).one_or_none()


def hold(connection: Connection, project_id: str, upload_id: str) -> Row[Any] | None:
    """Return the row as ``find`` does; nobody else changes the upload until the unit has ended."""
    mine = select(uploads).where(_UPLOAD.project_id == project_id, _UPLOAD.id == upload_id)
    return connection.execute(mine.with_for_update()).one_or_none()


def change(connection: Connection, upload_id: str, **values: Any) -> None:
    connection.execute(update(uploads).where(_UPLOAD.id == upload_id).values(**values))


def pending_bytes(connection: Connection, organization_id: str, now: int) -> int:
    """Return what the organization's running uploads are to become."""
    total = select(func.sum(_UPLOAD.bytes)).where(
        _UPLOAD.organization_id == organization_id,
        _UPLOAD.status == "pending",
        _UPLOAD.expires_at > now,
    )
    return int(connection.scalar(total) or 0)


def add_part(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(sql_insert(upload_parts), row)


def parts(connection: Connection, upload_id: str) -> Sequence[Row[Any]]:
    """Return the parts of an upload, in the order in which they came."""
    mine = select(upload_parts).where(_PART.upload_id == upload_id)
    return connection.execute(mine.order_by(_PART.seq)).all()


def remove_parts(connection: Connection, upload_id: str) -> list[str]:
    """Delete the rows of all parts and return the names of their blobs."""
    gone = delete(upload_parts).where(_PART.upload_id == upload_id).returning(_PART.blob)
    return list(connection.scalars(gone))


def expired(connection: Connection, now: int, limit: int) -> list[str]:
    """Return ids of uploads whose time to add parts is over."""
    statement = select(_UPLOAD.id).where(_UPLOAD.status == "pending", _UPLOAD.expires_at <= now)
    return list(connection.scalars(statement.limit(limit).with_for_update(skip_locked=True)))


def forget(connection: Connection, oldest: int, limit: int) -> int:
    """Delete up to ``limit`` ended uploads that are not younger than ``oldest``; say how many."""
    old = (
        select(_UPLOAD.seq)
        .where(_UPLOAD.created_at <= oldest, _UPLOAD.status.not_in(("pending", "completing")))
        .limit(limit)
    )
    return connection.execute(delete(uploads).where(_UPLOAD.seq.in_(old))).rowcount
