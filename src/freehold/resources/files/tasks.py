"""What is no longer kept is deleted, whatever has become of who should have done it."""

from sqlalchemy import Connection

from freehold.api.context import Services
from freehold.api.tasks import task
from freehold.jobs.job import JobContext
from freehold.resources.files import drafts, store

_AT_ONCE = 100


@task("files.sweep", every_s=drafts.sweep_s())
async def sweep(services: Services, job: JobContext) -> None:
    """Delete expired files, then the bytes of all that was deleted or that crashed writers left."""
    while await services.database.write(_expire):
        job.raise_if_cancelled()
    while await drafts.sweep(services):
        job.raise_if_cancelled()


def _expire(connection: Connection) -> int:
    blobs = store.remove_expired(connection, _AT_ONCE)
    drafts.discard(connection, blobs)
    return len(blobs)
