"""What other groups do with files: find them, read their bytes, make new ones."""

from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, Row

from freehold.api.context import Context, Services
from freehold.core import clock
from freehold.core.errors import BadRequestError, NotFoundError, PermissionDeniedError
from freehold.core.ids import new_id
from freehold.data import limits
from freehold.resources.files import drafts, rules, store
from freehold.resources.files.drafts import Draft
from freehold.storage.blobs import BlobMissingError
from freehold.wire.files import FileObject, OutputPurpose

_PIECES_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a new file is."""

    organization_id: str
    project_id: str


def refuse_without_retention(context: Context) -> None:
    """Refuse to a project with zero data retention what can't be had without keeping it."""
    if context.principal.zero_data_retention:
        raise PermissionDeniedError(
            "This project has zero data retention: what is kept (files, uploads, batches, "
            "assistants, threads, vector stores) is not available to it.",
            code="zero_data_retention",
        )


async def find(services: Services, project_id: str, file_id: str) -> Row[Any]:
    """Return the file's row: id, filename, purpose, bytes, sha256, ... Raises ``NotFoundError``."""
    row = await services.database.read(lambda c: store.find(c, project_id, file_id))
    return found(row, file_id)


def found(row: Row[Any] | None, file_id: str, param: str = "id") -> Row[Any]:
    """Return the row, or raise ``NotFoundError`` where there is none."""
    if row is None:
        raise _missing(file_id, param)
    return row


def shown(row: Row[Any]) -> FileObject:
    """Return the file of a row as the API shows it."""
    expiry = {} if row.expires_at is None else {"expires_at": row.expires_at}
    return FileObject(
        id=row.id,
        object="file",
        bytes=row.bytes,
        created_at=row.created_at,
        filename=row.filename,
        purpose=row.purpose,
        status="processed",
        **expiry,
    )


async def read(
    services: Services, file: Row[Any], start: int = 0, length: int | None = None
) -> AsyncGenerator[bytes, None]:
    """Yield the file's bytes from ``start`` on. Raises ``NotFoundError`` where it was deleted."""
    try:
        async with aclosing(services.blobs.read(file.blob, start, length)) as chunks:
            async for chunk in chunks:
                yield chunk
    except BlobMissingError:
        raise _missing(file.id, "id") from None


@asynccontextmanager
async def local(services: Services, file: Row[Any]) -> AsyncGenerator[Path]:
    """Give a path to the file's bytes, only to read; a copy where the store is elsewhere."""
    path = services.blobs.path(file.blob)
    if path is not None:
        yield path
        return
    with TemporaryDirectory(prefix="freehold-") as folder:
        copy = Path(folder) / "content"
        with copy.open("wb") as target:
            async for chunk in read(services, file):
                target.write(chunk)
        yield copy


async def create_output(
    services: Services,
    owner: Owner,
    filename: str,
    purpose: OutputPurpose,
    chunks: AsyncIterable[bytes],
) -> FileObject:
    """Make a file of what ``chunks`` yields."""
    async with drafts.drafting(services) as draft:
        async for chunk in chunks:
            await draft.write(chunk)
        await draft.finish()
        return await record(services, draft, owner, filename, purpose)


def append_output(connection: Connection, draft: str, data: bytes) -> None:
    """Append to an output in the making, in the caller's own unit: kept or lost together with it.

    ``draft`` is any name of the caller's, such as ``batch_abc/output``.
    """
    store.append(connection, draft, data)


async def output_so_far(services: Services, draft: str) -> AsyncGenerator[bytes, None]:
    """Yield what was appended, in order."""
    after = 0
    while rows := await _pieces(services, draft, after):
        for row in rows:
            yield row.data
        after = rows[-1].seq


def drop_output(connection: Connection, draft: str) -> None:
    """Forget what was appended, in the caller's own unit."""
    store.remove_pieces(connection, draft)


async def _pieces(services: Services, draft: str, after: int) -> list[Row[Any]]:
    return await services.database.read(
        lambda connection: store.pieces(connection, draft, after, _PIECES_AT_ONCE)
    )


@asynccontextmanager
async def finished_output(
    services: Services,
    owner: Owner,
    filename: str,
    purpose: OutputPurpose,
    draft: str,
    *,
    expires_after_s: int | None = None,
) -> AsyncGenerator["Output"]:
    """Give a file made of what was appended, for the caller's own unit to keep.

    async with library.finished_output(services, owner, name, purpose, draft) as output:
        await job.write(lambda c: (output.keep(c), store.complete(c, output.file_id)))
    """
    async with drafts.drafting(services) as blob:
        async with aclosing(output_so_far(services, draft)) as pieces:
            async for piece in pieces:
                await blob.write(piece)
        await blob.finish()
        row = new_row(blob, owner, filename, purpose, expires_after_s=expires_after_s)
        yield Output(blob, row, draft)


class Output:
    """A finished output that is not a file yet."""

    def __init__(self, blob: Draft, row: Mapping[str, Any], draft: str) -> None:
        self.file_id: str = row["id"]
        self._blob = blob
        self._row = row
        self._draft = draft

    def keep(self, connection: Connection) -> None:
        """Turn it into a file, in the caller's own unit, and forget what was appended."""
        self._blob.take_over(connection)
        insert(connection, self._row)
        drop_output(connection, self._draft)


async def record(
    services: Services,
    draft: Draft,
    owner: Owner,
    filename: str,
    purpose: str,
    *,
    expires_after_s: int | None = None,
) -> FileObject:
    """Turn a finished draft into a file, as ``insert`` does."""
    row = new_row(draft, owner, filename, purpose, expires_after_s=expires_after_s)

    def unit(connection: Connection) -> Row[Any]:
        draft.take_over(connection)
        insert(connection, row)
        return found(store.find(connection, owner.project_id, row["id"]), row["id"])

    return shown(await services.database.write(unit))


def new_row(
    draft: Draft,
    owner: Owner,
    filename: str,
    purpose: str,
    file_id: str | None = None,
    *,
    expires_after_s: int | None = None,
) -> dict[str, Any]:
    """Return the row of a new file with the bytes of a finished draft."""
    now = clock.now()
    return {
        "id": file_id or new_id("file"),
        "organization_id": owner.organization_id,
        "project_id": owner.project_id,
        "created_at": now,
        "expires_at": None if expires_after_s is None else now + expires_after_s,
        "filename": filename,
        "purpose": purpose,
        "bytes": draft.size,
        "sha256": draft.sha256,
        "blob": draft.blob,
    }


def insert(connection: Connection, row: Mapping[str, Any]) -> None:
    """Write the row of a new file; a client's one within what its organization may store."""
    if row["purpose"] in rules.PURPOSES:  # what the server promised to make is always kept
        check_room(connection, row["organization_id"], row["bytes"])
    store.insert(connection, row)


def check_room(connection: Connection, organization_id: str, size: int) -> None:
    """Refuse what would exceed the organization's storage. Raises ``BadRequestError``."""
    cap = limits.figure("files", "organization_bytes")
    if store.stored_bytes(connection, organization_id) + size > cap:
        raise BadRequestError(
            f"The files of your organization would exceed {cap // 2**30} GB. Delete some first.",
            param="file",
            code="storage_limit_exceeded",
        )


def _missing(file_id: str, param: str) -> NotFoundError:
    return NotFoundError(f"No such File object: {file_id}", param=param)
