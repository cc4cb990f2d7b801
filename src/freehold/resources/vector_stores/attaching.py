"""Files that come with messages: put into the store of their thread, which is made on demand."""

from collections.abc import Sequence

from sqlalchemy import Connection

from freehold.api.context import Services
from freehold.resources.vector_stores import adding, service, shown, store
from freehold.wire.vector_stores import VectorStoreCreateParams


def attach(
    connection: Connection,
    services: Services,
    project_id: str,
    store_ids: Sequence[str],
    new: VectorStoreCreateParams,
) -> str:
    """Add files to the first of the stores that can still be used, and return the store's id.

    The files are those of ``new``, which is made where there is no such store. All of it happens in
    the caller's own unit; afterwards wake the jobs.
    """
    usable = (
        row
        for row in store.find_all(connection, project_id, store_ids)
        if not shown.is_expired(row)
    )
    row = next(usable, None)
    if row is None:
        return service.make(connection, services, project_id, new).id
    chunking = adding.chunking(new.chunking_strategy)
    files = [adding.New(file_id, chunking, None) for file_id in new.file_ids or ()]
    adding.add(connection, services.jobs, row, files)
    service.touch(connection, row)
    return row.id
