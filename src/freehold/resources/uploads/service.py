"""Uploads: parts in any order and in parallel, then one file of them.

An upload is pending until its parts are put in order; while it is put together it is *completing*,
which clients see as pending. A job does that, so that it comes to its end whoever is killed.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from freehold.api.context import Context
from freehold.api.multipart import Form, Part, too_large
from freehold.core import clock, messages
from freehold.core.errors import BadRequestError, NotFoundError, ServiceUnavailableError
from freehold.core.ids import new_id
from freehold.data import limits
from freehold.jobs.job import URGENT
from freehold.resources.files import drafts, library, rules
from freehold.resources.files.drafts import Draft
from freehold.resources.uploads import store
from freehold.wire.uploads import Upload, UploadCompleteParams, UploadCreateParams, UploadPart

ASSEMBLE = "uploads.assemble"


async def create(context: Context, body: UploadCreateParams) -> Upload:
    """Begin an upload, within what the organization may store."""
    library.refuse_without_retention(context)
    filename = rules.basename(body.filename)
    rules.check_filename(filename, body.purpose)
    rules.check_size(body.bytes, body.purpose)
    now, organization = clock.now(), context.principal.organization_id
    row: dict[str, Any] = {
        "id": new_id("upload"),
        "organization_id": organization,
        "project_id": context.project_id,
        "created_at": now,
        "expires_at": now + limits.figure("uploads", "lifetime_s"),
        "filename": filename,
        "purpose": body.purpose,
        "bytes": body.bytes,
        "mime_type": body.mime_type,
        "status": "pending",
        "file_expires_after_s": body.expires_after.seconds if body.expires_after else None,
    }

    def unit(connection: Connection) -> Row[Any]:
        waiting = store.pending_bytes(connection, organization, now)
        library.check_room(connection, organization, waiting + body.bytes)
        store.insert(connection, row)
        return _found(store.find(connection, context.project_id, row["id"]), row["id"])

    return _shown(await context.services.database.write(unit))


async def add_part(context: Context, upload_id: str, form: Form) -> UploadPart:
    """Store a part. Whatever breaks it off leaves nothing behind."""
    project = context.project_id
    row = await context.services.database.read(lambda c: store.find(c, project, upload_id))
    _check_open(_found(row, upload_id))
    form.limit(limits.figure("uploads", "part_bytes"))
    async with drafts.drafting(context.services) as draft:
        if not [await _take(draft, part) async for part in form]:
            raise messages.missing("data")
        await draft.finish()
        part: dict[str, Any] = {
            "id": new_id("upload_part"),
            "upload_id": upload_id,
            "created_at": clock.now(),
            "bytes": draft.size,
            "blob": draft.blob,
        }

        def unit(connection: Connection) -> None:
            _check_open(_found(store.hold(connection, project, upload_id), upload_id))
            _check_total(store.parts(connection, upload_id), draft.size)
            draft.take_over(connection)
            store.add_part(connection, part)

        await context.services.database.write(unit)
    return UploadPart(
        id=part["id"],
        object="upload.part",
        created_at=part["created_at"],
        upload_id=upload_id,
    )


async def _take(draft: Draft, part: Part) -> None:
    if part.name != "data":
        raise messages.unknown(part.name)
    cap = limits.figure("uploads", "part_bytes")
    async for data in part:
        await draft.write(data)
        if draft.size > cap:
            raise too_large(cap)


async def complete(context: Context, upload_id: str, body: UploadCompleteParams) -> Upload:
    """Put the parts together in this order and return the upload with its file.

    Asked again with the same parts, it waits for the same file or returns it.
    """
    services = context.services
    job_id = await services.database.write(lambda c: _begin(context, c, upload_id, body))
    if job_id is not None:
        services.jobs.wake()
        await services.jobs.ended(job_id)
    return await _completed(context, upload_id)


def _begin(
    context: Context, connection: Connection, upload_id: str, body: UploadCompleteParams
) -> str | None:
    """Order the assembly and return its job; None where there is nothing to wait for."""
    row = _found(store.hold(connection, context.project_id, upload_id), upload_id)
    if row.status in ("completing", "completed") and row.part_ids == body.part_ids:
        return row.job_id if row.status == "completing" else None
    _check_open(row)
    _check_parts(row, store.parts(connection, upload_id), body.part_ids)
    library.check_room(connection, row.organization_id, row.bytes)
    job_id = context.services.jobs.enqueue(
        connection,
        ASSEMBLE,
        {"upload_id": upload_id},
        project_id=context.project_id,
        priority=URGENT,
        key=upload_id,
    )
    store.change(
        connection,
        upload_id,
        status="completing",
        part_ids=body.part_ids,
        md5=body.md5,
        file_id=new_id("file"),
        job_id=job_id,
        fault=None,
    )
    return job_id


async def _completed(context: Context, upload_id: str) -> Upload:
    """Return the completed upload with its file, or raise what kept it from being completed."""
    project = context.project_id
    row = await context.services.database.read(lambda c: store.find(c, project, upload_id))
    row = _found(row, upload_id)
    if row.status == "completed":
        upload = _shown(row)
        upload.file = library.shown(await library.find(context.services, project, row.file_id))
        return upload
    if row.fault is not None:
        raise BadRequestError(**row.fault)
    raise ServiceUnavailableError("The upload could not be completed. Try again.", retry_after=5)


async def cancel(context: Context, upload_id: str) -> Upload:
    """End the upload and delete its parts."""

    def unit(connection: Connection) -> tuple[Row[Any], list[str]]:
        _check_open(_found(store.hold(connection, context.project_id, upload_id), upload_id))
        blobs = store.remove_parts(connection, upload_id)
        drafts.discard(connection, blobs)
        store.change(connection, upload_id, status="cancelled")
        row = store.find(connection, context.project_id, upload_id)
        return _found(row, upload_id), blobs

    services = context.services
    row, blobs = await services.database.write(unit)
    await drafts.remove(services.database, services.blobs, blobs)
    return _shown(row)


def _check_open(row: Row[Any]) -> None:
    """Refuse what only a pending upload allows."""
    status = _status(row)
    if row.status == "completing":
        raise BadRequestError(f"Upload '{row.id}' is being completed with other parts.")
    if status != "pending":
        raise BadRequestError(f"Upload '{row.id}' is {status}: it can't be changed any more.")


def _check_parts(row: Row[Any], parts: Sequence[Row[Any]], part_ids: list[str]) -> None:
    """Refuse an order of parts that does not make the file that was announced."""
    sizes = {part.id: part.bytes for part in parts}
    unknown = next((part_id for part_id in part_ids if part_id not in sizes), None)
    if unknown is not None:
        raise BadRequestError(
            f"Part '{unknown}' is not a part of upload '{row.id}'.", param="part_ids"
        )
    if len(set(part_ids)) < len(part_ids):
        raise BadRequestError("A part may be named only once.", param="part_ids")
    total = sum(sizes[part_id] for part_id in part_ids)
    if total != row.bytes:
        raise BadRequestError(
            f"The parts have {total} bytes in all, but the upload was created for {row.bytes}.",
            param="part_ids",
        )


def _check_total(parts: Sequence[Row[Any]], size: int) -> None:
    cap = limits.figure("uploads", "bytes")
    if sum(part.bytes for part in parts) + size > cap:
        raise BadRequestError(
            f"The parts of an upload may have {cap // 2**30} GB in all.", param="data"
        )


def _status(row: Row[Any]) -> Any:
    if row.status == "completing":
        return "pending"
    if row.status == "pending" and row.expires_at <= clock.now():
        return "expired"
    return row.status


def _found(row: Row[Any] | None, upload_id: str) -> Row[Any]:
    if row is None:
        raise NotFoundError(f"No such Upload object: {upload_id}", param="upload_id")
    return row


def _shown(row: Row[Any]) -> Upload:
    return Upload(
        id=row.id,
        object="upload",
        bytes=row.bytes,
        created_at=row.created_at,
        expires_at=row.expires_at,
        filename=row.filename,
        purpose=row.purpose,
        status=_status(row),
    )
