"""File batches: many files added to a store at once, watched and cancelled together."""

from typing import Any

from sqlalchemy import Connection

from freehold.api.context import Context
from freehold.core import clock, messages
from freehold.core.errors import BadRequestError
from freehold.core.ids import new_id
from freehold.resources.vector_stores import adding, service, shown, store
from freehold.resources.vector_stores.files import found_batch
from freehold.wire.vector_stores import FileBatchCreateParams, VectorStoreFileBatch


async def create(
    context: Context, store_id: str, body: FileBatchCreateParams
) -> VectorStoreFileBatch:
    """Begin to index files. Raises ``NotFoundError``, ``BadRequestError``."""
    new = _files(body)
    services, project = context.services, context.project_id
    row: dict[str, Any] = {
        "id": new_id("vector_store_file_batch"),
        "vector_store_id": store_id,
        "created_at": clock.now(),
    }

    def unit(connection: Connection) -> VectorStoreFileBatch:
        to = service.found(store.find(connection, project, store_id), store_id)
        service.refuse_expired(to)
        store.create_batch(connection, row, adding.add(connection, services.jobs, to, new))
        service.touch(connection, to)
        return _shown(connection, store_id, row["id"])

    made = await services.database.write(unit)
    services.jobs.wake()
    return made


async def retrieve(context: Context, store_id: str, batch_id: str) -> VectorStoreFileBatch:
    """Return the batch as it stands. Raises ``NotFoundError``."""
    project = context.project_id

    def read(connection: Connection) -> VectorStoreFileBatch:
        service.found(store.find(connection, project, store_id), store_id)
        return _shown(connection, store_id, batch_id)

    return await context.services.database.read(read)


async def cancel(context: Context, store_id: str, batch_id: str) -> VectorStoreFileBatch:
    """Stop what is still being indexed; what is done stays. Raises ``NotFoundError``."""
    services, project = context.services, context.project_id

    def unit(connection: Connection) -> VectorStoreFileBatch:
        service.found(store.find(connection, project, store_id), store_id)
        batch = _shown(connection, store_id, batch_id)
        if batch.status == "in_progress":
            for file_seq in store.cancel_batch(connection, batch_id, clock.now()):
                services.jobs.cancel(connection, adding.INDEX, str(file_seq))
        return _shown(connection, store_id, batch_id)

    batch = await services.database.write(unit)
    services.jobs.wake()
    return batch


def _files(body: FileBatchCreateParams) -> list[adding.New]:
    """Return the files of a body, which names them in one of two ways."""
    if body.file_ids is not None and body.files is not None:
        raise BadRequestError("Only one of 'file_ids' and 'files' can be given.", param="files")
    if body.files is not None:
        return [
            adding.New(
                file.file_id,
                adding.chunking(file.chunking_strategy, f"files[{index}].chunking_strategy"),
                file.attributes,
            )
            for index, file in enumerate(body.files)
        ]
    if body.file_ids is None:
        raise messages.missing("file_ids")
    chunking = adding.chunking(body.chunking_strategy)
    return [adding.New(file_id, chunking, body.attributes) for file_id in body.file_ids]


def _shown(connection: Connection, store_id: str, batch_id: str) -> VectorStoreFileBatch:
    row = found_batch(connection, store_id, batch_id)
    return shown.batch(row, store.batch_counts(connection, batch_id))
