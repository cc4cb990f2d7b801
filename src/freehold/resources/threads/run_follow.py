"""The events of a run that another process works on, read off its rows.

Deltas are not kept, so the words of a message come at its end, all in one.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from sqlalchemy import Connection

from freehold.resources.threads import (
    messages,
    run_state,
    run_store,
    run_view,
    step_store,
    step_view,
    stream,
)
from freehold.storage.database import Database

_LOOK_AGAIN_S: Final = 0.25
_GOING: Final = {"status": "in_progress", "completed_at": None, "incomplete_at": None}
_NOT_YET: Final = {"failed_at": None, "cancelled_at": None, "expired_at": None}
Row = Mapping[str, Any]
Rows = tuple[Row | None, list[dict[str, Any]], dict[str, dict[str, Any]]]


async def follow(database: Database, run_id: str) -> AsyncGenerator[bytes, None]:
    """Yield what happens until the run has ended, waits for outputs, or has been deleted."""
    follower = _Follower()
    while not follower.ended:
        frames = follower.look(await database.read(lambda connection: _rows(connection, run_id)))
        if frames:
            yield b"".join(frames)
        if not follower.ended:
            await asyncio.sleep(_LOOK_AGAIN_S)


def _rows(connection: Connection, run_id: str) -> Rows:
    run = run_store.load(connection, run_id)
    if run is None:
        return None, [], {}
    talk = step_store.conversation(connection, run["thread_id"])
    written = {message["id"]: message for message in talk if message["run_id"] == run_id}
    return run, step_store.of_run(connection, run_id), written


class _Follower:
    """Remembers what it has told."""

    def __init__(self) -> None:
        self.ended = False
        self._told: set[tuple[str, str]] = set()
        self._frames: list[bytes] = []

    def look(self, rows: Rows) -> list[bytes]:
        """Return the events that these rows are the first to show."""
        run, steps, written = rows
        self._frames = []
        if run is None:
            self.ended = True
            return []
        if run["started_at"] is not None:
            going = {**run, "status": "in_progress", "required_action": None}
            self._tell("thread.run.in_progress", run["id"], run_view.shown(going))
        for step in steps:
            self._step(run, step, written)
        if run["status"] not in run_state.WORKING:
            self._tell(f"thread.run.{run['status']}", run["id"], run_view.shown(run))
            self.ended = True
        return self._frames

    def _step(self, run: Row, step: Row, written: Mapping[str, Row]) -> None:
        begun = step_view.shown({**step, **_GOING, **_NOT_YET}, run, results=False)
        for what in ("created", "in_progress"):
            self._tell(f"thread.run.step.{what}", step["id"], begun)
        creation = step["details"].get("message_creation")
        if creation and creation["message_id"] in written:
            self._message(written[creation["message_id"]])
        if step["status"] != "in_progress":
            ended = step_view.shown(step, run, results=False)
            self._tell(f"thread.run.step.{step['status']}", step["id"], ended)

    def _message(self, message: Row) -> None:
        begun: dict[str, Any] = {**message, **_GOING, "content": [], "incomplete_reason": None}
        for what in ("created", "in_progress"):
            self._tell(f"thread.message.{what}", message["id"], _shown(begun))
        if message["status"] == "in_progress":
            return
        event = f"thread.message.{message['status']}"
        if (event, message["id"]) not in self._told:
            parts = [_delta(place, part) for place, part in enumerate(message["content"])]
            self._frames.append(stream.message_delta(message["id"], parts))
        self._tell(event, message["id"], _shown(message))

    def _tell(self, event: str, object_id: str, data: Mapping[str, Any]) -> None:
        if (event, object_id) not in self._told:
            self._told.add((event, object_id))
            self._frames.append(stream.frame(event, data))


def _shown(message: Row) -> dict[str, Any]:
    return messages.shown(message).model_dump(exclude_unset=True)


def _delta(place: int, part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] != "text":
        return {"index": place, **part}
    noted = [{"index": n, **one} for n, one in enumerate(part["text"]["annotations"])]
    text = {"value": part["text"]["value"], "annotations": noted}
    return {"index": place, "type": "text", "text": text}
