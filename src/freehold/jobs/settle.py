"""Ends jobs whose handler did not finish, together with what they are about."""

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Connection, Row

from freehold.core import clock
from freehold.jobs import store
from freehold.jobs.job import Failure, Task

POISONED = 3  # workers that a job may take down before it is given up


def fail(
    connection: Connection,
    job_id: str,
    worker: str,
    *,
    task: Task,
    state: Literal["failed", "cancelled"],
    reason: str,
) -> str | None:
    """End the job and its object in one unit and return the state; None where it was lost."""
    if not store.end(connection, job_id, worker, state, reason):
        return None
    row = store.find(connection, job_id)
    if row is not None and task.on_failure is not None:
        failure = Failure(job_id, row.key, row.project_id, row.payload, state, reason)
        task.on_failure(connection, failure)
    return state


def recover(connection: Connection, tasks: Mapping[str, Task], now: int | None) -> None:
    """Queue again what dead workers held (``now`` None: everybody is dead), or give it up."""
    for row in store.lost(connection, tasks, now):
        losses = row.losses + 1
        if losses < POISONED:
            store.put_back(connection, row.id, row.worker, clock.now(), losses=losses)
        else:
            _give_up(connection, row, tasks[row.kind])


def _give_up(connection: Connection, row: Row[Any], task: Task) -> None:
    """Fail the job; a periodic one is only put off."""
    reason = f"It took its worker down {POISONED} times in a row, or was there each time."
    if task.every_s is None:
        fail(connection, row.id, row.worker, task=task, state="failed", reason=reason)
    else:
        later = clock.now() + task.every_s
        store.put_back(connection, row.id, row.worker, later, losses=0, error=reason)
