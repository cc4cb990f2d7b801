"""Every SQL statement of runs."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from freehold.storage.cursors import Cursor, Slice, fetch
from freehold.storage.records import Record, one
from freehold.storage.tables import runs, vector_store_files

_RUN = runs.c
_FILE = vector_store_files.c


def create(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(runs), dict(row))


def find(connection: Connection, project_id: str, thread_id: str, run_id: str) -> Record | None:
    """Return the run of this id, None where the project's thread has no such one."""
    mine = (_RUN.project_id == project_id, _RUN.thread_id == thread_id, _RUN.id == run_id)
    return one(connection, select(runs).where(*mine))


def load(connection: Connection, run_id: str) -> Record | None:
    """Return the run for its own job, whoever owns it."""
    return one(connection, select(runs).where(_RUN.id == run_id))


def page(connection: Connection, thread_id: str, cursor: Cursor) -> Slice:
    """Return a page of a thread's runs."""
    statement = select(runs).where(_RUN.thread_id == thread_id)
    return fetch(connection, statement, _RUN.seq, cursor)


def change(connection: Connection, run_id: str, expected: Collection[str], **values: Any) -> bool:
    """Change a run in one of the expected statuses; False where it is in another."""
    statement = update(runs).where(_RUN.id == run_id, _RUN.status.in_(expected))
    return bool(connection.execute(statement.values(**values)).rowcount)


def count(connection: Connection, run_id: str, prompt: int, completion: int) -> None:
    """Add to the tokens that a run has used."""
    used = {
        "prompt_tokens": _RUN.prompt_tokens + prompt,
        "completion_tokens": _RUN.completion_tokens + completion,
    }
    connection.execute(update(runs).where(_RUN.id == run_id).values(**used))


def is_indexing(connection: Connection, store_ids: Sequence[str]) -> bool:
    """Return whether files of these vector stores are not searchable yet."""
    going = (_FILE.vector_store_id.in_(store_ids), _FILE.status == "in_progress")
    return connection.execute(select(1).where(*going).limit(1)).first() is not None
