"""Every SQL statement of the steps of runs."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from freehold.storage.cursors import Cursor, Slice, fetch
from freehold.storage.records import Record, one, records
from freehold.storage.tables import messages, run_steps

_STEP = run_steps.c
_MESSAGE = messages.c


def create(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(run_steps), dict(row))


def find(connection: Connection, run_id: str, step_id: str) -> Record | None:
    """Return the step of this id, None where the run has no such one."""
    statement = select(run_steps).where(_STEP.run_id == run_id, _STEP.id == step_id)
    return one(connection, statement)


def page(connection: Connection, run_id: str, cursor: Cursor) -> Slice:
    """Return a page of a run's steps."""
    return fetch(connection, select(run_steps).where(_STEP.run_id == run_id), _STEP.seq, cursor)


def of_run(connection: Connection, run_id: str) -> list[Record]:
    """Return all steps of a run in their order."""
    statement = select(run_steps).where(_STEP.run_id == run_id).order_by(_STEP.seq)
    return _all(connection, statement)


def change(connection: Connection, step_id: str, **values: Any) -> None:
    connection.execute(update(run_steps).where(_STEP.id == step_id).values(**values))


def remove(connection: Connection, step_id: str) -> None:
    connection.execute(delete(run_steps).where(_STEP.id == step_id))


def unended(connection: Connection, run_id: str) -> list[Record]:
    """Return the steps of a run that are in progress."""
    mine = (_STEP.run_id == run_id, _STEP.status == "in_progress")
    return _all(connection, select(run_steps).where(*mine).order_by(_STEP.seq))


def unfinished_messages(connection: Connection, thread_id: str) -> list[Record]:
    """Return the messages that are being written on a thread."""
    mine = (_MESSAGE.thread_id == thread_id, _MESSAGE.status == "in_progress")
    return _all(connection, select(messages).where(*mine).order_by(_MESSAGE.seq))


def conversation(connection: Connection, thread_id: str) -> list[Record]:
    """Return all messages of a thread, the oldest first."""
    statement = select(messages).where(_MESSAGE.thread_id == thread_id).order_by(_MESSAGE.seq)
    return _all(connection, statement)


def _all(connection: Connection, statement: Select[Any]) -> list[Record]:
    return records(statement, connection.execute(statement))
