"""Pages of a list between cursors, in the one order that rows have: that of their insertion."""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Select

from freehold.storage.records import Record, record


@dataclass(frozen=True, slots=True)
class Cursor:
    """Which page: up to ``limit`` rows behind ``after``, or else the last ones before ``before``.

    Both are a row's ``seq``; "behind" and "before" are meant in the list's own ``order``.
    """

    limit: int
    order: Literal["asc", "desc"]
    after: int | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows of a page; ``more`` says whether others follow in the direction of its cursor."""

    rows: list[Record]
    more: bool


def fetch(
    connection: Connection, statement: Select[Any], seq: ColumnElement[int], cursor: Cursor
) -> Slice:
    """Return the page of ``statement`` that the cursor names."""
    ascending = cursor.order == "asc"
    if cursor.after is not None:
        statement = statement.where(seq > cursor.after if ascending else seq < cursor.after)
    if cursor.before is not None:
        statement = statement.where(seq < cursor.before if ascending else seq > cursor.before)
    backwards = cursor.before is not None and cursor.after is None
    by = seq.asc() if ascending != backwards else seq.desc()
    found = connection.execute(statement.order_by(by).limit(cursor.limit + 1)).mappings().all()
    rows = [record(row) for row in found[: cursor.limit]]
    return Slice(rows[::-1] if backwards else rows, more=len(found) > cursor.limit)
