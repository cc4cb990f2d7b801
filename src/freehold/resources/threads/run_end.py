"""The end of a run, wherever it comes from: its row, what it was at, and its hold on the thread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from freehold.core import clock
from freehold.jobs.queue import Jobs
from freehold.resources.threads import run_state, run_store, step_store, store
from freehold.resources.threads.run_state import Ending

Row = dict[str, Any]


@dataclass(slots=True)
class Ended:
    """A run that has ended, and what was in progress until then. None: it has been deleted."""

    run: Row | None
    messages: list[Row] = field(default_factory=list[Row])
    steps: list[Row] = field(default_factory=list[Row])


def end(
    connection: Connection,
    run: Mapping[str, Any],
    ending: Ending,
    *,
    content: Sequence[Mapping[str, Any]] | None = None,
    error: Mapping[str, str] | None = None,
    reason: str | None = None,
    interrupts: bool = True,
) -> Ended:
    """End a run in the caller's unit, with all it was at; one that has ended stays as it is.

    ``content`` is what was written of its unfinished message, ``error`` and ``reason`` say why the
    run failed or is incomplete. ``interrupts``: a message or a step may be in progress.
    """
    now = clock.now()
    values = {**run_state.ended(ending, now), "last_error": error, "incomplete_reason": reason}
    if not run_store.change(connection, run["id"], run_state.ACTIVE, **values):
        return Ended(run_store.load(connection, run["id"]))
    store.end_run(connection, run["thread_id"], run["id"])
    ended = Ended(run_store.load(connection, run["id"]))
    if not interrupts:
        return ended
    for message in step_store.unfinished_messages(connection, run["thread_id"]):
        values = _message(ending, now, content)
        store.change_message(connection, message["id"], **values)
        ended.messages.append(message | values)
    for step in step_store.unended(connection, run["id"]):
        values = _step(ending, now, error)
        step_store.change(connection, step["id"], **values)
        ended.steps.append(step | values)
    return ended


def cancel(connection: Connection, jobs: Jobs, run: Mapping[str, Any]) -> bool:
    """Begin to cancel a run; one that waits for outputs ends at once. False where it has ended."""
    if run["status"] == "requires_action":
        end(connection, run, "cancelled")
        return True
    going = ("queued", "in_progress")
    if not run_store.change(connection, run["id"], going, status="cancelling"):
        return False
    jobs.cancel(connection, run_state.KIND, run_state.key_of(run))
    return True


def fault(code: str, message: str) -> dict[str, str]:
    """Return a ``last_error``."""
    return {"code": code, "message": message}


def _message(ending: Ending, now: int, content: Sequence[Mapping[str, Any]] | None) -> Row:
    values: Row = {
        "status": "incomplete",
        "incomplete_at": now,
        "incomplete_reason": run_state.MESSAGE_REASONS[ending],
    }
    if content is not None:
        values["content"] = [dict(part) for part in content]
    return values


def _step(ending: Ending, now: int, error: Mapping[str, str] | None) -> Row:
    status = run_state.STEP_ENDS[ending]
    values: Row = {"status": status, f"{status}_at": now}
    if status == "failed":
        values["last_error"] = error or fault("server_error", "The step was cut off.")
        if values["last_error"]["code"] == "invalid_prompt":  # no code of a step's
            values["last_error"] = {**values["last_error"], "code": "server_error"}
    return values
