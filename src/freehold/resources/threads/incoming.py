"""Messages that a caller adds: checked first, then written in one unit with what they change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection

from freehold.api.context import Context, Services
from freehold.core import clock, messages
from freehold.core.errors import BadRequestError
from freehold.core.ids import new_id
from freehold.data import limits
from freehold.documents import formats
from freehold.resources.assistants import tool_resources
from freehold.resources.assistants.tool_resources import Kept
from freehold.resources.files import library
from freehold.resources.threads import store
from freehold.resources.vector_stores import attaching
from freehold.wire.messages import (
    Attachment,
    ImageFileContentBlock,
    MessageContentPartParam,
    MessageCreateParams,
    TextContentBlockParam,
)
from freehold.wire.vector_stores import ExpiresAfter, VectorStoreCreateParams

_SEARCH = "file_search"
_OF_PICTURES = ("vision", "assistants", "assistants_output")


@dataclass(frozen=True, slots=True)
class Prepared:
    """Checked messages as rows without a thread, and the files that they bring for its tools."""

    services: Services
    rows: tuple[Mapping[str, Any], ...]
    code_files: tuple[str, ...]
    search_files: tuple[str, ...]


async def prepare(
    context: Context, bodies: Sequence[MessageCreateParams], within: str = ""
) -> Prepared:
    """Check messages and the files that they name; ``within`` is the path to their list."""
    library.refuse_without_retention(context)
    for place, body in enumerate(bodies):
        await _check(context, body, f"{within}[{place}]." if within else "")
    return Prepared(
        services=context.services,
        rows=tuple(_new(body) for body in bodies),
        code_files=_files_for("code_interpreter", bodies),
        search_files=_files_for(_SEARCH, bodies),
    )


def add(
    connection: Connection, thread: Mapping[str, Any], prepared: Prepared
) -> list[dict[str, Any]]:
    """Append messages to a thread that was read under its lock; return their rows.

    Works in the caller's own unit; afterwards wake the jobs, which index files for searches.
    """
    resources = with_code_files(thread["tool_resources"], prepared.code_files)
    if prepared.search_files:
        resources = _with_search_files(connection, thread["project_id"], resources, prepared)
    if resources != thread["tool_resources"]:
        store.change(connection, thread["id"], tool_resources=resources)
    rows = [{**row, "thread_id": thread["id"]} for row in prepared.rows]
    store.add_messages(connection, rows)
    return rows


def with_code_files(resources: Kept, added: Sequence[str]) -> Kept:
    """Return a thread's resources with more files for code. Raises where they are too many."""
    if not added:
        return resources
    known = resources.get("code_interpreter", {}).get("file_ids", [])
    file_ids = list(dict.fromkeys([*known, *added]))
    most = limits.figure("assistants", "code_interpreter_files")
    if len(file_ids) > most:
        raise BadRequestError(
            f"The code interpreter of a thread can have at most {most} files; with these "
            f"attachments it would have {len(file_ids)}.",
            param="attachments",
            code="array_above_max_length",
        )
    return {**resources, "code_interpreter": {"file_ids": file_ids}}


def _with_search_files(
    connection: Connection, project_id: str, resources: Kept, prepared: Prepared
) -> Kept:
    """Put files into the thread's vector store, a new one where it has none that can be used."""
    days = limits.figure("assistants", "thread_store_days")
    new = VectorStoreCreateParams(
        file_ids=list(prepared.search_files),
        expires_after=ExpiresAfter(anchor="last_active_at", days=days),
    )
    known = resources.get("file_search", {}).get("vector_store_ids", [])
    store_id = attaching.attach(connection, prepared.services, project_id, known, new)
    return {**resources, "file_search": {"vector_store_ids": [store_id]}}


def row(role: str, content: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the row of a new, completed message without its thread."""
    now = clock.now()
    return {
        "id": new_id("message"),
        "created_at": now,
        "status": "completed",
        "incomplete_reason": None,
        "completed_at": now,
        "incomplete_at": None,
        "role": role,
        "content": list(content),
        "attachments": [],
        "assistant_id": None,
        "run_id": None,
        "metadata": {},
    }


def _new(body: MessageCreateParams) -> dict[str, Any]:
    given = body.content
    parts = [_text(given)] if isinstance(given, str) else [_part(part) for part in given]
    attachments = [one.given() for one in body.attachments or ()]
    return row(body.role, parts) | {"attachments": attachments, "metadata": body.metadata or {}}


def _part(part: MessageContentPartParam) -> dict[str, Any]:
    if isinstance(part, TextContentBlockParam):
        return _text(part.text)
    if isinstance(part, ImageFileContentBlock):
        image: dict[str, Any] = {"file_id": part.image_file.file_id}
        detail = part.image_file.detail
    else:
        image, detail = {"url": part.image_url.url}, part.image_url.detail
    return {"type": part.type, part.type: {**image, "detail": detail or "auto"}}


def _text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": {"value": value, "annotations": []}}


def _files_for(tool: str, bodies: Sequence[MessageCreateParams]) -> tuple[str, ...]:
    attached = (one for body in bodies for one in body.attachments or ())
    ids = (one.file_id for one in attached if tool in {given.type for given in one.tools or ()})
    return tuple(dict.fromkeys(ids))


async def _check(context: Context, body: MessageCreateParams, within: str) -> None:
    for place, attachment in enumerate(body.attachments or ()):
        await _check_attachment(context, attachment, f"{within}attachments[{place}].file_id")
    if isinstance(body.content, str):
        return
    for place, part in enumerate(body.content):
        where = f"{within}content[{place}]"
        if isinstance(part, ImageFileContentBlock):
            file_id, param = part.image_file.file_id, f"{where}.image_file.file_id"
            await tool_resources.check_file(context, file_id, param, _OF_PICTURES)
        elif not isinstance(part, TextContentBlockParam):
            _check_url(part.image_url.url, f"{where}.image_url.url")


async def _check_attachment(context: Context, attachment: Attachment, param: str) -> None:
    file = await tool_resources.check_file(context, attachment.file_id, param)
    if _SEARCH not in {tool.type for tool in attachment.tools or ()}:
        return
    ending = PurePath(file.filename).suffix.lower()
    if ending.removeprefix(".") not in formats.supported():
        raise BadRequestError(
            f"Files with extensions [{ending or 'none'}] are not supported for retrieval. "
            f"Supported are: {', '.join(formats.supported())}.",
            param=param,
            code="unsupported_file",
        )


def _check_url(url: str, param: str) -> None:
    """Refuse what is no address on the web; whether a picture is there shows when it is used."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise messages.no_match(param, "https?://.+") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise messages.no_match(param, "https?://.+")
