"""Ends jobs whose handler did not finish, together with what they are about."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Connection, Row

from freehold.core import clock
from freehold.jobs import store
from freehold.jobs.job import Failure, Task

# Lost runs in a row, none of which got a step further, after which a job is given up: sooner where
# the worker had no other job that may have been the cause.
POISONED = store.SUSPECT + 1
POISONED_IN_COMPANY = 2 * POISONED


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
    lost = store.lost(connection, tasks, now)
    stuck = Counter(row.worker for row in lost if row.losses)
    for row in lost:
        most = POISONED if stuck[row.worker] == 1 else POISONED_IN_COMPANY
        if row.losses < most:
            store.put_back(connection, row.id, row.worker, clock.now(), losses=row.losses)
        else:
            _give_up(connection, row, tasks[row.kind])


def _give_up(connection: Connection, row: Row[Any], task: Task) -> None:
    """Fail the job; a periodic one is only put off."""
    reason = f"Its worker went down {row.losses} times in a row before it got any further."
    if task.every_s is None:
        fail(connection, row.id, row.worker, task=task, state="failed", reason=reason)
    else:
        later = clock.now() + task.every_s
        store.put_back(connection, row.id, row.worker, later, losses=0, error=reason)
