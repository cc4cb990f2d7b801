"""Batches: created, listed, looked at and cancelled by the project that owns them."""

from typing import Any

from sqlalchemy import Connection, Row

from freehold.api import replay
from freehold.api.context import Context
from freehold.core import clock
from freehold.core.errors import BadRequestError, ConflictError, NotFoundError
from freehold.core.ids import new_id
from freehold.core.page import page
from freehold.data import limits
from freehold.resources.batches import store
from freehold.resources.files import library
from freehold.wire.batches import Batch, BatchCreateParams, BatchListParams

KIND = "batches.run"
PRIORITY = -1  # behind what somebody waits for, before the sweeps
_CANCELLABLE = ("validating", "in_progress")


async def create(context: Context, body: BatchCreateParams) -> Batch:
    """Accept a batch; whether its lines can be run is found out by its job."""
    library.refuse_without_retention(context)
    if replay.bound_to(body.endpoint) is None:
        raise BadRequestError(
            f"The endpoint '{body.endpoint}' is not available on this server.", param="endpoint"
        )
    await _check_input(context, body.input_file_id)
    row = _new_row(context, body)

    def unit(connection: Connection) -> Row[Any]:
        store.create(connection, row)
        context.services.jobs.enqueue(
            connection,
            KIND,
            {},
            project_id=context.project_id,
            priority=PRIORITY,
            key=row["id"],
        )
        return _found(store.load(connection, row["id"]), row["id"])

    created = await context.services.database.write(unit)
    context.services.jobs.wake()
    return shown(created)


async def list_(context: Context, query: BatchListParams) -> dict[str, Any]:
    """Return a page of the project's batches, the newest first."""
    project = context.project_id

    def read(connection: Connection) -> list[Row[Any]]:
        after = None
        if query.after is not None:
            found = store.find(connection, project, query.after)
            after = _found(found, query.after, "after").seq
        return store.page(connection, project, after=after, limit=query.limit + 1)

    rows = await context.services.database.read(read)
    return page([shown(row).model_dump() for row in rows], query.limit)


async def retrieve(context: Context, batch_id: str) -> Batch:
    """Return the batch as it stands. Raises ``NotFoundError``."""
    project = context.project_id
    row = await context.services.database.read(lambda c: store.find(c, project, batch_id))
    return shown(_found(row, batch_id))


async def cancel(context: Context, batch_id: str) -> Batch:
    """Begin to cancel; what was answered by then is kept. Raises ``ConflictError``."""
    project, jobs = context.project_id, context.services.jobs

    def unit(connection: Connection) -> Row[Any]:
        _found(store.find(connection, project, batch_id), batch_id)
        values = {"status": "cancelling", "cancelling_at": clock.now()}
        if store.change(connection, batch_id, _CANCELLABLE, **values):
            jobs.cancel(connection, KIND, batch_id)
        row = _found(store.load(connection, batch_id), batch_id)  # a rival may have been first
        if row.status != "cancelling":
            raise ConflictError(f"Cannot cancel a batch with status '{row.status}'.")
        return row

    row = await context.services.database.write(unit)
    jobs.wake()
    return shown(row)


def shown(row: Row[Any]) -> Batch:
    """Return the batch of a row as the API shows it."""
    fields = {name: getattr(row, name) for name in Batch.model_fields if hasattr(row, name)}
    counts = {"total": row.total, "completed": row.completed, "failed": row.failed}
    return Batch.model_validate({**fields, "object": "batch", "request_counts": counts})


async def _check_input(context: Context, file_id: str) -> None:
    try:
        file = await library.find(context.services, context.project_id, file_id)
    except NotFoundError as error:
        raise NotFoundError(error.message, param="input_file_id") from None
    if file.purpose != "batch":
        raise BadRequestError(
            f"The file '{file_id}' has the purpose '{file.purpose}'; the input of a batch must be "
            "uploaded with the purpose 'batch'.",
            param="input_file_id",
        )


def _new_row(context: Context, body: BatchCreateParams) -> dict[str, Any]:
    now = clock.now()
    expiry = body.output_expires_after
    return {
        "id": new_id("batch"),
        "project_id": context.project_id,
        "organization_id": context.principal.organization_id,
        "api_key_id": context.principal.key_id,
        "user_id": context.principal.user_id,
        "endpoint": body.endpoint,
        "input_file_id": body.input_file_id,
        "completion_window": body.completion_window,
        "status": "validating",
        "metadata": body.metadata,
        "output_expires_after_s": expiry.seconds if expiry else None,
        "created_at": now,
        "expires_at": now + limits.figure("batch", "completion_window_s"),
    }


def _found(row: Row[Any] | None, batch_id: str, param: str | None = None) -> Row[Any]:
    if row is None:
        raise NotFoundError(f"No batch found with id '{batch_id}'.", param=param)
    return row
