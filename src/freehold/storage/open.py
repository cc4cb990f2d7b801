"""From an address to a database that is ready for use, and to the events that it carries."""

from freehold.storage import migrations
from freehold.storage.address import is_sqlite, parse, sqlite_path
from freehold.storage.database import Database
from freehold.storage.events import Events
from freehold.storage.notify import NotifiedEvents
from freehold.storage.postgres import PostgresDatabase
from freehold.storage.sqlite import SQLiteDatabase
from freehold.storage.tables import metadata


def open_database(url: str) -> Database:
    """Open the database at its newest schema.

    SQLite is upgraded on the way, and created where there is none; PostgreSQL, which others may be
    using, must have been upgraded: if not, the error names the command.
    """
    address = parse(url)
    if not is_sqlite(address):
        migrations.check(url)
        return PostgresDatabase(address)
    path = sqlite_path(address)
    if path is None:
        return SQLiteDatabase(None, schema=metadata)
    migrations.upgrade(url)
    return SQLiteDatabase(path)


def open_events(url: str) -> Events:
    """Return the topics of this process, on PostgreSQL with those of others who share it."""
    address = parse(url)
    return Events() if is_sqlite(address) else NotifiedEvents(address)
