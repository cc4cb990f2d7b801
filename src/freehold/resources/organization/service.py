"""Organization, projects and keys: the rules."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping

from freehold.api.auth import KeyKind, redact
from freehold.core import clock
from freehold.core.errors import BadRequestError, NotFoundError
from freehold.core.ids import new_id
from freehold.resources.organization import store
from freehold.storage.database import Database

_PREFIXES: dict[KeyKind, str] = {
    "project": "sk-",
    "service_account": "sk-svcacct-",
    "admin": "sk-admin-",
}


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at the only moment at which its secret is known."""

    id: str
    kind: KeyKind
    name: str
    secret: str
    project_id: str | None


@dataclass(frozen=True, slots=True)
class FirstKeys:
    """The secrets that the first start prints."""

    project_key: str
    admin_key: str


def digest(secret: str) -> bytes:
    """Return what is stored of a key: its SHA-256 (256 random bits need no salt)."""
    return hashlib.sha256(secret.encode()).digest()


async def bootstrap(database: Database) -> FirstKeys | None:
    """Make organization, default project, default user and their keys, once; None afterwards."""
    if await database.read(store.organization):
        return None
    return await database.write(_bootstrap)


def _bootstrap(connection: Connection) -> FirstKeys | None:
    if store.organization(connection):  # another server was quicker
        return None
    at = clock.now()
    organization_id, project_id, user_id = new_id("organization"), new_id("project"), new_id("user")
    store.insert_organization(
        connection, {"id": organization_id, "name": "Freehold", "created_at": at}
    )
    store.insert_user(
        connection,
        {
            "id": user_id,
            "organization_id": organization_id,
            "name": "Owner",
            "email": "owner@localhost",
            "role": "owner",
            "added_at": at,
        },
    )
    store.insert_project(
        connection,
        {
            "id": project_id,
            "organization_id": organization_id,
            "name": "Default project",
            "status": "active",
            "created_at": at,
            "zero_data_retention": False,
            "is_default": True,
        },
    )
    store.insert_project_user(
        connection,
        {"project_id": project_id, "user_id": user_id, "role": "owner", "added_at": at},
    )
    project_key = _create_key(connection, "project", project_id, "First key")
    admin_key = _create_key(connection, "admin", None, "First admin key")
    return FirstKeys(project_key.secret, admin_key.secret)


async def create_key(
    database: Database,
    *,
    kind: Literal["project", "admin"] = "project",
    project_id: str | None = None,
    name: str | None = None,
) -> NewKey:
    """Make a key of a project (the default one if none is named) or an admin key."""

    def work(connection: Connection) -> NewKey:
        if store.organization(connection) is None:
            raise BadRequestError("There is no organization yet: start the server once.")
        owner = None if kind == "admin" else _active_project(connection, project_id)["id"]
        return _create_key(connection, kind, owner, name or "Secret key")

    return await database.write(work)


def _create_key(connection: Connection, kind: KeyKind, project_id: str | None, name: str) -> NewKey:
    user = store.default_user(connection)
    secret = _PREFIXES[kind] + secrets.token_urlsafe(32)
    row: dict[str, Any] = {
        "id": new_id("api_key"),
        "kind": kind,
        "organization_id": user["organization_id"],
        "project_id": project_id,
        "user_id": user["id"],
        "name": name,
        "secret_sha256": digest(secret),
        "redacted_value": redact(secret),
        "created_at": clock.now(),
    }
    store.insert_key(connection, row)
    return NewKey(row["id"], kind, name, secret, project_id)


def _active_project(connection: Connection, project_id: str | None) -> RowMapping:
    found = (
        store.project(connection, project_id) if project_id else store.default_project(connection)
    )
    if found is None:
        raise NotFoundError(f"No project found with id '{project_id}'.", param="project_id")
    if found["status"] != "active":
        raise BadRequestError(f"Project {found['id']} is archived.", param="project_id")
    return found


async def list_keys(database: Database) -> list[dict[str, Any]]:
    """Return all keys, revoked ones too, without their secrets' digests."""
    rows = await database.read(store.all_keys)
    return [{name: row[name] for name in row if name != "secret_sha256"} for row in rows]


async def revoke_key(database: Database, key_id: str) -> None:
    """Make a key invalid. Servers notice within ``keyring.TRUST_SECONDS``."""
    if not await database.write(lambda c: store.revoke_key(c, key_id, clock.now())):
        raise NotFoundError(f"No valid key has the id '{key_id}'.", param="key_id")


async def list_projects(database: Database) -> list[dict[str, Any]]:
    """Return all projects, oldest first."""
    return [dict(row) for row in await database.read(store.all_projects)]


async def set_zero_data_retention(database: Database, project_id: str, *, on: bool) -> None:
    """Switch a project's zero data retention."""

    def work(connection: Connection) -> bool:
        return store.set_zero_data_retention(connection, project_id, on=on)

    if not await database.write(work):
        raise NotFoundError(f"No project found with id '{project_id}'.", param="project_id")
