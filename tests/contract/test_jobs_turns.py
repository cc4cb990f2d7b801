"""Whose turn it is: when a job begins, where, and before which others."""

import asyncio
from collections.abc import Callable
from typing import Any

from freehold.jobs import store
from freehold.jobs.job import (
    Again,
    JobContext,
    Task,
)
from freehold.jobs.queue import Jobs
from freehold.storage.database import Database
from freehold.storage.open import open_database
from working import enqueue, nothing, row_of, setting, working


async def test_job_waits_for_its_time(jobs: Jobs) -> None:
    later = await enqueue(jobs, run_at=2**40)
    async with working(jobs, {"work": Task(nothing)}):
        await jobs.ended(await enqueue(jobs))
        assert (await row_of(jobs.database, later)).state == "queued"


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
    tasks = {"sweep": Task(setting(ran), every_s=0)}

    async with working(jobs, tasks), working(jobs, tasks):
        await ran.wait()
        ran.clear()
        await ran.wait()
    counts = await jobs.database.read(store.counts)
    assert counts == {("sweep", "queued"): 1}


async def test_job_for_this_process_begins_at_once(jobs: Jobs) -> None:
    began = asyncio.Event()
    async with working(jobs, {"work": Task(setting(began))}) as worker:
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
    async with working(jobs, {"work": Task(nothing)}):
        assert (await jobs.ended(job_id)).state == "done"


async def test_jobs_of_unknown_kinds_are_left_to_others(jobs: Jobs) -> None:
    strange = await enqueue(jobs, kind="strange")
    async with working(jobs, {"work": Task(nothing)}):
        await jobs.ended(await enqueue(jobs))
    assert (await row_of(jobs.database, strange)).state == "queued"


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
    async with working(idle, {"work": Task(nothing), "sweep": Task(nothing, every_s=9999)}):
        await asyncio.sleep(0.1)
        settled = counting.writes
        await asyncio.sleep(0.3)
        assert counting.writes == settled
