"""A job exists with its object, runs, and ends truthfully, on each database."""

import asyncio
from typing import Any

import pytest

from freehold.jobs import store
from freehold.jobs.job import (
    Failure,
    JobCancelledError,
    JobContext,
    JobFailedError,
    Task,
)
from freehold.jobs.queue import Jobs
from working import enqueue, nothing, row_of, working


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
    async with working(jobs, {"work": Task(nothing)}):
        await jobs.ended(first)
    assert await enqueue(jobs, key="a") != first


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


async def test_ended_jobs_are_forgotten_after_a_while(jobs: Jobs) -> None:
    async with working(jobs, {"work": Task(nothing)}):
        old, waiting = await enqueue(jobs), await enqueue(jobs, run_at=2**40)
        await jobs.ended(old)
    assert await jobs.database.write(lambda c: store.remove_ended(c, 100)) == 0
    assert await jobs.database.write(lambda c: store.remove_ended(c, 2**40)) == 1
    assert await row_of(jobs.database, old) is None
    assert await row_of(jobs.database, waiting) is not None
