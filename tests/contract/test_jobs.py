"""Durable jobs keep their promises on each database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import update

from freehold.jobs import settle, store
from freehold.jobs.job import (
    Again,
    Failure,
    JobCancelledError,
    JobContext,
    JobFailedError,
    LeaseLostError,
    Task,
)
from freehold.jobs.queue import Jobs
from freehold.jobs.worker import Worker
from freehold.storage import migrations
from freehold.storage.database import Database
from freehold.storage.open import open_database
from freehold.storage.tables import jobs as table

Employ = Callable[..., Awaitable[Worker]]


@pytest.fixture
async def jobs(durable_url: str) -> AsyncIterator[Jobs]:
    migrations.upgrade(durable_url)
    database = open_database(durable_url)
    yield Jobs(database, poll_s=0.05)
    await database.close()


@asynccontextmanager
async def working(jobs: Jobs, tasks: dict[str, Task], **options: Any) -> AsyncIterator[Worker]:
    worker = Worker(jobs, tasks, **options)
    worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def enqueue(jobs: Jobs, kind: str = "work", payload: Any = None, **options: Any) -> str:
    job_id = await jobs.database.write(lambda c: jobs.enqueue(c, kind, payload, **options))
    jobs.wake()
    return job_id


async def row_of(database: Database, job_id: str) -> Any:
    return await database.read(lambda c: store.find(c, job_id))


async def lose(jobs: Jobs, job_id: str) -> None:
    """Leave the job as a worker does that died while it held the lease."""
    dead = {"state": "running", "worker": "dead", "lease_ends_at": 1}
    statement = update(table).where(table.c.id == job_id).values(**dead)
    await jobs.database.write(lambda c: c.execute(statement).rowcount)


async def test_job_runs_with_its_payload_and_ends_as_done(jobs: Jobs) -> None:
    seen: list[Any] = []

    async def work(job: JobContext) -> None:
        seen.append((job.payload, job.project_id, job.key))

    async with working(jobs, {"work": Task(work)}) as worker:
        job_id = await enqueue(jobs, payload={"a": 1}, project_id="p", key="k")
        assert (await jobs.ended(job_id)).state == "done"
    assert seen == [({"a": 1}, "p", "k")]
    assert worker.ended == {("work", "done"): 1}


async def test_job_of_a_unit_that_failed_was_never_there(jobs: Jobs) -> None:
    def broken(connection: Any) -> None:
        jobs.enqueue(connection, "work", {})
        raise LookupError

    with pytest.raises(LookupError):
        await jobs.database.write(broken)
    assert not await jobs.database.read(lambda c: store.is_due(c, ["work"], 2**40))


async def test_one_job_lives_of_a_kind_and_key(jobs: Jobs) -> None:
    first = await enqueue(jobs, key="a")

    assert await enqueue(jobs, key="a") == first
    assert await enqueue(jobs, key="b") != first
    assert await enqueue(jobs, kind="other", key="a") != first
    async with working(jobs, {"work": Task(_nothing)}):
        await jobs.ended(first)
    assert await enqueue(jobs, key="a") != first


async def test_job_waits_for_its_time(jobs: Jobs) -> None:
    later = await enqueue(jobs, run_at=2**40)
    async with working(jobs, {"work": Task(_nothing)}):
        await jobs.ended(await enqueue(jobs))
        assert (await row_of(jobs.database, later)).state == "queued"


async def test_error_is_tried_again_with_growing_pauses_then_fails(jobs: Jobs) -> None:
    failures: list[Failure] = []

    async def work(job: JobContext) -> None:
        raise RuntimeError("about a secret")

    task = Task(work, on_failure=lambda _, failure: failures.append(failure), max_attempts=2)
    async with working(jobs, {"work": task}):
        job_id = await enqueue(jobs, payload={"x": 1})
        ended = await jobs.ended(job_id)
    assert (ended.state, ended.error) == ("failed", "RuntimeError (2 attempts)")
    assert [(one.state, one.payload) for one in failures] == [("failed", {"x": 1})]


async def test_hopeless_job_is_not_tried_again(jobs: Jobs) -> None:
    async def work(job: JobContext) -> None:
        raise JobFailedError("no such file")

    async with working(jobs, {"work": Task(work)}):
        ended = await jobs.ended(await enqueue(jobs))
    assert (ended.state, ended.error) == ("failed", "no such file")


async def test_job_of_a_dead_worker_resumes_from_its_checkpoint(jobs: Jobs) -> None:
    seen: list[Any] = []

    async def work(job: JobContext) -> None:
        seen.append(job.saved)
        if job.saved is None:
            await job.checkpoint({"done": 3})
            await asyncio.Event().wait()

    job_id = await enqueue(jobs)
    async with working(jobs, {"work": Task(work)}):
        await _until(lambda: bool(seen))
        await _saved(jobs, job_id)
    await lose(jobs, job_id)
    async with working(jobs, {"work": Task(work)}):
        assert (await jobs.ended(job_id)).state == "done"
    assert seen == [None, {"done": 3}]


async def test_sole_worker_takes_over_at_once(jobs: Jobs) -> None:
    job_id = await enqueue(jobs)
    alive = {"state": "running", "worker": "dead", "lease_ends_at": 2**40}
    statement = update(table).where(table.c.id == job_id).values(**alive)
    await jobs.database.write(lambda c: c.execute(statement).rowcount)

    async with working(jobs, {"work": Task(_nothing)}, sole=True):
        assert (await jobs.ended(job_id)).state == "done"


async def test_poisoned_job_is_failed_with_its_object(jobs: Jobs) -> None:
    failures: list[Failure] = []
    task = Task(_nothing, on_failure=lambda _, failure: failures.append(failure))
    job_id = await enqueue(jobs)

    for _ in range(settle.POISONED):
        await lose(jobs, job_id)
        await jobs.database.write(lambda c: settle.recover(c, {"work": task}, 100))

    row = await row_of(jobs.database, job_id)
    assert row.state == "failed"
    assert "3 times" in row.error
    assert [one.job_id for one in failures] == [job_id]


async def test_poisoned_periodic_job_is_put_off(jobs: Jobs) -> None:
    job_id = await enqueue(jobs, kind="sweep")
    for _ in range(settle.POISONED):
        await lose(jobs, job_id)
        tasks = {"sweep": Task(_nothing, every_s=500)}
        await jobs.database.write(lambda c, tasks=tasks: settle.recover(c, tasks, 100))

    row = await row_of(jobs.database, job_id)
    assert row.state == "queued"
    assert row.run_at >= row.created_at + 500
    assert "3 times" in row.error


async def test_a_step_further_forgives_lost_workers(jobs: Jobs) -> None:
    async def work(job: JobContext) -> None:
        await job.checkpoint((job.saved or 0) + 1)
        await asyncio.Event().wait()

    job_id = await enqueue(jobs)
    for step in range(1, 5):
        async with working(jobs, {"work": Task(work)}):
            await _saved(jobs, job_id, step)
        await lose(jobs, job_id)
    assert (await row_of(jobs.database, job_id)).losses <= 1


async def test_stopping_puts_jobs_back_without_counting_it(jobs: Jobs) -> None:
    begun = asyncio.Event()

    async def work(job: JobContext) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with working(jobs, {"work": Task(work)}):
        job_id = await enqueue(jobs)
        await begun.wait()
    row = await row_of(jobs.database, job_id)
    assert (row.state, row.attempts, row.losses, row.worker) == ("queued", 0, 0, None)


async def test_cancelled_job_may_end_by_itself(jobs: Jobs) -> None:
    begun = asyncio.Event()

    async def work(job: JobContext) -> None:
        begun.set()
        await job.cancelled.wait()
        raise JobCancelledError

    async with working(jobs, {"work": Task(work)}):
        job_id = await enqueue(jobs, key="k")
        await begun.wait()
        assert await jobs.database.write(lambda c: jobs.cancel(c, "work", "k"))
        jobs.wake()
        assert (await jobs.ended(job_id)).state == "cancelled"
    assert not await jobs.database.write(lambda c: jobs.cancel(c, "work", "k"))


async def test_job_that_ignores_its_cancellation_is_ended(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freehold.jobs.run.CANCEL_GRACE_S", 0.01)
    failures: list[Failure] = []

    async def work(job: JobContext) -> None:
        await asyncio.Event().wait()

    task = Task(work, on_failure=lambda _, failure: failures.append(failure))
    async with working(jobs, {"work": task}):
        job_id = await enqueue(jobs, key="k", run_at=2**40)
        await jobs.database.write(lambda c: jobs.cancel(c, "work", "k"))
        jobs.wake()
        assert (await jobs.ended(job_id)).state == "cancelled"
    assert [one.state for one in failures] == ["cancelled"]


async def test_worker_that_lost_its_lease_writes_nothing(jobs: Jobs) -> None:
    begun, go_on, told = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(job: JobContext) -> None:
        begun.set()
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            told.set()
            with pytest.raises(LeaseLostError):
                await job.write(lambda _: None)
            with pytest.raises(LeaseLostError):
                await job.checkpoint(1)
            raise

    async with working(jobs, {"work": Task(work)}, lease_s=1000):
        job_id = await enqueue(jobs)
        await begun.wait()
        rival = update(table).where(table.c.id == job_id).values(worker="rival")
        await jobs.database.write(lambda c: c.execute(rival).rowcount)
        await told.wait()
    row = await row_of(jobs.database, job_id)
    assert (row.state, row.worker, row.checkpoint) == ("running", "rival", None)


async def test_lease_is_kept_while_the_handler_runs(jobs: Jobs) -> None:
    runs: list[str] = []

    async def work(job: JobContext) -> None:
        runs.append(job.id)
        await asyncio.sleep(3.5)

    async with working(jobs, {"work": Task(work)}, lease_s=1), working(jobs, {"work": Task(work)}):
        assert (await jobs.ended(await enqueue(jobs))).state == "done"
    assert len(runs) == 1


async def test_urgent_jobs_come_first_and_projects_take_turns(jobs: Jobs) -> None:
    for project in ("a", "a", "a", "b"):
        await enqueue(jobs, payload=project, project_id=project)
    await enqueue(jobs, payload="urgent", project_id="a", priority=10)

    options = {"worker": "w", "kinds": ["work"], "now": 2**40, "lease_s": 9}
    claimed = await jobs.database.write(
        lambda c: store.claim(c, room=3, background_room=3, **options)
    )

    assert [row.payload for row in claimed] == ["urgent", "b", "a"]


async def test_background_jobs_leave_room(jobs: Jobs) -> None:
    for _ in range(3):
        await enqueue(jobs, priority=-10)
    options = {"worker": "w", "kinds": ["work"], "now": 2**40, "lease_s": 9}

    claimed = await jobs.database.write(
        lambda c: store.claim(c, room=3, background_room=1, **options)
    )

    assert len(claimed) == 1


async def test_two_workers_share_jobs_without_running_one_twice(
    jobs: Jobs, durable_url: str
) -> None:
    other = open_database(durable_url)
    ran: list[str] = []

    async def work(job: JobContext) -> None:
        ran.append(job.id)

    tasks = {"work": Task(work)}
    async with working(jobs, tasks, at_once=2), working(Jobs(other, poll_s=0.05), tasks, at_once=2):
        ids = [await enqueue(jobs) for _ in range(30)]
        for job_id in ids:
            await jobs.ended(job_id)
    await other.close()
    assert sorted(ran) == sorted(ids)


async def test_long_job_makes_room_and_comes_back(jobs: Jobs) -> None:
    async def work(job: JobContext) -> Again | None:
        if job.payload == "short":
            return None
        await job.crowded.wait()
        await job.checkpoint("been here")
        return Again()

    async def finish(job: JobContext) -> Again | None:
        return None if job.saved else await work(job)

    async with working(jobs, {"work": Task(finish)}, at_once=2):
        long = [await enqueue(jobs, payload="long") for _ in range(2)]
        short = await enqueue(jobs, payload="short")
        assert (await jobs.ended(short)).state == "done"
        assert [(await jobs.ended(each)).state for each in long] == ["done", "done"]


async def test_periodic_job_comes_again_and_is_one_for_all(jobs: Jobs) -> None:
    ran = asyncio.Event()
    tasks = {"sweep": Task(_setting(ran), every_s=0)}

    async with working(jobs, tasks), working(jobs, tasks):
        await ran.wait()
        ran.clear()
        await ran.wait()
    counts = await jobs.database.read(store.counts)
    assert counts == {("sweep", "queued"): 1}


async def test_job_for_this_process_begins_at_once(jobs: Jobs) -> None:
    began = asyncio.Event()
    async with working(jobs, {"work": Task(_setting(began))}) as worker:
        unit = jobs.enqueue
        job_id = await jobs.database.write(lambda c: unit(c, "work", {}, here=True))
        held = await row_of(jobs.database, job_id)
        assert (held.state, held.worker) == ("running", worker.name)
        assert not began.is_set()
        await jobs.begin(job_id)
        assert (await jobs.ended(job_id)).state == "done"
    assert began.is_set()


async def test_job_for_a_process_without_a_worker_waits_for_another(jobs: Jobs) -> None:
    unit = jobs.enqueue
    job_id = await jobs.database.write(lambda c: unit(c, "work", {}, here=True))
    await jobs.begin(job_id)
    async with working(jobs, {"work": Task(_nothing)}):
        assert (await jobs.ended(job_id)).state == "done"


async def test_jobs_of_unknown_kinds_are_left_to_others(jobs: Jobs) -> None:
    strange = await enqueue(jobs, kind="strange")
    async with working(jobs, {"work": Task(_nothing)}):
        await jobs.ended(await enqueue(jobs))
    assert (await row_of(jobs.database, strange)).state == "queued"


async def test_failed_job_can_be_retried_with_a_clean_record(jobs: Jobs) -> None:
    failing = True

    async def work(job: JobContext) -> None:
        if failing:
            raise JobFailedError("not now")

    async with working(jobs, {"work": Task(work)}):
        job_id = await enqueue(jobs)
        assert (await jobs.ended(job_id)).state == "failed"
        failing = False
        assert await jobs.database.write(lambda c: store.retry(c, job_id, 1))
        jobs.wake()
        assert (await jobs.ended(job_id)).state == "done"
    assert not await jobs.database.write(lambda c: store.retry(c, job_id, 1))


async def _nothing(job: JobContext) -> None:
    """Succeed at once."""


def _setting(event: asyncio.Event) -> Callable[[JobContext], Awaitable[None]]:
    async def work(job: JobContext) -> None:
        event.set()

    return work


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def _saved(jobs: Jobs, job_id: str, value: Any = None) -> None:
    while True:
        saved = (await row_of(jobs.database, job_id)).checkpoint
        if saved == value if value is not None else saved is not None:
            return
        await asyncio.sleep(0.01)


async def test_ended_jobs_are_forgotten_after_a_while(jobs: Jobs) -> None:
    async with working(jobs, {"work": Task(_nothing)}):
        old, waiting = await enqueue(jobs), await enqueue(jobs, run_at=2**40)
        await jobs.ended(old)
    assert await jobs.database.write(lambda c: store.remove_ended(c, 100)) == 0
    assert await jobs.database.write(lambda c: store.remove_ended(c, 2**40)) == 1
    assert await row_of(jobs.database, old) is None
    assert await row_of(jobs.database, waiting) is not None


class CountingDatabase:
    """A database that counts the units that may write."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.read = database.read
        self.writes = 0

    async def write(self, work: Callable[[Any], Any]) -> Any:
        self.writes += 1
        return await self._database.write(work)

    async def close(self) -> None:
        await self._database.close()


async def test_idle_worker_writes_nothing(jobs: Jobs) -> None:
    counting = CountingDatabase(jobs.database)
    idle = Jobs(counting, poll_s=0.01)
    async with working(idle, {"work": Task(_nothing), "sweep": Task(_nothing, every_s=9999)}):
        await asyncio.sleep(0.1)
        settled = counting.writes
        await asyncio.sleep(0.3)
        assert counting.writes == settled
