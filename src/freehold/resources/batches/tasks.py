"""The job behind a batch: validates it, runs it, writes its files; resumes wherever it stopped."""

from contextlib import AsyncExitStack, aclosing
from typing import Any

from sqlalchemy import Connection, Row

from freehold.api import replay
from freehold.api.context import Services
from freehold.api.operation import Bound
from freehold.api.tasks import task
from freehold.core import clock
from freehold.core.errors import NotFoundError
from freehold.jobs import queue
from freehold.jobs.job import Again, Failure, JobCancelledError, JobContext
from freehold.resources.batches import checks, quota, store
from freehold.resources.batches.execution import Execution, errors_of, output_of
from freehold.resources.batches.service import KIND, PRIORITY
from freehold.resources.files import library
from freehold.resources.files.library import Output, Owner

_ATTEMPTS = 12  # a model that can't be loaded is waited for, some twenty minutes
_FINISH = "batches.finish"
_FOR_EVER = 2**31  # a store that is away for a weekend costs no results
_RUNNING = ("in_progress", "cancelling")
_UNENDED = ("validating", *_RUNNING, "finalizing")
_UNWRITTEN = ("cancelling", "finalizing", "failed")  # there may be results that are in no file


def fail(connection: Connection, failure: Failure) -> None:
    """End the batch of a job that was given up; what was answered becomes its files first.

    One whose files only have to be written still ends as it was going to.
    """
    values: dict[str, Any] = {"status": "finalizing", "ends_as": failure.state}
    values["finalizing_at"] = clock.now()
    if failure.state == "failed":
        values["errors"] = _errors([_told("server_error", failure.reason)])
    batch_id = failure.key or ""
    store.change(connection, batch_id, ("validating", *_RUNNING), **values)
    batch = store.load(connection, batch_id)
    if batch is not None and batch.status == "finalizing":
        owner = failure.project_id
        queue.add(connection, _FINISH, {}, key=batch_id, project_id=owner, priority=PRIORITY)


def abandon(connection: Connection, failure: Failure) -> None:
    """End a batch whose files can't be written either; ``jobs retry`` tries again."""
    faults = _errors([_told("server_error", failure.reason)])
    values = {"status": "failed", "failed_at": clock.now(), "errors": faults}
    store.change(connection, failure.key or "", ("finalizing",), **values, ends_as="failed")


@task(_FINISH, on_failure=abandon, max_attempts=_FOR_EVER)
async def finish(services: Services, job: JobContext) -> None:
    """Write the files of a batch whose own job was given up."""
    batch = await services.database.read(lambda c: store.load(c, job.key or ""))
    if batch is not None and batch.status in _UNWRITTEN and batch.ends_as is not None:
        await _Work(services, job, batch).finalize()


@task(KIND, on_failure=fail, max_attempts=_ATTEMPTS)
async def run(services: Services, job: JobContext) -> Again | None:
    """Bring the batch one or more steps further; ``Again`` where others wait for the place."""
    batch_id = job.key or ""
    batch = await services.database.read(lambda c: store.load(c, batch_id))
    if batch is None or batch.status not in _UNENDED:
        return None
    work = _Work(services, job, batch)
    try:
        return await work.go_on()
    except NotFoundError as error:
        await work.fail([_told(error.code or "file_not_found", error.message)])
        return None


class _Work:
    """One run of the job of a batch."""

    def __init__(self, services: Services, job: JobContext, batch: Row[Any]) -> None:
        self._services = services
        self._job = job
        self._batch = batch
        self._id: str = batch.id

    async def go_on(self) -> Again | None:
        if self._batch.status == "validating" and not await self._validate():
            return None
        if self._batch.status != "finalizing":
            outcome = await self._execute()
            if outcome == "crowded":
                return Again(after_s=1)
            await self._begin_to_end(outcome)
        await self.finalize()
        if self._batch.ends_as == "cancelled":
            raise JobCancelledError
        return None

    async def fail(self, faults: list[dict[str, Any]]) -> None:
        """End a batch whose input has gone; what was answered becomes its files first."""
        if self._batch.status == "validating":
            await self._job.write(lambda c: _refuse(c, self._id, faults))
            return
        await self._begin_to_end("failed", errors=_errors(faults))
        await self.finalize()

    async def _validate(self) -> bool:
        """Check the input; return whether it can be run."""
        file = await self._input()
        async with aclosing(library.read(self._services, file)) as chunks:
            found = await checks.check(
                chunks, self._batch.endpoint, self._to(), self._services.registry
            )
        if found.faults:
            await self._job.write(lambda c: _refuse(c, self._id, found.faults))
            return False
        await self._begin(found)
        return self._batch.status in _RUNNING

    async def _begin(self, found: checks.Checked) -> None:
        """Go on to the lines, unless too many tokens of the project wait already."""
        values = {"total": found.total, "model": found.model, "input_tokens": found.tokens}
        started = {"status": "in_progress", "in_progress_at": clock.now(), **values}

        def unit(connection: Connection) -> Row[Any]:
            told = quota.refusal(connection, self._services.registry, self._batch, found)
            if told is not None:
                _refuse(connection, self._id, [_told("token_limit_exceeded", told)])
            return self._move(connection, ("validating",), started)

        self._batch = await self._job.write(unit)

    async def _execute(self) -> str:
        if self._job.cancelled.is_set() or self._batch.status == "cancelling":
            return "cancelled"
        file = await self._input()
        return await Execution(self._services, self._job, self._batch, file, self._to()).run()

    async def _begin_to_end(self, outcome: str, **values: Any) -> None:
        """Pass the point of no return, unless somebody has cancelled just before it."""
        if outcome != "cancelled":
            await self._step(("in_progress",), {**self._ending(outcome), **values})
        if self._batch.status != "finalizing":
            await self._step(_RUNNING, self._ending("cancelled"))

    def _ending(self, outcome: str) -> dict[str, Any]:
        if outcome == "cancelled":
            asked_at = self._batch.cancelling_at or clock.now()
            return {"status": "cancelling", "cancelling_at": asked_at, "ends_as": outcome}
        return {"status": "finalizing", "finalizing_at": clock.now(), "ends_as": outcome}

    async def finalize(self) -> None:
        """Turn what was gathered into files and end the batch, in one unit."""
        owner = Owner(self._batch.organization_id, self._batch.project_id)
        lifetime = self._batch.output_expires_after_s
        async with AsyncExitStack() as stack:
            files: dict[str, Output] = {}
            for field, draft, name in (
                ("output_file_id", output_of(self._id), f"{self._id}_output.jsonl"),
                ("error_file_id", errors_of(self._id), f"{self._id}_error.jsonl"),
            ):
                if await self._is_empty(draft):
                    continue
                making = library.finished_output(
                    self._services, owner, name, "batch_output", draft, expires_after_s=lifetime
                )
                files[field] = await stack.enter_async_context(making)
            await self._job.write(lambda connection: self._end(connection, files))

    def _end(self, connection: Connection, files: dict[str, Output]) -> None:
        for file in files.values():
            file.keep(connection)
        ids = {field: file.file_id for field, file in files.items()}
        ends_as = self._batch.ends_as
        values = {"status": ends_as, f"{ends_as}_at": clock.now(), **ids}
        store.change(connection, self._id, _UNWRITTEN, **values)
        _forget(connection, self._id)

    async def _is_empty(self, draft: str) -> bool:
        async with aclosing(library.output_so_far(self._services, draft)) as pieces:
            return await anext(pieces, None) is None

    async def _step(self, expected: tuple[str, ...], values: dict[str, Any]) -> None:
        """Change the batch where it is still in an expected status, and look at it again."""
        self._batch = await self._job.write(lambda c: self._move(c, expected, values))

    def _move(
        self, connection: Connection, expected: tuple[str, ...], values: dict[str, Any]
    ) -> Row[Any]:
        store.change(connection, self._id, expected, **values)
        self._job.save(connection, values["status"])
        found = store.load(connection, self._id)
        assert found is not None  # noqa: S101 - batches are never deleted
        return found

    async def _input(self) -> Row[Any]:
        project, file_id = self._batch.project_id, self._batch.input_file_id
        return await library.find(self._services, project, file_id)

    def _to(self) -> Bound:
        to = replay.bound_to(self._batch.endpoint)
        if to is None:
            raise NotFoundError(f"The endpoint '{self._batch.endpoint}' is not available.")
        return to


def _refuse(connection: Connection, batch_id: str, faults: list[dict[str, Any]]) -> None:
    values = {"status": "failed", "failed_at": clock.now(), "errors": _errors(faults)}
    if not store.change(connection, batch_id, ("validating",), **values):
        ended = {"status": "cancelled", "cancelled_at": clock.now()}
        store.change(connection, batch_id, ("cancelling",), **ended)
    _forget(connection, batch_id)


def _forget(connection: Connection, batch_id: str) -> None:
    store.forget_lines(connection, batch_id)
    for draft in (output_of(batch_id), errors_of(batch_id)):
        library.drop_output(connection, draft)


def _told(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "param": None, "line": None}


def _errors(faults: list[dict[str, Any]]) -> dict[str, Any]:
    return {"object": "list", "data": faults}
