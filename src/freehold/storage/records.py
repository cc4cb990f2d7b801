"""Rows as plain dictionaries, which a service can change, merge and show alike."""

from typing import Any

from sqlalchemy import Connection, RowMapping, Select

Record = dict[str, Any]


def one(connection: Connection, statement: Select[Any]) -> Record | None:
    """Return the one row that is selected, None where there is none."""
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else record(row)


def record(row: RowMapping) -> Record:
    """Return the row's values by the names of their columns."""
    return {str(name): value for name, value in row.items()}
