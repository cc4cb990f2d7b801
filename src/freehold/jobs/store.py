"""Every SQL statement of the job table."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from freehold.core import clock
from freehold.storage.tables import jobs

_JOB = jobs.c
LIVE = ("queued", "running")
ENDED = ("done", "failed", "cancelled")
# How many jobs a claim looks at for each one it may take: others may be taken by rivals.
_SPARE = 4
# A job counts a run as lost when it begins, and takes that back with its first step or its end.
SUSPECT = 2  # lost runs after which a job may be what takes its workers down


def insert(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Insert a job; False where one of its kind and key lives."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(jobs).values(**row).on_conflict_do_nothing()
    return connection.execute(statement.returning(_JOB.id)).first() is not None


def find(connection: Connection, job_id: str) -> Row[Any] | None:
    return connection.execute(select(jobs).where(_JOB.id == job_id)).one_or_none()


def live(connection: Connection, kind: str, key: str) -> Row[Any] | None:
    """Return the job of this kind and key that has not ended."""
    statement = select(jobs).where(_JOB.kind == kind, _JOB.key == key, _JOB.state.in_(LIVE))
    return connection.execute(statement).one_or_none()


def is_due(
    connection: Connection, kinds: Collection[str], now: int, *, suspects: bool = True
) -> bool:
    """Return whether there is a job to claim, or one whose lease has run out."""
    expired = and_(_JOB.state == "running", _JOB.lease_ends_at < now)
    statement = select(1).where(or_(_due(kinds, now, suspects=suspects), expired)).limit(1)
    return connection.execute(statement).first() is not None


def claim(
    connection: Connection,
    *,
    worker: str,
    kinds: Collection[str],
    now: int,
    lease_s: int,
    room: int,
    background_room: int,
    suspects: bool = True,
) -> list[Row[Any]]:
    """Lease up to ``room`` due jobs, ``background_room`` of them below priority zero.

    Higher priorities first, then projects with fewer running jobs, then the oldest. Of suspects
    a worker has one at a time, and none where ``suspects`` is false.
    """
    suspects = suspects and not _has_suspect(connection, worker)
    order = list(connection.scalars(_fairly(_due(kinds, now, suspects=suspects), room * _SPARE)))
    candidates = select(jobs).where(_JOB.seq.in_(order), _JOB.state == "queued")
    found = {
        row.seq: row for row in connection.execute(candidates.with_for_update(skip_locked=True))
    }
    rows = _one_suspect([found[seq] for seq in order if seq in found])
    background = [row for row in rows if row.priority < 0][: max(0, background_room)]
    chosen = [row for row in rows if row.priority >= 0 or row in background][:room]
    lease = {"worker": worker, "started_at": now, "lease_ends_at": now + lease_s}
    taken = update(jobs).where(_JOB.seq.in_([row.seq for row in chosen]))
    connection.execute(taken.values(state="running", losses=_JOB.losses + 1, **lease))
    return chosen


def _due(kinds: Collection[str], now: int, *, suspects: bool) -> ColumnElement[bool]:
    due = and_(_JOB.state == "queued", _JOB.run_at <= now, _JOB.kind.in_(kinds))
    return due if suspects else and_(due, _JOB.losses < SUSPECT)


def _has_suspect(connection: Connection, worker: str) -> bool:
    running = and_(_JOB.state == "running", _JOB.worker == worker, _JOB.losses > SUSPECT)
    return connection.execute(select(1).where(running).limit(1)).first() is not None


def _one_suspect(rows: list[Row[Any]]) -> list[Row[Any]]:
    """Return the rows without all suspects but the first."""
    first = next((row for row in rows if row.losses >= SUSPECT), None)
    return [row for row in rows if row.losses < SUSPECT or row is first]


def _fairly(due: ColumnElement[bool], limit: int) -> Select[tuple[int]]:
    """Return the due jobs' numbers in the order in which they are to be run."""
    owner = func.coalesce(_JOB.project_id, "")
    running = (
        select(owner.label("owner"), func.count().label("jobs"))
        .where(_JOB.state == "running")
        .group_by(owner)
        .subquery()
    )
    place = func.row_number().over(
        partition_by=owner, order_by=(_JOB.priority.desc(), _JOB.run_at, _JOB.seq)
    )
    turn = func.coalesce(running.c.jobs, 0) + place
    return (
        select(_JOB.seq)
        .outerjoin(running, running.c.owner == owner)
        .where(due)
        .order_by(_JOB.priority.desc(), turn, _JOB.run_at, _JOB.seq)
        .limit(limit)
    )


def hold(connection: Connection, job_id: str, worker: str) -> bool:
    """Lock the row; return whether the worker still has the lease."""
    statement = select(1).where(_mine(job_id, worker)).with_for_update()
    return connection.execute(statement).first() is not None


def extend(
    connection: Connection, ids: Sequence[str], worker: str, lease_ends_at: int
) -> dict[str, bool]:
    """Extend the leases; return those still held, each with whether it shall be cancelled."""
    mine = and_(_JOB.id.in_(ids), _JOB.worker == worker, _JOB.state == "running")
    connection.execute(update(jobs).where(mine).values(lease_ends_at=lease_ends_at))
    return asked_to_cancel(connection, ids, worker)


def asked_to_cancel(connection: Connection, ids: Sequence[str], worker: str) -> dict[str, bool]:
    """Return those of the jobs that the worker still has, each with whether to cancel it."""
    mine = and_(_JOB.id.in_(ids), _JOB.worker == worker, _JOB.state == "running")
    rows = connection.execute(select(_JOB.id, _JOB.cancel_requested).where(mine))
    return {row.id: row.cancel_requested for row in rows}


def save(connection: Connection, job_id: str, worker: str, checkpoint: Any) -> bool:
    """Keep a checkpoint; False where the lease is lost. A step further forgives lost runs."""
    values = {"checkpoint": checkpoint, "losses": 0}
    statement = update(jobs).where(_mine(job_id, worker)).values(**values)
    return bool(connection.execute(statement).rowcount)


def put_back(connection: Connection, job_id: str, worker: str, run_at: int, **values: Any) -> bool:
    """Queue a job again that the worker has; False where the lease is lost.

    A worker that does so is alive: unless ``losses`` says otherwise, no lost runs are left.
    """
    free = {"state": "queued", "worker": None, "lease_ends_at": None, "losses": 0}
    given = {**free, "run_at": run_at, **values}
    statement = update(jobs).where(_mine(job_id, worker)).values(**given)
    return bool(connection.execute(statement).rowcount)


def end(connection: Connection, job_id: str, worker: str, state: str, error: str | None) -> bool:
    """End a job that the worker has; False where the lease is lost."""
    values = {"state": state, "error": error, "finished_at": clock.now(), "lease_ends_at": None}
    statement = update(jobs).where(_mine(job_id, worker)).values(**values)
    return bool(connection.execute(statement).rowcount)


def lost(connection: Connection, kinds: Collection[str], now: int | None) -> list[Row[Any]]:
    """Return and lock the running jobs whose lease has run out; all of them where None."""
    expired = and_(_JOB.state == "running", _JOB.kind.in_(kinds))
    if now is not None:
        expired = and_(expired, _JOB.lease_ends_at < now)
    statement = select(jobs).where(expired).order_by(_JOB.seq).with_for_update(skip_locked=True)
    return list(connection.execute(statement))


def request_cancel(connection: Connection, job_id: str, now: int) -> bool:
    """Ask for a live job's end, at once where it waits; False where there is none."""
    statement = update(jobs).where(_JOB.id == job_id, _JOB.state.in_(LIVE))
    soon = func.min if connection.dialect.name == "sqlite" else func.least
    values = {"cancel_requested": True, "run_at": soon(_JOB.run_at, now)}
    return bool(connection.execute(statement.values(**values)).rowcount)


def retry(connection: Connection, job_id: str, now: int) -> bool:
    """Queue a failed or cancelled job anew, with a clean record; False where there is none.

    One whose place another of its kind and key has taken meanwhile counts as none.
    """
    rival = jobs.alias()
    taken = (
        select(rival.c.id)
        .where(rival.c.kind == _JOB.kind, rival.c.key == _JOB.key, rival.c.state.in_(LIVE))
        .exists()
    )
    ended = _JOB.state.in_(("failed", "cancelled"))
    statement = update(jobs).where(_JOB.id == job_id, ended, ~taken)
    clean = {"attempts": 0, "losses": 0, "cancel_requested": False, "error": None}
    fresh = {"state": "queued", "worker": None, "run_at": now, "finished_at": None}
    return bool(connection.execute(statement.values(**clean, **fresh)).rowcount)


def newest(connection: Connection, *, states: Collection[str], limit: int) -> list[Row[Any]]:
    """Return jobs in these states, the newest first."""
    statement = select(jobs).where(_JOB.state.in_(states)).order_by(_JOB.seq.desc()).limit(limit)
    return list(connection.execute(statement))


def counts(connection: Connection) -> dict[tuple[str, str], int]:
    """Return how many jobs live, by kind and state."""
    statement = select(_JOB.kind, _JOB.state, func.count()).where(_JOB.state.in_(LIVE))
    rows = connection.execute(statement.group_by(_JOB.kind, _JOB.state))
    return {(kind, state): count for kind, state, count in rows}


def remove_ended(connection: Connection, before: int) -> int:
    """Delete jobs that ended before; return how many."""
    gone = delete(jobs).where(_JOB.state.in_(ENDED), _JOB.finished_at < before)
    return connection.execute(gone).rowcount


def _mine(job_id: str, worker: str) -> ColumnElement[bool]:
    return and_(_JOB.id == job_id, _JOB.worker == worker, _JOB.state == "running")
