"""Pages by cursors (``paging.py``) whose rows are plain dictionaries."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Select

from freehold.storage.paging import Cursors as Cursor
from freehold.storage.paging import paged
from freehold.storage.records import Record, records

__all__ = ["Cursor", "Slice", "fetch"]


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows of a page; ``more`` says whether others follow in the direction it was read."""

    rows: list[Record]
    more: bool


def fetch(
    connection: Connection, statement: Select[Any], number: Column[int], cursor: Cursor
) -> Slice:
    """Return the page of ``statement`` that the cursor names."""
    rows, more = paged(connection, statement, number, cursor)
    return Slice(records(statement, rows), more)
