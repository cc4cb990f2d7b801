"""The events of a run that another process works on: its rows, and the deltas that it relays.

Without relayed deltas, the words of a message come at its end, all in one.
"""

from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from freehold.core.errors import ServiceUnavailableError
from freehold.resources.threads import (
    messages,
    run_delta,
    run_state,
    run_store,
    run_view,
    step_store,
    step_view,
    store,
    stream,
)
from freehold.storage.database import Database
from freehold.storage.events import Listener

_LOOK_AGAIN_S: Final = 0.25
_LOOK_ANYWAY_S: Final = 2.0  # where news are sent: they may be lost
_GOING: Final = {"status": "in_progress", "completed_at": None, "incomplete_at": None}
_NOT_YET: Final = {"failed_at": None, "cancelled_at": None, "expired_at": None}
_NO_CALLS: Final[Mapping[str, Any]] = {"type": "tool_calls", "tool_calls": []}
Row = Mapping[str, Any]
Rows = tuple[Row | None, list[dict[str, Any]], dict[str, dict[str, Any]]]


async def follow(
    database: Database,
    run_id: str,
    listener: Listener,
    *,
    relayed: bool,
    past: Collection[str] = (),
    results: bool = False,
) -> AsyncGenerator[bytes, None]:
    """Yield what happens until the run has ended, waits for outputs, or has been deleted.

    ``relayed``: news of it come to the listener. Of the steps in ``past`` nothing is told;
    ``results`` says whether those who read are shown what searches found.
    """
    follower = _Follower(past, results=results)
    while not follower.ended:
        rows = await database.read(lambda connection: _rows(connection, run_id))
        if frames := follower.look(rows):
            yield b"".join(frames)
        looks = follower.ended
        while not looks:
            news = await listener.group(_LOOK_ANYWAY_S if relayed else _LOOK_AGAIN_S)
            if listener.ended:
                stopping = ServiceUnavailableError("The server is shutting down.", retry_after=5)
                yield stream.error_frame(stopping)
                return
            frames, looks = follower.hear(news)
            if frames:
                yield b"".join(frames)


def _rows(connection: Connection, run_id: str) -> Rows:
    run = run_store.load(connection, run_id)
    if run is None or store.find(connection, run["project_id"], run["thread_id"]) is None:
        return None, [], {}
    talk = step_store.conversation(connection, run["thread_id"])
    written = {message["id"]: message for message in talk if message["run_id"] == run_id}
    return run, step_store.of_run(connection, run_id), written


@dataclass(slots=True)
class _Told:
    """What has been told of a message or a step. ``torn``: later deltas do not follow on it."""

    kind: str
    begun: Mapping[str, Any]
    delta: dict[str, Any] = field(default_factory=dict[str, Any])
    heard: int = 0
    torn: bool = False


class _Follower:
    """Remembers what it has told."""

    def __init__(self, past: Collection[str], *, results: bool) -> None:
        self.ended = False
        self._results = results
        self._statuses: set[str] = set()
        self._going: dict[str, _Told] = {}
        self._over = set(past)
        self._early: list[dict[str, Any]] = []  # deltas of what has not been seen in the rows
        self._frames: list[bytes] = []

    def hear(self, news: bytes) -> tuple[list[bytes], bool]:
        """Return the events of deltas that were relayed, and whether to look at the rows."""
        self._frames = []
        items = news.split(b"\n")[:-1]
        self._early += [orjson.loads(item) for item in items if item]
        self._take_deltas()
        return self._frames, not items or b"" in items or bool(self._early)

    def look(self, rows: Rows) -> list[bytes]:
        """Return the events that these rows are the first to show."""
        run, steps, written = rows
        self._frames = []
        if run is None:
            self.ended = True
            return []
        if run["started_at"] is not None:
            self._status("in_progress", {**run, "required_action": None})
        if run["status"] in ("cancelling", "cancelled"):
            self._status("cancelling", run)
        for step in steps:
            self._step(run, step, written)
        self._early = []
        if run["status"] not in ("queued", "in_progress"):
            self._status(run["status"], run)
        self.ended = run["status"] not in run_state.WORKING
        return self._frames

    def _status(self, status: str, run: Row) -> None:
        if status not in self._statuses:
            self._statuses.add(status)
            shown = run_view.shown({**run, "status": status})
            self._frames.append(stream.frame(f"thread.run.{status}", shown))

    def _step(self, run: Row, step: Row, written: Mapping[str, Row]) -> None:
        if step["id"] in self._over:
            return
        begun: dict[str, Any] = {**step, **_GOING, **_NOT_YET}
        if step["type"] == "tool_calls":
            begun["details"] = _NO_CALLS
        self._begin("thread.run.step", step["id"], step_view.shown(begun, run, results=False))
        creation = step["details"].get("message_creation")
        if creation and creation["message_id"] in written:
            self._message(written[creation["message_id"]])
        shown = step_view.shown(step, run, results=self._results)
        self._catch_up(step["id"], run_delta.of_step(shown["step_details"]))
        if step["status"] != "in_progress":
            self._end(step["id"], step["status"], shown)

    def _message(self, message: Row) -> None:
        if message["id"] in self._over:
            return
        begun: dict[str, Any] = {**message, **_GOING, "content": [], "incomplete_reason": None}
        self._begin("thread.message", message["id"], _shown(begun))
        if message["status"] != "in_progress":
            self._catch_up(message["id"], run_delta.of_message(message["content"]))
            self._end(message["id"], message["status"], _shown(message))

    def _begin(self, kind: str, object_id: str, begun: Mapping[str, Any]) -> None:
        if object_id not in self._going:
            self._going[object_id] = _Told(kind, begun)
            self._tell_begun(self._going[object_id])
            self._take_deltas()

    def _tell_begun(self, told: _Told) -> None:
        for what in ("created", "in_progress"):
            self._frames.append(stream.frame(f"{told.kind}.{what}", told.begun))

    def _end(self, object_id: str, status: str, data: Mapping[str, Any]) -> None:
        told = self._going.pop(object_id)
        self._over.add(object_id)
        self._frames.append(stream.frame(f"{told.kind}.{status}", data))

    def _take_deltas(self) -> None:
        early, self._early = self._early, []
        for delta in early:
            if delta["id"] in self._going:
                self._delta(self._going[delta["id"]], delta)
            elif delta["id"] not in self._over:
                self._early.append(delta)

    def _delta(self, told: _Told, item: Mapping[str, Any]) -> None:
        told.torn = told.torn or item["number"] != told.heard
        if not told.torn:
            told.heard += 1
            self._tell_delta(told, item["id"], item["delta"])

    def _catch_up(self, object_id: str, whole: dict[str, Any]) -> None:
        """Tell what the rows know beyond the deltas; all anew where another process wrote them."""
        told = self._going[object_id]
        try:
            left = run_delta.rest(told.delta, whole)
        except run_delta.NotItsBeginningError:
            told.delta, left = {}, whole
            self._tell_begun(told)
        if left:
            told.torn = True
            self._tell_delta(told, object_id, left)

    def _tell_delta(self, told: _Told, object_id: str, delta: Mapping[str, Any]) -> None:
        run_delta.join(told.delta, delta)
        self._frames.append(stream.delta_frame(f"{told.kind}.delta", object_id, delta))


def _shown(message: Row) -> dict[str, Any]:
    return messages.shown(message).model_dump(exclude_unset=True)
