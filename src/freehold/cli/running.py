"""What a running server tells of its engines."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

_TIMEOUT_S = 5
_PREFIX = "freehold_engine_"


class NoServerError(Exception):
    """No server of ours answers at the address."""


@dataclass(frozen=True)
class Figures:
    """How an engine is doing."""

    state: str
    slots: int
    busy: int
    queued: int
    resident_bytes: int
    tokens_per_s: float


def figures(url: str, is_served_alike: Callable[[str], bool]) -> Figures | None:
    """Return the figures of the engine of a model, None where nobody asked for any such yet.

    ``is_served_alike`` tells whether an id is served by the same engine as the model. Raises
    ``NoServerError``.
    """
    samples = _samples(url)
    serves = [s.labels for s in samples if s.name == f"{_PREFIX}serves"]
    name = next((each["model"] for each in serves if is_served_alike(each["id"])), None)
    if name is None:
        return None
    found = {s.name.removeprefix(_PREFIX): s.value for s in samples if s.labels["model"] == name}
    labels = (s.labels for s in samples if s.name == f"{_PREFIX}state")
    return Figures(
        state=next(each["state"] for each in labels if each["model"] == name),
        slots=int(found["slots"]),
        busy=int(found["busy"]),
        queued=int(found["queued"]),
        resident_bytes=int(found["resident_bytes"]),
        tokens_per_s=found["tokens_per_second"],
    )


def _samples(url: str) -> list[Sample]:
    """Return all samples about engines."""
    try:
        answer = httpx.get(f"{url}/metrics", timeout=_TIMEOUT_S)
        answer.raise_for_status()
        families = list(text_string_to_metric_families(answer.text))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise NoServerError from error
    if not any(family.name == "freehold_requests" for family in families):
        raise NoServerError
    return [s for family in families for s in family.samples if s.name.startswith(_PREFIX)]
