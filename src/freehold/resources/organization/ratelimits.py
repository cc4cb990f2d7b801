"""The figures of a project and model: the operator's own, else those of ``limits.toml``."""

import time
from collections.abc import Callable

from sqlalchemy import Connection, RowMapping

from freehold.api.limits import Limits
from freehold.data import limits
from freehold.resources.organization import store
from freehold.storage.database import Database

_TRUST_SECONDS = 5.0


class RateLimitFigures:
    """Looks figures up; what a project's rows say is trusted for a few seconds."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, tuple[dict[str, Limits], float]] = {}

    async def __call__(self, project_id: str, model: str) -> Limits:
        """Return the limits of a project for a model."""
        known = self._known.get(project_id)
        at = self._clock()
        if known is None or at >= known[1]:
            known = (await self._read(project_id), at + _TRUST_SECONDS)
            self._known[project_id] = known
        return known[0].get(model) or Limits(*limits.rate_limits(model))

    async def _read(self, project_id: str) -> dict[str, Limits]:
        rows = await self._database.read(lambda c: store.rate_limits(c, project_id))
        return {row["model"]: _limits(row) for row in rows}


def batch_tokens(connection: Connection, project_id: str, model: str) -> int | None:
    """Return how many input tokens may wait in a project's batches for a model; None: any."""
    rows = store.rate_limits(connection, project_id)
    figures = (row["batch_1_day_max_input_tokens"] for row in rows if row["model"] == model)
    return next(figures, None)


def _limits(row: RowMapping) -> Limits:
    """Return a row's figures; where it has none, the default's."""
    requests, tokens = limits.rate_limits(row["model"])
    return Limits(
        row["max_requests_per_1_minute"] or requests, row["max_tokens_per_1_minute"] or tokens
    )
