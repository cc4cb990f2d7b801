"""Vector stores: created, listed, looked at, changed and deleted by the project that owns them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from freehold.api.context import Context, Services
from freehold.core import clock
from freehold.core.errors import BadRequestError
from freehold.core.ids import new_id
from freehold.core.page import page
from freehold.resources.files import library
from freehold.resources.vector_stores import adding, shown, store
from freehold.storage.paging import Cursors
from freehold.wire.vector_stores import (
    ExpiresAfter,
    PageQuery,
    VectorStore,
    VectorStoreCreateParams,
    VectorStoreDeleted,
    VectorStoreUpdateParams,
    as_json,
)

REMOVE = "vector_stores.remove"
_DAY_S = 24 * 60 * 60


async def create(context: Context, body: VectorStoreCreateParams) -> VectorStore:
    """Make a store, and begin to index the files it is given."""
    library.refuse_without_retention(context)
    services, project = context.services, context.project_id
    made = await services.database.write(lambda c: _shown(c, make(c, services, project, body)))
    services.jobs.wake()
    return made


def make(
    connection: Connection,
    services: Services,
    project_id: str,
    body: VectorStoreCreateParams,
    store_id: str | None = None,
) -> Row[Any]:
    """Make a store in the caller's own unit, and return its row; afterwards wake the jobs.

    ``store_id`` is a new id that has been promised already.
    Raises ``BadRequestError`` or ``NotFoundError`` for what the body asks for.
    """
    chunking = adding.chunking(body.chunking_strategy)
    now = clock.now()
    row: dict[str, Any] = {
        "id": store_id or new_id("vector_store"),
        "project_id": project_id,
        "created_at": now,
        "name": body.name,
        "metadata": body.metadata or {},
        "embedding_model": services.settings.default_embedding_model,
        "last_active_at": now,
        **_expiry(body.expires_after, now),
    }
    store.create(connection, row)
    made = found(store.find(connection, project_id, row["id"]), row["id"])
    files = [adding.New(file_id, chunking, {}) for file_id in body.file_ids or []]
    adding.add(connection, services.jobs, made, files)
    return made


async def list_(context: Context, query: PageQuery) -> dict[str, Any]:
    """Return a page of the project's stores, newest first unless asked otherwise."""
    project = context.project_id

    def read(connection: Connection) -> tuple[list[VectorStore], bool]:
        def seq(store_id: str | None, param: str) -> int | None:
            if store_id is None:
                return None
            return found(store.find(connection, project, store_id), store_id, param).seq

        cursors = Cursors(
            query.limit, query.order, seq(query.after, "after"), seq(query.before, "before")
        )
        rows, more = store.page(connection, project, cursors)
        counts = store.counts(connection, [row.id for row in rows])
        return [shown.store(row, counts[row.id]) for row in rows], more

    stores, more = await context.services.database.read(read)
    return {**page([as_json(each) for each in stores], query.limit), "has_more": more}


async def retrieve(context: Context, store_id: str) -> VectorStore:
    """Return the store as it stands. Raises ``NotFoundError``."""
    project = context.project_id
    return await context.services.database.read(
        lambda c: _shown(c, found(store.find(c, project, store_id), store_id))
    )


async def update(context: Context, store_id: str, body: VectorStoreUpdateParams) -> VectorStore:
    """Change what the body names. Raises ``NotFoundError``."""
    project = context.project_id

    def unit(connection: Connection) -> VectorStore:
        row = found(store.find(connection, project, store_id), store_id)
        given = body.model_fields_set
        values: dict[str, Any] = {
            name: getattr(body, name) for name in ("name", "metadata") if name in given
        }
        if "expires_after" in given:
            refuse_expired(row)
            values |= _expiry(body.expires_after, clock.now())
        if values:
            store.change(connection, store_id, **values)
        touch(connection, row)
        return _shown(connection, found(store.find(connection, project, store_id), store_id))

    return await context.services.database.write(unit)


async def delete(context: Context, store_id: str) -> VectorStoreDeleted:
    """Delete the store: it is gone at once. Its files stay."""
    services, project = context.services, context.project_id

    def unit(connection: Connection) -> None:
        found(store.find(connection, project, store_id), store_id)
        drop(connection, services, store_id)

    await services.database.write(unit)
    services.jobs.wake()
    services.vectors.forget(store_id)
    return VectorStoreDeleted(id=store_id, object="vector_store.deleted", deleted=True)


def drop(connection: Connection, services: Services, store_id: str) -> None:
    """Delete a store in the caller's own unit; afterwards wake the jobs."""
    store.change(connection, store_id, deleted_at=clock.now())
    services.jobs.enqueue(connection, REMOVE, {}, key=store_id, priority=adding.PRIORITY)


def found(row: Row[Any] | None, store_id: str, param: str | None = None) -> Row[Any]:
    """Return the row, or raise ``NotFoundError`` where there is none."""
    if row is None:
        raise shown.unknown(store_id, param)
    return row


async def check(context: Context, store_ids: Sequence[str], param: str) -> None:
    """Raise ``NotFoundError`` for the first store that the project does not have."""
    project = context.project_id
    rows = await context.services.database.read(lambda c: store.find_all(c, project, store_ids))
    known = {row.id for row in rows}
    for store_id in store_ids:
        if store_id not in known:
            raise shown.unknown(store_id, param)


def refuse_expired(row: Row[Any]) -> None:
    """Raise ``BadRequestError`` where the store has expired."""
    if shown.is_expired(row):
        raise BadRequestError(f"Vector store {row.id} is expired.", code="vector_store_expired")


def is_idle(row: Row[Any]) -> bool:
    """Return whether a use now would change when the store was last used."""
    return row.last_active_at != clock.now()


def touch(connection: Connection, row: Row[Any]) -> None:
    """Note that a store was used now, which puts its expiry off; an expired one stays expired."""
    now = clock.now()
    if shown.is_expired(row) or not is_idle(row):
        return
    fresh = found(store.find(connection, row.project_id, row.id), row.id)
    days = fresh.expires_after_days
    expires_at = None if days is None else now + days * _DAY_S
    store.change(connection, row.id, last_active_at=now, expires_at=expires_at)


def _expiry(after: ExpiresAfter | None, now: int) -> dict[str, Any]:
    if after is None:
        return {"expires_after_days": None, "expires_at": None}
    return {"expires_after_days": after.days, "expires_at": now + after.days * _DAY_S}


def _shown(connection: Connection, row: Row[Any]) -> VectorStore:
    return shown.store(row, store.counts(connection, [row.id])[row.id])
