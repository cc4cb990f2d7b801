"""The statuses of a run, and what goes with the end of one."""

from typing import Any, Literal

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
