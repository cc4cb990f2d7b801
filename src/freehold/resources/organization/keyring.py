"""Finds the owner of a key, usually without asking the database."""

import time
from collections.abc import Callable

from sqlalchemy import RowMapping

from freehold.api.auth import Principal
from freehold.resources.organization import store
from freehold.resources.organization.service import digest
from freehold.storage.database import Database

# A revoked key works for at most this long: other processes revoke keys in the database only.
TRUST_SECONDS = 2.0
_MOST_REMEMBERED = 10_000


class DatabaseKeyRing:
    """Keys of the database; what was found is trusted for ``TRUST_SECONDS``."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[bytes, tuple[Principal, float]] = {}

    async def find(self, secret: str) -> Principal | None:
        key = digest(secret)
        known = self._known.get(key)
        at = self._clock()
        if known and at < known[1]:
            return known[0]
        row = await self._database.read(lambda c: store.find_key(c, key))
        if row is None or row["project_status"] == "archived":
            self._known.pop(key, None)
            return None
        principal = _principal(row)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = (principal, at + TRUST_SECONDS)
        return principal


def _principal(row: RowMapping) -> Principal:
    return Principal(
        key_id=row["id"],
        kind=row["kind"],
        organization_id=row["organization_id"],
        project_id=row["project_id"],
        user_id=row["user_id"],
        zero_data_retention=bool(row["zero_data_retention"]),
    )
