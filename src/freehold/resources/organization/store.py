"""Every SQL statement of organizations, projects, keys and usage."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from freehold.storage.tables import (
    api_keys,
    organizations,
    project_rate_limits,
    project_users,
    projects,
    usage_events,
    users,
)

_FIND_KEY = (
    select(api_keys, projects.c.zero_data_retention, projects.c.status.label("project_status"))
    .outerjoin(projects, projects.c.id == api_keys.c.project_id)
    .where(api_keys.c.secret_sha256 == bindparam("digest"), api_keys.c.revoked_at.is_(None))
)
_INSERT_USAGE = insert(usage_events)


def organization(connection: Connection) -> RowMapping | None:
    """Return the one organization, None before the first start."""
    return connection.execute(select(organizations)).mappings().first()


def insert_organization(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(organizations).values(row))


def insert_project(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(projects).values(row))


def insert_user(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(users).values(row))


def insert_project_user(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(project_users).values(row))


def default_user(connection: Connection) -> RowMapping:
    """Return the user that the first start made."""
    query = select(users).order_by(users.c.added_at, users.c.id).limit(1)
    return connection.execute(query).mappings().one()


def all_projects(connection: Connection) -> Sequence[RowMapping]:
    query = select(projects).order_by(projects.c.created_at, projects.c.id)
    return connection.execute(query).mappings().all()


def project(connection: Connection, project_id: str) -> RowMapping | None:
    query = select(projects).where(projects.c.id == project_id)
    return connection.execute(query).mappings().first()


def default_project(connection: Connection) -> RowMapping | None:
    query = select(projects).where(projects.c.is_default)
    return connection.execute(query).mappings().first()


def set_zero_data_retention(connection: Connection, project_id: str, *, on: bool) -> bool:
    """Switch it and return whether the project exists."""
    change = update(projects).where(projects.c.id == project_id).values(zero_data_retention=on)
    return connection.execute(change).rowcount == 1


def insert_key(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(api_keys).values(row))


def find_key(connection: Connection, digest: bytes) -> RowMapping | None:
    """Return the key of this SHA-256 with its project's status, None if revoked or unknown."""
    return connection.execute(_FIND_KEY, {"digest": digest}).mappings().first()


def all_keys(connection: Connection) -> Sequence[RowMapping]:
    query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
    return connection.execute(query).mappings().all()


def revoke_key(connection: Connection, key_id: str, at: int) -> bool:
    """Revoke a key that is valid and return whether there was one."""
    change = (
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=at)
    )
    return connection.execute(change).rowcount == 1


def touch_keys(connection: Connection, used: Mapping[str, int]) -> None:
    """Note when keys were last used."""
    touch = (
        update(api_keys)
        .where(api_keys.c.id == bindparam("key_id"))
        .values(last_used_at=bindparam("at"))
    )
    connection.execute(touch, [{"key_id": key_id, "at": at} for key_id, at in used.items()])


def insert_usage(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    connection.execute(_INSERT_USAGE, list(rows))


def rate_limits(connection: Connection, project_id: str) -> Sequence[RowMapping]:
    """Return the operator's own figures of a project."""
    query = select(project_rate_limits).where(project_rate_limits.c.project_id == project_id)
    return connection.execute(query).mappings().all()
