"""Stored chat completions are deleted when they have been kept for as long as documented."""

from freehold.api.context import Services
from freehold.api.tasks import task
from freehold.core import clock
from freehold.data import limits
from freehold.data.retention import retention
from freehold.jobs.job import JobContext
from freehold.resources.chat import store

_AT_ONCE = 500


@task("chat.sweep", every_s=limits.figure("sweep", "period_s"))
async def sweep(services: Services, job: JobContext) -> None:
    oldest = clock.now() - retention("chat_completion").seconds
    while await services.database.write(lambda c: store.sweep(c, oldest, _AT_ONCE)):
        job.raise_if_cancelled()
