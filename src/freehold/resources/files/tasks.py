"""What is no longer kept is deleted, whatever has become of who should have done it."""

from freehold.api.context import Services
from freehold.api.tasks import task
from freehold.jobs.job import JobContext
from freehold.resources.files import drafts


@task("files.sweep", every_s=drafts.sweep_s())
async def sweep(services: Services, job: JobContext) -> None:
    while await drafts.sweep(services):
        job.raise_if_cancelled()
