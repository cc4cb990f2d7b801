"""The database as services see it; SQLite and PostgreSQL behave the same here."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class Database(Protocol):
    """Runs units of work on a synchronous SQLAlchemy Core connection, off the event loop.

    A unit is a plain function of the connection: ``await db.write(lambda c: store.insert(c, row))``.
    It must not keep the connection or call back into the event loop.
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
