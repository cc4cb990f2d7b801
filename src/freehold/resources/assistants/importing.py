"""Assistants that were exported from OpenAI, with their files and vector stores.

Everything keeps the id it had, so programs that name it go on. What is there already is left alone:
an import that was broken off is simply begun again.
"""

from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from freehold.api.context import Context
from freehold.core import clock
from freehold.core.errors import APIError, BadRequestError, NotFoundError
from freehold.data import limits
from freehold.resources.assistants import service
from freehold.resources.files import library, rules
from freehold.resources.files.drafts import drafting
from freehold.resources.vector_stores import service as vector_stores
from freehold.wire import errors
from freehold.wire.assistants import AssistantCreateParams
from freehold.wire.vector_stores import VectorStoreCreateParams

Line = Mapping[str, Any]
Wire = TypeVar("Wire", bound=BaseModel)

ORDER: Final = ("file", "vector_store", "assistant")  # each may refer to those before it
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one object: imported, there already, or ``fault`` says why neither."""

    kind: str
    id: str
    imported: bool
    fault: str | None = None


async def import_(context: Context, lines: Iterable[Line], folder: Path) -> AsyncGenerator[Outcome]:
    """Take over every object, files first. Their bytes lie in ``folder``.

    A file's line may say where with ``path``; otherwise its bytes are under its id or name.
    """
    library.refuse_without_retention(context)
    known = [line for line in lines if line.get("object") in ORDER and line.get("id")]
    for line in sorted(known, key=lambda line: ORDER.index(line["object"])):
        yield await _take(context, line, folder)


async def _take(context: Context, line: Line, folder: Path) -> Outcome:
    kind, object_id = str(line["object"]), str(line["id"])
    try:
        if await _is_there(context, kind, object_id):
            return Outcome(kind, object_id, imported=False)
        await _make(context, line, folder)
    except APIError as error:
        return Outcome(kind, object_id, imported=False, fault=error.message)
    except IntegrityError:
        return Outcome(kind, object_id, imported=False, fault="Another project has this id.")
    return Outcome(kind, object_id, imported=True)


async def _is_there(context: Context, kind: str, object_id: str) -> bool:
    try:
        if kind == "file":
            await library.find(context.services, context.project_id, object_id)
        elif kind == "vector_store":
            await vector_stores.check(context, [object_id], "id")
        else:
            await service.retrieve(context, object_id)
    except NotFoundError:
        return False
    return True


async def _make(context: Context, line: Line, folder: Path) -> None:
    match line["object"]:
        case "file":
            await _make_file(context, line, folder)
        case "vector_store":
            await _make_store(context, line)
        case _:
            body = _body(AssistantCreateParams, line)
            limits.check("createAssistant", line)
            await service.create(context, body, had=service.Had(line["id"], _created(line)))


async def _make_file(context: Context, line: Line, folder: Path) -> None:
    filename = rules.basename(str(line.get("filename") or line["id"]))
    purpose = str(line.get("purpose") or "assistants")
    path = _found(folder, [str(line["path"])] if line.get("path") else [line["id"], filename])
    if path.stat().st_size > limits.figure("files", "file_bytes"):
        raise BadRequestError(f"{path} is larger than a file may be.")
    owner = library.Owner(context.principal.organization_id, context.project_id)
    async with drafting(context.services) as draft:
        for piece in _pieces(path):
            await draft.write(piece)
        await draft.finish()
        row = library.new_row(draft, owner, filename, purpose, line["id"])

        def unit(connection: Connection) -> None:
            draft.take_over(connection)
            library.insert(connection, row | {"created_at": _created(line)})

        await context.services.database.write(unit)


async def _make_store(context: Context, line: Line) -> None:
    body = _body(VectorStoreCreateParams, line)
    services, project = context.services, context.project_id
    await services.database.write(
        lambda c: vector_stores.make(c, services, project, body, line["id"]).id
    )


def _body(wire: type[Wire], line: Line) -> Wire:
    """Return what the line says of a new object's fields."""
    fields = {name: line[name] for name in wire.model_fields if line.get(name) is not None}
    try:
        return wire.model_validate(fields)
    except ValidationError as error:
        raise errors.bad_request(error, fields) from None


def _created(line: Line) -> int:
    at = line.get("created_at")
    return at if isinstance(at, int) else clock.now()


def _found(folder: Path, names: Iterable[str]) -> Path:
    paths = [folder / name for name in names]
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        raise NotFoundError(f"Its bytes are missing: {' or '.join(map(str, paths))}.")
    return found


def _pieces(path: Path) -> Generator[bytes]:
    with path.open("rb") as source:
        while piece := source.read(_PIECE):
            yield piece
