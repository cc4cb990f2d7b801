"""The database as services see it; SQLite and PostgreSQL behave the same here."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class Database(Protocol):
    """Runs units of work on a synchronous SQLAlchemy Core connection, off the event loop.

    A unit is a plain function of the connection, such as
    ``await db.write(lambda connection: store.insert(connection, row))``. It must not keep the
    connection, return unread rows, end the transaction or call into the event loop. The database
    may ask for it to be run again (a deadlock, a lost connection), so it touches nothing else.
    """

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` against one consistent snapshot. What it writes is an error."""
        ...

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction; once this returns, the result survives a crash.

        If ``work`` raises, nothing of it is kept and the exception comes out here. Units may be
        committed in groups; each is atomic on its own. Cancelling the caller does not undo it.
        """
        ...

    async def close(self) -> None:
        """Finish what was accepted, then let go of connections and threads."""
        ...
