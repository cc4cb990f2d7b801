"""A job whose worker died is run again, unless it was the cause."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from freehold.jobs import settle, store
from freehold.jobs.job import Failure, JobContext, LeaseLostError, Task
from freehold.jobs.queue import Jobs
from freehold.storage.tables import jobs as table
from working import claimed, enqueue, lose, lost, nothing, row_of, saved, until, working


async def test_job_of_a_dead_worker_resumes_from_its_checkpoint(jobs: Jobs) -> None:
    seen: list[Any] = []

    async def work(job: JobContext) -> None:
        seen.append(job.saved)
        if job.saved is None:
            await job.checkpoint({"done": 3})
            await asyncio.Event().wait()

    job_id = await enqueue(jobs)
    async with working(jobs, {"work": Task(work)}):
        await until(lambda: bool(seen))
        await saved(jobs, job_id)
    await lose(jobs, job_id)
    async with working(jobs, {"work": Task(work)}):
        assert (await jobs.ended(job_id)).state == "done"
    assert seen == [None, {"done": 3}]


async def test_sole_worker_takes_over_at_once(jobs: Jobs) -> None:
    job_id = await enqueue(jobs)
    alive = {"state": "running", "worker": "dead", "lease_ends_at": 2**40}
    statement = update(table).where(table.c.id == job_id).values(**alive)
    await jobs.database.write(lambda c: c.execute(statement).rowcount)

    async with working(jobs, {"work": Task(nothing)}, sole=True):
        assert (await jobs.ended(job_id)).state == "done"


async def test_poisoned_job_is_failed_with_its_object(jobs: Jobs) -> None:
    failures: list[Failure] = []
    task = Task(nothing, on_failure=lambda _, failure: failures.append(failure))
    job_id = await enqueue(jobs)

    for _ in range(settle.POISONED):
        await lost(jobs, task, job_id)

    row = await row_of(jobs.database, job_id)
    assert row.state == "failed"
    assert "3 times" in row.error
    assert [one.job_id for one in failures] == [job_id]


async def test_poisoned_periodic_job_is_put_off(jobs: Jobs) -> None:
    job_id = await enqueue(jobs, kind="sweep")
    for _ in range(settle.POISONED):
        await lost(jobs, Task(nothing, every_s=500), job_id)

    row = await row_of(jobs.database, job_id)
    assert (row.state, row.losses) == ("queued", 0)
    assert row.run_at >= row.created_at + 500
    assert "3 times" in row.error


async def test_a_step_further_forgives_lost_workers(jobs: Jobs) -> None:
    job_id = await enqueue(jobs)
    for step in range(settle.POISONED_IN_COMPANY + 1):
        (row_id,) = await claimed(jobs)
        await jobs.database.write(lambda c, step=step: store.save(c, job_id, "claimer", step))
        await jobs.database.write(lambda c: settle.recover(c, {"work": Task(nothing)}, None))

        assert row_id == job_id
        row = await row_of(jobs.database, job_id)
        assert (row.state, row.losses, row.checkpoint) == ("queued", 0, step)


async def test_jobs_beside_a_poisoned_one_are_not_given_up_with_it(jobs: Jobs) -> None:
    task = Task(nothing)
    poisoned, innocent = await enqueue(jobs), await enqueue(jobs)
    for _ in range(store.SUSPECT):
        await lost(jobs, task, poisoned, innocent)

    assert await claimed(jobs) == [poisoned]
    assert await claimed(jobs) == []
    await jobs.database.write(lambda c: settle.recover(c, {"work": task}, None))
    assert (await row_of(jobs.database, poisoned)).state == "failed"

    async with working(jobs, {"work": task}, trial_s=0):
        assert (await jobs.ended(innocent)).state == "done"


async def test_suspect_is_given_up_later_where_others_may_be_the_cause(jobs: Jobs) -> None:
    task = Task(nothing)
    suspect = await enqueue(jobs)
    for _ in range(settle.POISONED_IN_COMPANY - 1):
        await lost(jobs, task, suspect, await enqueue(jobs))
    assert (await row_of(jobs.database, suspect)).state == "queued"

    await lost(jobs, task, suspect, await enqueue(jobs))
    assert (await row_of(jobs.database, suspect)).state == "failed"


async def test_suspect_waits_for_a_worker_that_has_lived_for_a_while(jobs: Jobs) -> None:
    task = Task(nothing)
    suspect = await enqueue(jobs)
    for _ in range(store.SUSPECT):
        await lost(jobs, task, suspect)

    async with working(jobs, {"work": task}, trial_s=1000):
        assert (await jobs.ended(await enqueue(jobs))).state == "done"
        assert (await row_of(jobs.database, suspect)).state == "queued"
    async with working(jobs, {"work": task}, trial_s=0.2):
        assert (await jobs.ended(suspect)).state == "done"


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
