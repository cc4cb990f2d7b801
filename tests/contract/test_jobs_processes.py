"""Jobs and the processes that run them: those that die of them, and who may run any."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from freehold.core.settings import Settings
from freehold.jobs import settle, store
from freehold.jobs.crew import Crew
from freehold.jobs.job import JobContext, Task
from freehold.jobs.queue import Jobs
from freehold.storage import migrations
from freehold.storage.events import Events
from freehold.storage.open import open_database, open_events

POISONED_WORKER = """
import asyncio, os, signal, sys
from freehold.jobs.job import Task
from freehold.jobs.queue import Jobs
from freehold.jobs.worker import Worker
from freehold.storage.open import open_database

async def die(job):
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    jobs = Jobs(open_database(sys.argv[1]), poll_s=0.05)
    tasks = {"poison": Task(die), "innocent": Task(lambda job: asyncio.sleep(0.5))}
    Worker(jobs, tasks, lease_s=1, trial_s=0).start()
    await jobs.ended(sys.argv[2])
    print("it has ended")

asyncio.run(main())
"""


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_job_that_kills_its_workers_is_given_up_and_no_other(durable_url: str) -> None:
    migrations.upgrade(durable_url)
    database = open_database(durable_url)
    jobs = Jobs(database)
    innocent = await database.write(lambda c: jobs.enqueue(c, "innocent", {}))
    job_id = await database.write(lambda c: jobs.enqueue(c, "poison", {}))
    await database.close()

    command = [sys.executable, "-c", POISONED_WORKER, durable_url, job_id]
    died = [run(command).returncode for _ in range(settle.POISONED)]
    survivor = run(command)

    assert died == [-9] * settle.POISONED
    assert survivor.stdout == "it has ended\n"
    database = open_database(durable_url)
    row: Any = await database.read(lambda c: store.find(c, job_id))
    other: Any = await database.read(lambda c: store.find(c, innocent))
    await database.close()
    assert other.state == "done"
    assert row.state == "failed"
    assert "3 times" in row.error


async def test_one_process_runs_the_jobs_of_an_sqlite_database(tmp_path: Path) -> None:
    settings = Settings.model_validate({"state_dir": tmp_path})
    database = open_database(settings.database_address)
    first, second, third = (Crew(settings, Jobs(database), {}, Events()) for _ in range(3))

    first.start()
    second.start()
    assert first.worker is not None
    assert second.worker is None
    await first.stop()
    third.start()
    assert third.worker is not None
    for crew in (second, third):
        await crew.stop()
    await database.close()


async def test_server_runs_no_jobs_where_it_is_told_so(tmp_path: Path) -> None:
    settings = Settings.model_validate({"state_dir": tmp_path, "jobs": {"worker": False}})
    database = open_database(settings.database_address)
    crew = Crew(settings, Jobs(database), {}, Events())
    crew.start()
    assert crew.worker is None
    assert crew.figures().running == {}
    await crew.stop()
    await database.close()


@pytest.mark.external
async def test_workers_of_other_processes_are_woken_and_do_not_wait_for_their_next_look(
    postgres_url: str, tmp_path: Path
) -> None:
    migrations.upgrade(postgres_url)
    settings = Settings.model_validate({"state_dir": tmp_path, "database_url": postgres_url})
    database = open_database(postgres_url)
    events = open_events(postgres_url)
    began, ended = asyncio.Event(), asyncio.Event()

    async def work(_: JobContext) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    crew = Crew(settings, Jobs(database, poll_s=60), {"work": Task(work)}, events)
    events.start()
    crew.start()
    elsewhere = Jobs(database)  # of a process that runs no jobs
    async with asyncio.timeout(30):
        while events.address is None:
            await asyncio.sleep(0.01)
        await database.write(lambda c: elsewhere.enqueue(c, "work", {}, key="this"))
        await began.wait()
        assert await database.write(lambda c: elsewhere.cancel(c, "work", "this"))
        await ended.wait()
    await crew.stop()
    await events.stop()
    await database.close()
