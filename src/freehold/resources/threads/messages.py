"""Messages: added to threads, listed, looked at, changed and deleted.

Functions that take a connection are for units of work of others in this group: a run writes its
messages together with its own state.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from freehold.api.context import Context
from freehold.core import clock
from freehold.core.errors import NotFoundError
from freehold.core.page import page
from freehold.resources.files import library
from freehold.resources.threads import incoming, store, threads
from freehold.storage.cursors import Cursor, Slice
from freehold.storage.records import Record
from freehold.wire.messages import (
    IncompleteReason,
    Message,
    MessageCreateParams,
    MessageDeleted,
    MessageListParams,
    MessageUpdateParams,
)

_SHOWN = tuple(set(Message.model_fields) - {"object", "incomplete_details"})


async def create(context: Context, thread_id: str, body: MessageCreateParams) -> Message:
    """Append a message to the thread, with its files. Raises where a run is active."""
    prepared = await incoming.prepare(context, [body])

    def unit(connection: Connection) -> Record:
        thread = threads.lock_idle(connection, context.project_id, thread_id)
        return incoming.add(connection, thread, prepared)[0]

    row = await context.services.database.write(unit)
    context.services.jobs.wake()
    return shown(row)


async def list_(context: Context, thread_id: str, query: MessageListParams) -> dict[str, Any]:
    """Return a page of the thread's messages, newest first unless asked otherwise."""
    project = context.project_id

    def read(connection: Connection) -> Slice:
        threads.found(store.find(connection, project, thread_id), thread_id)

        def seq(message_id: str | None, param: str) -> int | None:
            if message_id is None:
                return None
            row = store.find_message(connection, thread_id, message_id)
            return found(row, message_id, param)["seq"]

        after, before = seq(query.after, "after"), seq(query.before, "before")
        cursor = Cursor(query.limit, query.order, after, before)
        return store.page(connection, thread_id, query.run_id, cursor)

    got = await context.services.database.read(read)
    listed = [shown(row).model_dump(exclude_unset=True) for row in got.rows]
    return page(listed, query.limit) | {"has_more": got.more}


async def retrieve(context: Context, thread_id: str, message_id: str) -> Message:
    """Return the message as it stands. Raises ``NotFoundError``."""
    project = context.project_id

    def read(connection: Connection) -> Record:
        threads.found(store.find(connection, project, thread_id), thread_id)
        return found(store.find_message(connection, thread_id, message_id), message_id)

    return shown(await context.services.database.read(read))


async def update(
    context: Context, thread_id: str, message_id: str, body: MessageUpdateParams
) -> Message:
    """Replace the metadata where it is given. Raises ``NotFoundError``."""
    library.refuse_without_retention(context)
    project = context.project_id

    def unit(connection: Connection) -> Record:
        threads.found(store.find(connection, project, thread_id), thread_id)
        row = found(store.find_message(connection, thread_id, message_id), message_id)
        if "metadata" not in body.model_fields_set:
            return row
        store.change_message(connection, message_id, metadata=body.metadata or {})
        return {**row, "metadata": body.metadata or {}}

    return shown(await context.services.database.write(unit))


async def delete(context: Context, thread_id: str, message_id: str) -> MessageDeleted:
    """Delete the message; files that came with it stay. Raises ``NotFoundError``."""
    project = context.project_id

    def unit(connection: Connection) -> None:
        threads.found(store.find(connection, project, thread_id), thread_id)
        if not store.remove_message(connection, thread_id, message_id):
            raise _missing(message_id)

    await context.services.database.write(unit)
    return MessageDeleted(id=message_id, object="thread.message.deleted", deleted=True)


def begun(thread_id: str, *, assistant_id: str, run_id: str) -> dict[str, Any]:
    """Return the row of an answer that a run has begun to write, for ``store.add_messages``."""
    return incoming.row("assistant", []) | {
        "thread_id": thread_id,
        "assistant_id": assistant_id,
        "run_id": run_id,
        "status": "in_progress",
        "completed_at": None,
    }


def complete(connection: Connection, message_id: str, content: Sequence[Mapping[str, Any]]) -> bool:
    """Give an answer its final parts, as the API shows them; False where it was deleted."""
    return store.change_message(
        connection,
        message_id,
        content=list(content),
        status="completed",
        completed_at=clock.now(),
    )


def break_off(
    connection: Connection,
    message_id: str,
    content: Sequence[Mapping[str, Any]],
    reason: IncompleteReason,
) -> bool:
    """Leave an answer as it is and say why; False where it was deleted."""
    return store.change_message(
        connection,
        message_id,
        content=list(content),
        status="incomplete",
        incomplete_reason=reason,
        incomplete_at=clock.now(),
    )


def shown(row: Mapping[str, Any]) -> Message:
    """Return the message of a row as the API shows it."""
    reason = row["incomplete_reason"]
    return Message.model_validate(
        {name: row[name] for name in _SHOWN}
        | {"object": "thread.message", "incomplete_details": reason and {"reason": reason}}
    )


def found(row: Record | None, message_id: str, param: str | None = None) -> Record:
    """Return the row, or raise ``NotFoundError`` where there is none."""
    if row is None:
        raise _missing(message_id, param)
    return row


def _missing(message_id: str, param: str | None = None) -> NotFoundError:
    return NotFoundError(f"No message found with id '{message_id}'.", param=param)
