"""Every SQL statement of threads and their messages."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select, update
from sqlalchemy import insert as sql_insert

from freehold.storage.cursors import Cursor, Slice, fetch
from freehold.storage.records import Record, one
from freehold.storage.tables import messages, threads

_THREAD = threads.c
_MESSAGE = messages.c


def insert(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(sql_insert(threads), dict(row))


def find(connection: Connection, project_id: str, thread_id: str) -> Record | None:
    """Return the thread of this id, None where the project has no such one."""
    return one(connection, _one(project_id, thread_id))


def lock(connection: Connection, project_id: str, thread_id: str) -> Record | None:
    """Return the thread as ``find`` does, and keep others from changing it in this unit."""
    statement = _one(project_id, thread_id).with_for_update()
    return one(connection, statement)


def change(connection: Connection, thread_id: str, **values: Any) -> None:
    connection.execute(update(threads).where(_THREAD.id == thread_id).values(**values))


def begin_run(connection: Connection, thread_id: str, run_id: str) -> bool:
    """Make this run the thread's active one; False where there is another, or no thread."""
    free = (_THREAD.id == thread_id, _THREAD.active_run_id.is_(None), _THREAD.deleted_at.is_(None))
    statement = update(threads).where(*free).values(active_run_id=run_id)
    return bool(connection.execute(statement).rowcount)


def end_run(connection: Connection, thread_id: str, run_id: str) -> None:
    """Let go of the thread; does nothing where the run is not the active one."""
    held = (_THREAD.id == thread_id, _THREAD.active_run_id == run_id)
    connection.execute(update(threads).where(*held).values(active_run_id=None))


def sweep(connection: Connection, limit: int) -> int:
    """Delete up to ``limit`` deleted threads with all they hold, and return how many."""
    gone = select(_THREAD.seq).where(_THREAD.deleted_at.is_not(None)).limit(limit)
    return connection.execute(delete(threads).where(_THREAD.seq.in_(gone))).rowcount


def add_messages(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append messages in their order."""
    for row in rows:  # one by one: a statement of many rows promises no order of their numbers
        connection.execute(sql_insert(messages), dict(row))


def find_message(connection: Connection, thread_id: str, message_id: str) -> Record | None:
    """Return the message of this id, None where the thread has no such one."""
    statement = select(messages).where(_MESSAGE.thread_id == thread_id, _MESSAGE.id == message_id)
    return one(connection, statement)


def page(connection: Connection, thread_id: str, run_id: str | None, cursor: Cursor) -> Slice:
    """Return a page of a thread's messages, of those that ``run_id`` made where it is given."""
    statement = select(messages).where(_MESSAGE.thread_id == thread_id)
    if run_id is not None:
        statement = statement.where(_MESSAGE.run_id == run_id)
    return fetch(connection, statement, _MESSAGE.seq, cursor)


def change_message(connection: Connection, message_id: str, **values: Any) -> bool:
    """Change a message; False where it has been deleted."""
    statement = update(messages).where(_MESSAGE.id == message_id).values(**values)
    return bool(connection.execute(statement).rowcount)


def remove_message(connection: Connection, thread_id: str, message_id: str) -> bool:
    """Delete the message; False where the thread has no such one."""
    statement = delete(messages).where(_MESSAGE.thread_id == thread_id, _MESSAGE.id == message_id)
    return bool(connection.execute(statement).rowcount)


def _one(project_id: str, thread_id: str) -> Any:
    mine = (_THREAD.project_id == project_id, _THREAD.id == thread_id)
    return select(threads).where(*mine, _THREAD.deleted_at.is_(None))
