"""One page of a list, as every list of the API writes it."""

from collections.abc import Sequence
from typing import Any


def page(objects: Sequence[dict[str, Any]], limit: int) -> dict[str, Any]:
    """Return the first ``limit`` objects as a page; one object more says that there are more."""
    shown = objects[:limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(objects) > limit,
    }
