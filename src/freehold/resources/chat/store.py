"""Every SQL statement of stored chat completions."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy import insert as sql_insert

from freehold.storage.tables import chat_completions

_INSERT = sql_insert(chat_completions)


def insert(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(_INSERT, row)
