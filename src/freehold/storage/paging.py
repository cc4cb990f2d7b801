"""One page of a table by cursors, in the order that rows were inserted."""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Column, Connection, Row, Select


@dataclass(frozen=True, slots=True)
class Cursors:
    """Which page: behind the row numbered ``after``, or up to the one numbered ``before``."""

    limit: int
    order: Literal["asc", "desc"]
    after: int | None = None
    before: int | None = None


def paged(
    connection: Connection, statement: Select[Any], number: Column[int], cursors: Cursors
) -> tuple[list[Row[Any]], bool]:
    """Return the rows of one page, and whether there are more in the direction it was read."""
    ascending = cursors.order == "asc"
    backwards = cursors.before is not None and cursors.after is None
    if cursors.after is not None:
        statement = statement.where(_beyond(number, cursors.after, up=ascending))
    if cursors.before is not None:
        statement = statement.where(_beyond(number, cursors.before, up=not ascending))
    by = number if ascending != backwards else number.desc()
    rows = list(connection.execute(statement.order_by(by).limit(cursors.limit + 1)))
    shown = rows[: cursors.limit]
    return shown[::-1] if backwards else shown, len(rows) > cursors.limit


def _beyond(number: Column[int], cursor: int, *, up: bool) -> Any:
    return number > cursor if up else number < cursor
