"""Every SQL statement of batches."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from freehold.storage.tables import batch_lines, batches

_BATCH = batches.c
_LINE = batch_lines.c


def create(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(batches), dict(row))


def find(connection: Connection, project_id: str, batch_id: str) -> Row[Any] | None:
    """Return the batch of this id, None where the project has no such one."""
    statement = select(batches).where(_BATCH.project_id == project_id, _BATCH.id == batch_id)
    return connection.execute(statement).one_or_none()


def load(connection: Connection, batch_id: str) -> Row[Any] | None:
    """Return the batch for its own job, whoever owns it."""
    return connection.execute(select(batches).where(_BATCH.id == batch_id)).one_or_none()


def page(
    connection: Connection, project_id: str, *, after: int | None, limit: int
) -> list[Row[Any]]:
    """Return the newest batches of a project, or those older than ``after``."""
    statement = select(batches).where(_BATCH.project_id == project_id)
    if after is not None:
        statement = statement.where(_BATCH.seq < after)
    return list(connection.execute(statement.order_by(_BATCH.seq.desc()).limit(limit)))


def change(connection: Connection, batch_id: str, expected: Collection[str], **values: Any) -> bool:
    """Change a batch in one of the expected statuses; False where it is in another."""
    statement = update(batches).where(_BATCH.id == batch_id, _BATCH.status.in_(expected))
    return bool(connection.execute(statement.values(**values)).rowcount)


def enqueued_tokens(connection: Connection, project_id: str, model: str) -> int:
    """Return how many input tokens the project's unfinished batches for a model have."""
    mine = (_BATCH.project_id == project_id, _BATCH.model == model)
    unfinished = _BATCH.status.in_(("in_progress", "cancelling"))
    total = select(func.sum(_BATCH.input_tokens)).where(*mine, unfinished)
    return int(connection.scalar(total) or 0)


def answered(connection: Connection, batch_id: str) -> set[int]:
    """Return the numbers of the lines that have their result."""
    statement = select(_LINE.line).where(_LINE.batch_id == batch_id)
    return set(connection.scalars(statement))


def add_answered(
    connection: Connection, batch_id: str, lines: Sequence[int], *, completed: int
) -> None:
    """Note that these lines have their result, ``completed`` of them a good one."""
    rows = [{"batch_id": batch_id, "line": line} for line in lines]
    connection.execute(insert(batch_lines), rows)
    counts = {
        "completed": _BATCH.completed + completed,
        "failed": _BATCH.failed + len(lines) - completed,
    }
    connection.execute(update(batches).where(_BATCH.id == batch_id).values(**counts))


def forget_lines(connection: Connection, batch_id: str) -> None:
    """Drop what was noted of the lines of a batch that has ended."""
    connection.execute(delete(batch_lines).where(_LINE.batch_id == batch_id))
