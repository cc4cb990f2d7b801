"""Threads: made, looked at, changed and deleted by the project that owns them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from freehold.api.context import Context
from freehold.core import clock
from freehold.core.errors import BadRequestError, NotFoundError
from freehold.core.ids import new_id
from freehold.data import limits
from freehold.resources.assistants import tool_resources
from freehold.resources.files import library
from freehold.resources.threads import incoming, run_end, run_store, store
from freehold.storage.records import Record
from freehold.wire.threads import Thread, ThreadCreateParams, ThreadDeleted, ThreadUpdateParams


@dataclass(frozen=True, slots=True)
class NewThread:
    """A checked thread that is not written yet, and the messages it begins with."""

    row: Mapping[str, Any]
    messages: incoming.Prepared
    resources: tool_resources.Plan

    def insert(self, connection: Connection) -> list[dict[str, Any]]:
        """Write it in the caller's own unit and return its messages; afterwards wake the jobs."""
        services, project = self.messages.services, self.row["project_id"]
        self.resources.carry_out(connection, services, project)
        store.insert(connection, self.row)
        return incoming.add(connection, self.row, self.messages)


async def create(context: Context, body: ThreadCreateParams) -> Thread:
    """Make a thread, with its first messages."""
    new = await prepare(context, body)
    await context.services.database.write(new.insert)
    context.services.jobs.wake()
    return await retrieve(context, new.row["id"])


async def prepare(context: Context, body: ThreadCreateParams, within: str = "") -> NewThread:
    """Check a thread; ``within`` is the path to it in a larger request, such as ``thread.``."""
    library.refuse_without_retention(context)
    await tool_resources.check(context, body.tool_resources)
    messages = await incoming.prepare(context, body.messages or (), f"{within}messages")
    resources = tool_resources.plan(
        body.tool_resources,
        days=limits.figure("assistants", "thread_store_days"),
        needs_store=bool(messages.search_files),
    )
    row = {
        "id": new_id("thread"),
        "project_id": context.project_id,
        "created_at": clock.now(),
        "tool_resources": incoming.with_code_files(resources.kept, messages.code_files),
        "metadata": body.metadata or {},
    }
    return NewThread(row, messages, resources)


async def retrieve(context: Context, thread_id: str) -> Thread:
    """Return the thread. Raises ``NotFoundError``."""
    project = context.project_id
    row = await context.services.database.read(lambda c: store.find(c, project, thread_id))
    return shown(found(row, thread_id))


async def update(context: Context, thread_id: str, body: ThreadUpdateParams) -> Thread:
    """Change what is given and leave the rest. Raises ``NotFoundError``."""
    library.refuse_without_retention(context)
    await tool_resources.check(context, body.tool_resources)
    project, given = context.project_id, body.model_fields_set

    def unit(connection: Connection) -> Record:
        row = found(store.lock(connection, project, thread_id), thread_id)
        changes: dict[str, Any] = {}
        if "metadata" in given:
            changes["metadata"] = body.metadata or {}
        if "tool_resources" in given:
            changes["tool_resources"] = tool_resources.changed(
                row["tool_resources"], body.tool_resources
            )
        if changes:
            store.change(connection, thread_id, **changes)
        return {**row, **changes}

    return shown(await context.services.database.write(unit))


async def delete(context: Context, thread_id: str) -> ThreadDeleted:
    """Delete the thread with its messages, runs and session; files and vector stores stay."""
    project, jobs = context.project_id, context.services.jobs

    def unit(connection: Connection) -> None:
        thread = found(store.lock(connection, project, thread_id), thread_id)
        if run := run_store.load(connection, thread["active_run_id"] or ""):
            run_end.cancel(connection, jobs, run)
        store.change(connection, thread_id, deleted_at=clock.now())

    await context.services.database.write(unit)
    jobs.wake()
    await context.services.sandboxes.end(thread_id)
    return ThreadDeleted(id=thread_id, object="thread.deleted", deleted=True)


def lock_idle(connection: Connection, project_id: str, thread_id: str) -> Record:
    """Return the thread, held for this unit, or refuse where it is missing or a run is active."""
    thread = found(store.lock(connection, project_id, thread_id), thread_id)
    if thread["active_run_id"] is not None:
        raise BadRequestError(
            f"Can't add messages to {thread_id} while a run {thread['active_run_id']} is active."
        )
    return thread


def shown(row: Mapping[str, Any]) -> Thread:
    """Return the thread of a row as the API shows it."""
    return Thread(
        id=row["id"],
        object="thread",
        created_at=row["created_at"],
        tool_resources=row["tool_resources"],
        metadata=row["metadata"],
    )


def found(row: Record | None, thread_id: str, param: str | None = None) -> Record:
    """Return the row, or raise ``NotFoundError`` where there is none."""
    if row is None:
        raise NotFoundError(f"No thread found with id '{thread_id}'.", param=param)
    return row
