"""The files of vector stores: added, listed, looked at, changed and taken out."""

from typing import Any

from sqlalchemy import Connection, Row

from freehold.api.context import Context
from freehold.core.errors import NotFoundError
from freehold.core.page import page
from freehold.resources.vector_stores import adding, service, shown, store
from freehold.storage.paging import Cursors
from freehold.wire.vector_stores import (
    Content,
    FileContent,
    FileCreateParams,
    FileListParams,
    FileUpdateParams,
    VectorStoreFile,
    VectorStoreFileDeleted,
    as_json,
)


async def create(context: Context, store_id: str, body: FileCreateParams) -> VectorStoreFile:
    """Begin to index a file. Raises ``NotFoundError``, ``BadRequestError``."""
    new = adding.New(body.file_id, adding.chunking(body.chunking_strategy), body.attributes)
    services, project = context.services, context.project_id

    def unit(connection: Connection) -> VectorStoreFile:
        row = service.found(store.find(connection, project, store_id), store_id)
        service.refuse_expired(row)
        adding.add(connection, services.jobs, row, [new])
        service.touch(connection, row)
        return shown.file(_found(connection, store_id, body.file_id))

    added = await services.database.write(unit)
    services.jobs.wake()
    return added


async def list_(
    context: Context, store_id: str, query: FileListParams, batch_id: str | None = None
) -> dict[str, Any]:
    """Return a page of a store's files, newest first unless asked otherwise."""
    project = context.project_id

    def read(connection: Connection) -> tuple[list[Row[Any]], bool]:
        service.found(store.find(connection, project, store_id), store_id)
        if batch_id is not None:
            found_batch(connection, store_id, batch_id)

        def seq(file_id: str | None) -> int | None:
            return None if file_id is None else _found(connection, store_id, file_id).seq

        cursors = Cursors(query.limit, query.order, seq(query.after), seq(query.before))
        return store.page_of_files(
            connection, store_id, cursors, status=query.filter, batch_id=batch_id
        )

    rows, more = await context.services.database.read(read)
    listed = page([as_json(shown.file(row)) for row in rows], query.limit)
    return {**listed, "has_more": more}


async def retrieve(context: Context, store_id: str, file_id: str) -> VectorStoreFile:
    """Return a file of a store as it stands. Raises ``NotFoundError``."""
    project = context.project_id
    return await context.services.database.read(
        lambda c: shown.file(_of_project(c, project, store_id, file_id))
    )


async def update(
    context: Context, store_id: str, file_id: str, body: FileUpdateParams
) -> VectorStoreFile:
    """Replace the attributes of a file. Raises ``NotFoundError``."""
    project = context.project_id

    def unit(connection: Connection) -> VectorStoreFile:
        row = _of_project(connection, project, store_id, file_id)
        store.change_file(connection, row.seq, (row.status,), attributes=body.attributes or {})
        return shown.file(_found(connection, store_id, file_id))

    return await context.services.database.write(unit)


async def content(context: Context, store_id: str, file_id: str) -> FileContent:
    """Return the text of a file as it was indexed. Raises ``NotFoundError``."""
    project = context.project_id

    def read(connection: Connection) -> list[Row[int, str]]:
        return store.texts(connection, _of_project(connection, project, store_id, file_id).seq)

    text = _joined(await context.services.database.read(read))
    data = [Content(type="text", text=text)] if text else []
    return FileContent(
        object="vector_store.file_content.page", data=data, has_more=False, next_page=None
    )


async def delete(context: Context, store_id: str, file_id: str) -> VectorStoreFileDeleted:
    """Take a file out of a store; the file itself stays. Raises ``NotFoundError``."""
    services, project = context.services, context.project_id

    def unit(connection: Connection) -> None:
        row = _of_project(connection, project, store_id, file_id)
        adding.remove(connection, services.jobs, row.seq)

    await services.database.write(unit)
    services.jobs.wake()
    return VectorStoreFileDeleted(id=file_id, object="vector_store.file.deleted", deleted=True)


def found_batch(connection: Connection, store_id: str, batch_id: str) -> Row[Any]:
    """Return the row of a batch. Raises ``NotFoundError``."""
    row = store.find_batch(connection, store_id, batch_id)
    if row is None:
        raise NotFoundError(f"No file batch found with id '{batch_id}'.")
    return row


def _of_project(connection: Connection, project_id: str, store_id: str, file_id: str) -> Row[Any]:
    service.found(store.find(connection, project_id, store_id), store_id)
    return _found(connection, store_id, file_id)


def _found(connection: Connection, store_id: str, file_id: str) -> Row[Any]:
    row = store.file(connection, store_id, file_id)
    if row is None:
        raise NotFoundError(f"No file found with id '{file_id}' in vector store '{store_id}'.")
    return row


def _joined(chunks: list[Row[int, str]]) -> str:
    """Return the text that overlapping chunks were cut from, but for blank parts between them."""
    parts: list[str] = []
    end = 0
    for chunk in chunks:
        parts.append(chunk.text[max(0, end - chunk.start) :])
        end = chunk.start + len(chunk.text)
    return "".join(parts)
