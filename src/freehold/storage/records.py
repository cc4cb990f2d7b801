"""Rows as plain dictionaries, which a service can change, merge and show alike."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, Select

Record = dict[str, Any]


def one(connection: Connection, statement: Select[Any]) -> Record | None:
    """Return the one row that is selected, None where there is none."""
    row = connection.execute(statement).one_or_none()
    return None if row is None else records(statement, [row])[0]


def records(statement: Select[Any], rows: Iterable[Row[Any]]) -> list[Record]:
    """Return the rows that a statement selected by the names of its columns."""
    names = statement.selected_columns.keys()
    return [dict(zip(names, row, strict=True)) for row in rows]
