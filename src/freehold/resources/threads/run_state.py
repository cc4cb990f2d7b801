"""The statuses of a run, the job behind it, and what goes with its end."""

from collections.abc import Mapping
from typing import Any, Literal

KIND = "runs.work"  # of the job behind each stretch of its work
Ending = Literal["cancelled", "failed", "completed", "incomplete", "expired"]

WORKING = ("queued", "in_progress", "cancelling")  # a job is there
ACTIVE = (*WORKING, "requires_action")  # the thread is taken
CANCELLABLE = ("queued", "in_progress", "requires_action")

# What becomes of a message and a step that a run's end interrupts.
MESSAGE_REASONS: dict[Ending, str] = {
    "cancelled": "run_cancelled",
    "failed": "run_failed",
    "expired": "run_expired",
    "incomplete": "max_tokens",
    "completed": "run_failed",  # a run that completes has ended its messages before
}
STEP_ENDS: dict[Ending, str] = {
    "cancelled": "cancelled",
    "failed": "failed",
    "expired": "expired",
    "incomplete": "failed",
    "completed": "completed",
}


def ended(ending: Ending, now: int) -> dict[str, Any]:
    """Return the columns of a run that ends so."""
    values: dict[str, Any] = {"status": ending, "required_action": None}
    if ending in ("cancelled", "failed", "completed"):
        values[f"{ending}_at"] = now
    if ending == "incomplete":
        values["completed_at"] = now
    return values


def key_of(run: Mapping[str, Any]) -> str:
    """Return the key of the job behind a run's present stretch of work."""
    return f"{run['id']}.{run['turn']}"


def run_of(key: str | None) -> str:
    """Return the id of the run that a job of this key works on."""
    return (key or "").partition(".")[0]
