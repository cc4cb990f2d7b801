"""Assistants: created, listed, looked at, changed and deleted by the project that owns them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from freehold.api.context import Context
from freehold.core import clock
from freehold.core.errors import NotFoundError
from freehold.core.ids import new_id
from freehold.core.page import page
from freehold.resources.assistants import rules, store, tool_resources
from freehold.resources.files import library
from freehold.storage.cursors import Cursor, Slice
from freehold.storage.records import Record
from freehold.wire.assistants import (
    Assistant,
    AssistantCreateParams,
    AssistantDeleted,
    AssistantListParams,
    AssistantUpdateParams,
)

SAMPLING = 1.0  # temperature and top_p, as the API shows them where none was given


@dataclass(frozen=True, slots=True)
class Had:
    """What an imported object keeps from where it was."""

    id: str
    created_at: int


async def create(
    context: Context, body: AssistantCreateParams, *, had: Had | None = None
) -> Assistant:
    """Make an assistant of what was given and the defaults; an imported one is what it ``had``."""
    await _check(context, body)
    services, resources = context.services, tool_resources.plan(body.tool_resources)
    had = had or Had(new_id("assistant"), clock.now())
    row = {
        "id": had.id,
        "project_id": context.project_id,
        "created_at": had.created_at,
        "tool_resources": resources.kept,
        **settings_of(body),
    }

    def unit(connection: Connection) -> None:
        resources.carry_out(connection, services, context.project_id)
        store.insert(connection, row)

    await services.database.write(unit)
    services.jobs.wake()
    return shown(row)


async def list_(context: Context, query: AssistantListParams) -> dict[str, Any]:
    """Return a page of the project's assistants, newest first unless asked otherwise."""
    project = context.project_id

    def read(connection: Connection) -> Slice:
        def seq(assistant_id: str | None, param: str) -> int | None:
            if assistant_id is None:
                return None
            found_at = store.find(connection, project, assistant_id)
            return found(found_at, assistant_id, param)["seq"]

        after, before = seq(query.after, "after"), seq(query.before, "before")
        return store.page(connection, project, Cursor(query.limit, query.order, after, before))

    got = await context.services.database.read(read)
    listed = [shown(row).model_dump() for row in got.rows]
    return page(listed, query.limit) | {"has_more": got.more}


async def retrieve(context: Context, assistant_id: str) -> Assistant:
    """Return the assistant. Raises ``NotFoundError``."""
    project = context.project_id
    row = await context.services.database.read(lambda c: store.find(c, project, assistant_id))
    return shown(found(row, assistant_id))


async def update(context: Context, assistant_id: str, body: AssistantUpdateParams) -> Assistant:
    """Change what is given and leave the rest. Runs that have begun keep what they began with."""
    await _check(context, body)
    project, given = context.project_id, body.model_fields_set
    values = {field: value for field, value in settings_of(body).items() if field in given}
    if values.get("model", "") is None:
        del values["model"]

    def unit(connection: Connection) -> Record:
        row = found(store.lock(connection, project, assistant_id), assistant_id)
        resources = row["tool_resources"]
        if "tool_resources" in given:
            resources = tool_resources.changed(resources, body.tool_resources)
        changes = {**values, "tool_resources": resources}
        store.change(connection, assistant_id, changes)
        return {**row, **changes}

    return shown(await context.services.database.write(unit))


async def delete(context: Context, assistant_id: str) -> AssistantDeleted:
    """Delete the assistant; its files, vector stores and threads stay."""
    project = context.project_id
    if not await context.services.database.write(lambda c: store.remove(c, project, assistant_id)):
        raise missing(assistant_id)
    return AssistantDeleted(id=assistant_id, object="assistant.deleted", deleted=True)


def settings_of(body: AssistantCreateParams | AssistantUpdateParams) -> dict[str, Any]:
    """Return all but the tools' resources as it is kept, defaults in place of what is null."""
    wanted = body.response_format
    return {
        "model": body.model,
        "name": body.name,
        "description": body.description,
        "instructions": body.instructions,
        "tools": [tool.given() for tool in body.tools or ()],
        "response_format": wanted or "auto" if isinstance(wanted, str | None) else wanted.given(),
        "temperature": SAMPLING if body.temperature is None else body.temperature,
        "top_p": SAMPLING if body.top_p is None else body.top_p,
        "metadata": body.metadata or {},
    }


def shown(row: Mapping[str, Any]) -> Assistant:
    """Return the assistant of a row as the API shows it."""
    fields = {name: row[name] for name in Assistant.model_fields if name != "object"}
    return Assistant.model_validate({**fields, "object": "assistant"})


def found(row: Record | None, assistant_id: str, param: str | None = None) -> Record:
    """Return the row, or raise ``NotFoundError`` where there is none."""
    if row is None:
        raise missing(assistant_id, param)
    return row


def missing(assistant_id: str, param: str | None = None) -> NotFoundError:
    return NotFoundError(f"No assistant found with id '{assistant_id}'.", param=param)


async def _check(context: Context, body: AssistantCreateParams | AssistantUpdateParams) -> None:
    library.refuse_without_retention(context)
    if body.model is not None:
        rules.check_model(context.services.registry, body.model)
    rules.check_tools(body.tools or ())
    rules.check_format(body.response_format)
    await tool_resources.check(context, body.tool_resources)
