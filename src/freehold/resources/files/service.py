"""Files: uploaded, listed, looked at, fetched and deleted by the project that owns them."""

from typing import Any

from sqlalchemy import Connection, Row

from freehold.api.answers import Content
from freehold.api.context import Context
from freehold.api.multipart import Form, Part, too_large
from freehold.core import messages
from freehold.core.errors import BadRequestError
from freehold.core.page import page
from freehold.data import limits
from freehold.resources.files import drafts, library, ranges, rules, store
from freehold.resources.files.drafts import Draft
from freehold.wire.files import FileCreateParams, FileDeleted, FileListParams, FileObject

_EXPIRY = {f"expires_after[{name}]": name for name in ("anchor", "seconds")}


async def create(context: Context, form: Form) -> FileObject:
    """Store an uploaded file. Whatever breaks it off leaves nothing behind."""
    library.refuse_without_retention(context)
    form.limit(limits.figure("files", "file_bytes"))
    async with drafts.drafting(context.services) as draft:
        upload = _Incoming(draft)
        async for part in form:
            await upload.take(part)
        filename, sent = await upload.complete()
        owner = library.Owner(context.principal.organization_id, context.project_id)
        lifetime = sent.expires_after.seconds if sent.expires_after else None
        return await library.record(
            context.services, draft, owner, filename, sent.purpose, expires_after_s=lifetime
        )


class _Incoming:
    """The parts of one form, which come in any order."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._purpose: str | None = None
        self._filename: str | None = None
        self._expiry: dict[str, str] = {}
        self._lines = rules.TrainingLines()

    async def take(self, part: Part) -> None:
        if part.name == "purpose":
            self._purpose = await part.text()
            rules.check_purpose(self._purpose)
        elif part.name == "file":
            await self._take_file(part)
        elif part.name in _EXPIRY:
            self._expiry[_EXPIRY[part.name]] = await part.text()
        else:
            raise messages.unknown(part.name)
        if self._purpose is not None and self._filename is not None:
            rules.check_filename(self._filename, self._purpose)

    async def _take_file(self, part: Part) -> None:
        if self._filename is not None:
            raise BadRequestError("Only one 'file' can be uploaded at a time.", param="file")
        if part.filename is None:
            raise messages.invalid_type("file", "a file", "")
        self._filename = rules.basename(part.filename)
        if self._purpose is not None:
            rules.check_filename(self._filename, self._purpose)
        if self._may_be_training():
            self._draft.observe(self._lines.feed)
        cap = limits.figure("files", "file_bytes")
        async for data in part:
            await self._draft.write(data)
            if self._draft.size > cap:
                raise too_large(cap)

    def _may_be_training(self) -> bool:
        return self._purpose in (None, "fine-tune") and rules.is_lines(self._filename or "")

    async def complete(self) -> tuple[str, FileCreateParams]:
        """Check what came, make it durable, and return the file's name and the other fields."""
        if self._filename is None:
            raise messages.missing("file")
        if self._purpose is None:
            raise messages.missing("purpose")
        rules.check_size(self._draft.size, self._purpose)
        sent = rules.checked_form(self._purpose, self._expiry)
        await self._draft.finish()
        if self._purpose == "fine-tune":
            self._lines.check()
        return self._filename, sent


async def list_(context: Context, query: FileListParams) -> dict[str, Any]:
    """Return a page of the project's files, newest first unless asked otherwise."""
    project = context.project_id

    def read(connection: Connection) -> list[Row[Any]]:
        after = None
        if query.after is not None:
            row = store.find(connection, project, query.after)
            after = library.found(row, query.after, "after").seq
        return store.page(
            connection,
            project,
            purpose=query.purpose,
            after=after,
            order=query.order,
            limit=query.limit + 1,
        )

    rows = await context.services.database.read(read)
    return page([library.shown(row).model_dump(exclude_unset=True) for row in rows], query.limit)


async def retrieve(context: Context, file_id: str) -> FileObject:
    """Return the file. Raises ``NotFoundError``."""
    return library.shown(await library.find(context.services, context.project_id, file_id))


async def delete(context: Context, file_id: str) -> FileDeleted:
    """Delete the file: it is gone at once, also where something uses it."""
    services, project = context.services, context.project_id

    def unit(connection: Connection) -> str:
        row = library.found(store.find(connection, project, file_id), file_id)
        store.remove(connection, project, file_id)
        drafts.discard(connection, [row.blob])
        return row.blob

    blob = await services.database.write(unit)
    await drafts.remove(services.database, services.blobs, [blob])
    return FileDeleted(id=file_id, object="file", deleted=True)


async def content(context: Context, file_id: str, headers: ranges.Headers) -> Content:
    """Return the bytes, or the range of them that the headers ask for."""
    file = await library.find(context.services, context.project_id, file_id)
    allowed = context.services.settings.downloadable_purposes
    if not limits.figure("file_content", file.purpose) and file.purpose not in allowed:
        raise BadRequestError(f"Not allowed to download files of purpose: {file.purpose}")
    return ranges.answer(file, headers, context.services)
