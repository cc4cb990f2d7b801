"""Jobs and the workers that run them, for tests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import update

from freehold.jobs import settle, store
from freehold.jobs.job import JobContext, Task
from freehold.jobs.queue import Jobs
from freehold.jobs.worker import Worker
from freehold.storage.database import Database
from freehold.storage.tables import jobs as table


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


async def nothing(job: JobContext) -> None:
    """Succeed at once."""


def setting(event: asyncio.Event) -> Callable[[JobContext], Awaitable[None]]:
    async def work(job: JobContext) -> None:
        event.set()

    return work


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def saved(jobs: Jobs, job_id: str, value: Any = None) -> None:
    while True:
        saved = (await row_of(jobs.database, job_id)).checkpoint
        if saved == value if value is not None else saved is not None:
            return
        await asyncio.sleep(0.01)


async def lose(jobs: Jobs, *job_ids: str) -> None:
    """Leave the jobs as a worker does that began them and died before their first step."""
    dead = {"state": "running", "worker": "dead", "lease_ends_at": 1, "losses": table.c.losses + 1}
    statement = update(table).where(table.c.id.in_(job_ids)).values(**dead)
    await jobs.database.write(lambda c: c.execute(statement).rowcount)


async def lost(jobs: Jobs, task: Task, *job_ids: str) -> None:
    """Lose the jobs and let another worker find them."""
    await lose(jobs, *job_ids)
    tasks = {"work": task, "sweep": task}
    await jobs.database.write(lambda c: settle.recover(c, tasks, 100))


async def claimed(jobs: Jobs, *, suspects: bool = True) -> list[str]:
    """Claim all that a worker may have at this moment, and return the ids."""
    room: Any = {"now": 2**40, "lease_s": 9, "room": 8, "background_room": 8, "suspects": suspects}
    rows = await jobs.database.write(
        lambda c: store.claim(c, worker="claimer", kinds=["work"], **room)
    )
    return [row.id for row in rows]
