"""How many tokens of a project may wait in batches for a model, where its operator says so."""

from typing import Any

from sqlalchemy import Connection, Row

from freehold.engines.registry import Registry
from freehold.resources.batches import store
from freehold.resources.batches.checks import Checked
from freehold.resources.organization import ratelimits


def refusal(
    connection: Connection, registry: Registry, batch: Row[Any], found: Checked
) -> str | None:
    """Return why the batch has no room beside what is being worked on; None where it has."""
    model = registry.find(found.model) if found.model else None
    if model is None or found.model is None:
        return None
    limit = ratelimits.batch_tokens(connection, batch.project_id, model.snapshot)
    if limit is None:
        return None
    waiting = store.enqueued_tokens(connection, batch.project_id, found.model)
    if waiting + found.tokens <= limit:
        return None
    return (
        f"Enqueued token limit reached for {found.model} in organization "
        f"{batch.organization_id}. Limit: {limit:,} enqueued tokens. Please try again once some "
        "in_progress batches have been completed."
    )
