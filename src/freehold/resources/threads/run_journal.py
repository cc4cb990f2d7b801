"""What a run does, written down first and told afterwards.

Each unit brings the run from one state that it can go on from to the next one, so that a process
that dies between two of them leaves nothing half done. A step and a message that were begun but not
ended are taken up again by whoever goes on, so that neither appears twice.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from freehold.core import clock
from freehold.core.ids import new_id
from freehold.jobs.job import JobContext
from freehold.resources.threads import (
    messages,
    run_end,
    run_state,
    run_store,
    run_view,
    step_store,
    step_view,
    store,
    stream,
)
from freehold.resources.threads.run_end import Ended
from freehold.resources.threads.run_pen import Pen
from freehold.resources.threads.run_state import Ending
from freehold.storage.database import Database

Row = dict[str, Any]
Content = Sequence[Mapping[str, Any]]
Used = tuple[int, int]  # tokens of a prompt, tokens of an answer


class Journal:
    """The state of one run while its job works on it. ``steps`` holds those that have ended.

    ``publish`` takes events; ``results`` says whether they show what searches found.
    """

    def __init__(
        self, job: JobContext, run_id: str, publish: Callable[[bytes], None], *, results: bool
    ) -> None:
        self.run: Row = {}
        self.thread: Row = {}
        self.steps: list[Row] = []
        self.messages: list[Row] = []
        self.calls: Row | None = None  # the step of calls that have begun
        self.message: Row | None = None  # the message that is being written
        self._writing: Row | None = None  # its step
        self._left: Row | None = None  # a step begun by a process that died
        self._job = job
        self._run_id = run_id
        self._results = results
        self._pen = Pen(job, publish)

    async def begin(self, database: Database) -> bool:
        """Read all there is, and set the run to work; False where it is not to be worked on."""
        was = await database.read(lambda connection: _found(connection, self._run_id))
        if was is None:
            return False
        self.run, self.thread, steps, self.messages = was
        self.steps = [step for step in steps if step["status"] != "in_progress"]
        for step in steps:
            if step["status"] == "in_progress" and step["calls"] is not None:
                self.calls = step  # the model has made them in full
            elif step["status"] == "in_progress":
                self._left = step
        if self.run["status"] == "queued":
            started = {"status": "in_progress", "started_at": clock.now()}
            self._pen.issue(lambda c: run_store.change(c, self._run_id, ("queued",), **started))
            self.run |= started
            self.tell("thread.run.in_progress", run_view.shown(self.run))
        return True

    async def open_message(self) -> str:
        """Begin a message and its step, and return the message's id."""
        left = await self._resume("message_creation")
        if left is not None:
            message_id = left["details"]["message_creation"]["message_id"]
            message = next(one for one in self.messages if one["id"] == message_id)
            self.messages.remove(message)
            step = left
        else:
            message = messages.begun(
                self.run["thread_id"], assistant_id=self.run["assistant_id"], run_id=self.run["id"]
            )
            creation = {"message_id": message["id"]}
            details = {"type": "message_creation", "message_creation": creation}
            step = step_view.new_row(self.run["id"], new_id("run_step"), details, clock.now())

            def unit(connection: Connection) -> None:
                store.add_messages(connection, [message])
                step_store.create(connection, step)

            self._pen.issue(unit)
        self.message, self._writing = message, step
        self._tell_step("created", step)
        self._tell_step("in_progress", step)
        self._tell_message("created", message)
        self._tell_message("in_progress", message)
        return message["id"]

    async def close_message(self, content: Content, used: Used) -> None:
        """End the message and its step; the run goes on."""
        message, step, unit = self._closing(content, used, None)
        await self._pen.write(unit)
        self._closed(message, step, used)

    async def finish(
        self, content: Content, used: Used, ending: Ending, reason: str | None = None
    ) -> None:
        """End the message, its step and the run in one unit.

        ``reason`` says why the message is incomplete, if it is.
        """
        error = None
        if ending == "failed":
            error = run_end.fault("server_error", "The answer was stopped by a content filter.")
        cut = "max_completion_tokens" if ending == "incomplete" else None
        message, step, closing = self._closing(content, used, reason)

        def unit(connection: Connection) -> Ended:
            closing(connection)
            return run_end.end(
                connection, self.run, ending, error=error, reason=cut, interrupts=False
            )

        ended = await self._pen.write(unit)
        self._closed(message, step, used)
        self._told_end(ended)

    async def open_calls(self) -> str:
        """Begin a step of calls and return its id."""
        step = await self._resume("tool_calls")
        if step is None:
            details: Row = {"type": "tool_calls", "tool_calls": []}
            new = step_view.new_row(self.run["id"], new_id("run_step"), details, clock.now())
            self._pen.issue(lambda connection: step_store.create(connection, new))
            step = new
        self.calls = step
        self._tell_step("created", step)
        self._tell_step("in_progress", step)
        return step["id"]

    async def record_calls(self, shown: Content, made: Content, used: Used) -> None:
        """Write down calls that are to be made, before any is."""
        step = self._calls_step()
        values = {
            "details": {"type": "tool_calls", "tool_calls": [dict(call) for call in shown]},
            "calls": [dict(call) for call in made],
            "prompt_tokens": used[0],
            "completion_tokens": used[1],
        }

        def unit(connection: Connection) -> None:
            step_store.change(connection, step["id"], **values)
            self._count(connection, used)

        await self._pen.write(unit)
        self._counted(used)
        step |= values

    async def answer_call(
        self, place: int, shown: Mapping[str, Any], said: Mapping[str, Any]
    ) -> None:
        """Write down what came of a call: as the API shows it, and what the model is told."""
        step = self._calls_step()
        calls = [dict(call) for call in step["details"]["tool_calls"]]
        made = [dict(call) for call in step["calls"]]
        calls[place], made[place] = dict(shown), {**made[place], **said}
        values = {"details": {"type": "tool_calls", "tool_calls": calls}, "calls": made}

        def unit(connection: Connection) -> None:
            step_store.change(connection, step["id"], **values)
            self._job.save(connection, None)

        await self._pen.write(unit)
        step |= values

    async def close_calls(self) -> None:
        """End the step of calls, all of which have their outputs."""
        step = self._calls_step()
        values = {"status": "completed", "completed_at": clock.now()}
        await self._pen.write(
            lambda connection: step_store.change(connection, step["id"], **values)
        )
        step |= values
        self.calls = None
        self.steps.append(step)
        self._tell_step("completed", step)

    async def require_outputs(self, calls: Content, expire: Callable[[Connection], object]) -> None:
        """Wait for the outputs of these calls; ``expire`` sees in the same unit to their end.

        A run whose end another process asked for meanwhile ends here: no job looks at it later.
        """
        action = {
            "type": "submit_tool_outputs",
            "submit_tool_outputs": {"tool_calls": [dict(call) for call in calls]},
        }
        values = {"status": "requires_action", "required_action": action}
        run_id = self.run["id"]

        def unit(connection: Connection) -> Ended | None:
            if not run_store.change(connection, run_id, ("in_progress",), **values):
                return run_end.end(connection, self.run, "cancelled")
            expire(connection)
            return None

        ended = await self._pen.write(unit)
        if ended is None:
            self.run |= values
            self.tell("thread.run.requires_action", run_view.shown(self.run))
        else:
            self.tell_cancelling()
            self._told_end(ended)

    async def end(
        self,
        ending: Ending,
        *,
        content: Content | None = None,
        error: Mapping[str, str] | None = None,
        reason: str | None = None,
    ) -> None:
        """End the run where it stands, with the step and the message that are in progress."""
        await self.settled()

        def unit(connection: Connection) -> Ended:
            return run_end.end(
                connection, self.run, ending, content=content, error=error, reason=reason
            )

        self._told_end(await self._pen.write(unit))

    async def settled(self) -> None:
        """Wait until nothing is being written."""
        await self._pen.settled()

    def shown_search(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """Return what listeners are shown of a search."""
        return step_view.shown_call(call, results=self._results)["file_search"]

    def tell(self, event: str, data: Mapping[str, Any]) -> None:
        """Tell those who listen of an object."""
        self._pen.tell(stream.frame(event, data))

    def tell_cancelling(self) -> None:
        """Tell those who listen that the run is about to be cancelled."""
        self.tell("thread.run.cancelling", run_view.shown({**self.run, "status": "cancelling"}))

    def send(self, frame: bytes) -> None:
        """Send those who listen a frame."""
        self._pen.tell(frame)

    async def _resume(self, kind: str) -> Row | None:
        """Return the step that was left, to be gone on with; one of another kind is removed."""
        left, self._left = self._left, None
        if left is None or left["type"] == kind:
            return left
        self._pen.issue(lambda connection: _remove(connection, self.run, left))
        self.messages = [one for one in self.messages if one["status"] != "in_progress"]
        return None

    def _closing(
        self, content: Content, used: Used, reason: str | None
    ) -> tuple[Row, Row, Callable[[Connection], None]]:
        """Return the message and its step as they end, and the unit that writes it."""
        message, step, now = self.message, self._writing, clock.now()
        if message is None or step is None:
            raise RuntimeError("no message is being written")
        ended: Row = {"status": "completed", "completed_at": now}
        if reason is not None:
            ended = {"status": "incomplete", "incomplete_at": now, "incomplete_reason": reason}
        ended["content"] = [dict(part) for part in content]
        counted = {"prompt_tokens": used[0], "completion_tokens": used[1]}
        done = {"status": "completed", "completed_at": now, **counted}

        def unit(connection: Connection) -> None:
            store.change_message(connection, message["id"], **ended)
            step_store.change(connection, step["id"], **done)
            self._count(connection, used)

        return message | ended, step | done, unit

    def _closed(self, message: Row, step: Row, used: Used) -> None:
        self._counted(used)
        self.messages.append(message)
        self.steps.append(step)
        self.message = self._writing = None
        self._tell_message(message["status"], message)
        self._tell_step("completed", step)

    def _count(self, connection: Connection, used: Used) -> None:
        """Add to what the run has used, and forgive lost workers: it is a step further."""
        run_store.count(connection, self.run["id"], *used)
        self._job.save(connection, None)

    def _counted(self, used: Used) -> None:
        self.run["prompt_tokens"] += used[0]
        self.run["completion_tokens"] += used[1]

    def _told_end(self, ended: Ended) -> None:
        """Tell of the end that was written, or of the one that was there before."""
        for message in ended.messages:
            self._tell_message("incomplete", message)
        for step in ended.steps:
            self._tell_step(step["status"], step)
        if ended.run is not None:
            self.run = ended.run
            self.tell(f"thread.run.{self.run['status']}", run_view.shown(self.run))

    def _calls_step(self) -> Row:
        if self.calls is None:
            raise RuntimeError("no calls have begun")
        return self.calls

    def _tell_step(self, what: str, step: Row) -> None:
        data = step_view.shown(step, self.run, results=self._results)
        self.tell(f"thread.run.step.{what}", data)

    def _tell_message(self, what: str, message: Row) -> None:
        self.tell(f"thread.message.{what}", messages.shown(message).model_dump(exclude_unset=True))


def _found(connection: Connection, run_id: str) -> tuple[Row, Row, list[Row], list[Row]] | None:
    run = run_store.load(connection, run_id)
    if run is None or run["status"] not in run_state.WORKING:
        return None
    thread = store.find(connection, run["project_id"], run["thread_id"])
    if thread is None:  # deleted, with all that is on it
        return None
    talk = step_store.conversation(connection, run["thread_id"])
    return run, thread, step_store.of_run(connection, run_id), talk


def _remove(connection: Connection, run: Row, step: Row) -> None:
    """Take back a step that a dead process had begun, and its message."""
    step_store.remove(connection, step["id"])
    if step["type"] == "message_creation":
        message_id = step["details"]["message_creation"]["message_id"]
        store.remove_message(connection, run["thread_id"], message_id)
