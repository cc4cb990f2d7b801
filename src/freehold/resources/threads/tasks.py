"""Deleted threads are removed with everything they hold."""

from freehold.api.context import Services
from freehold.api.tasks import task
from freehold.data import limits
from freehold.jobs.job import JobContext
from freehold.resources.threads import run_tasks, store

__all__ = ["run_tasks", "sweep"]  # importing it binds its handlers

_AT_ONCE = 20  # each may hold many messages and runs


@task("threads.sweep", every_s=limits.figure("sweep", "period_s"))
async def sweep(services: Services, job: JobContext) -> None:
    while await services.database.write(lambda connection: store.sweep(connection, _AT_ONCE)):
        job.raise_if_cancelled()
