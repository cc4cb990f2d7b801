"""Puts uploads together, and ends those whose time is over."""

import hashlib
from typing import Any

from sqlalchemy import Connection, Row

from freehold.api.context import Services
from freehold.api.tasks import task
from freehold.core import clock
from freehold.core.errors import BadRequestError
from freehold.data.retention import retention
from freehold.jobs.job import Failure, JobContext
from freehold.resources.files import drafts, library, rules
from freehold.resources.files.drafts import Draft
from freehold.resources.uploads import store
from freehold.resources.uploads.service import ASSEMBLE
from freehold.storage.blobs import BlobMissingError

_AT_ONCE = 100


def _reopen(connection: Connection, failure: Failure) -> None:
    """Let the client try again where the assembly could not be done."""
    store.change(connection, failure.payload["upload_id"], status="pending", job_id=None)


@task(ASSEMBLE, on_failure=_reopen)
async def assemble(services: Services, job: JobContext) -> None:
    """Make one file of an upload's parts. Run again, it begins anew: no bytes are trusted twice."""
    upload_id: str = job.payload["upload_id"]
    project = job.project_id or ""
    upload, parts = await services.database.read(lambda c: _ordered(c, project, upload_id))
    if upload is None or upload.status != "completing":
        return
    try:
        async with drafts.drafting(services) as draft:
            await _fill(services, upload, parts, draft)
            blobs = await job.write(lambda c: _complete(c, upload, draft))
    except BadRequestError as error:
        fault = {"message": error.message, "param": error.param, "code": error.code}
        await job.write(
            lambda c: store.change(c, upload_id, status="pending", job_id=None, fault=fault)
        )
        return
    await drafts.remove(services.database, services.blobs, blobs)


def _ordered(
    connection: Connection, project_id: str, upload_id: str
) -> tuple[Row[Any] | None, list[Row[Any]]]:
    """Return the upload and its parts in the order that was asked for."""
    upload = store.find(connection, project_id, upload_id)
    if upload is None or upload.status != "completing":
        return upload, []
    parts = {part.id: part for part in store.parts(connection, upload_id)}
    return upload, [parts[part_id] for part_id in upload.part_ids]


async def _fill(services: Services, upload: Row[Any], parts: list[Row[Any]], draft: Draft) -> None:
    """Write all parts into the draft. Raises ``BadRequestError`` where they are not the file."""
    md5 = hashlib.md5(usedforsecurity=False)
    lines = rules.TrainingLines()
    if upload.md5 is not None:
        draft.observe(md5.update)
    if upload.purpose == "fine-tune":
        draft.observe(lines.feed)
    for part in parts:
        try:
            async for data in services.blobs.read(part.blob):
                await draft.write(data)
        except BlobMissingError:
            raise BadRequestError(f"Part '{part.id}' is lost: add it again.") from None
    await draft.finish()
    if upload.md5 is not None and md5.hexdigest() != upload.md5.lower():
        raise BadRequestError(
            f"The MD5 checksum of the file is {md5.hexdigest()}, not {upload.md5}.", param="md5"
        )
    if upload.purpose == "fine-tune":
        lines.check()


def _complete(connection: Connection, upload: Row[Any], draft: Draft) -> list[str]:
    """Turn the draft into the upload's file and return the blobs of its parts, now useless."""
    draft.take_over(connection)
    owner = library.Owner(upload.organization_id, upload.project_id)
    about = upload.filename, upload.purpose, upload.file_id
    lifetime = upload.file_expires_after_s
    library.insert(connection, library.new_row(draft, owner, *about, expires_after_s=lifetime))
    blobs = store.remove_parts(connection, upload.id)
    drafts.discard(connection, blobs)
    store.change(connection, upload.id, status="completed", job_id=None)
    return blobs


@task("uploads.sweep", every_s=drafts.sweep_s())
async def sweep(services: Services, job: JobContext) -> None:
    """Delete the parts of expired uploads, and uploads that have been kept long enough."""
    while await _expire(services):
        job.raise_if_cancelled()
    oldest = clock.now() - retention("upload").seconds
    while await services.database.write(lambda c: store.forget(c, oldest, _AT_ONCE)):
        job.raise_if_cancelled()


async def _expire(services: Services) -> int:
    def unit(connection: Connection) -> tuple[int, list[str]]:
        expired = store.expired(connection, clock.now(), _AT_ONCE)
        blobs: list[str] = []
        for upload_id in expired:
            blobs += store.remove_parts(connection, upload_id)
            store.change(connection, upload_id, status="expired")
        drafts.discard(connection, blobs)
        return len(expired), blobs

    count, blobs = await services.database.write(unit)
    await drafts.remove(services.database, services.blobs, blobs)
    return count
