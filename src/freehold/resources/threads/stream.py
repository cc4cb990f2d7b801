"""The events of a run as they are sent: bytes, put together once for all who listen."""

from collections.abc import Mapping
from typing import Any

import orjson

from freehold.core.errors import APIError

DONE = b"event: done\ndata: [DONE]\n\n"
_MESSAGE_DELTA = "thread.message.delta"
_STEP_DELTA = "thread.run.step.delta"


def frame(event: str, data: Mapping[str, Any]) -> bytes:
    """Return one event with its object."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), orjson.dumps(data))


def error_frame(error: APIError) -> bytes:
    """Return the event that ends a stream whose server can't go on with it."""
    return frame("error", error.body()["error"])


def message_delta(message_id: str, content: list[dict[str, Any]]) -> bytes:
    """Return the event of new parts, or new pieces of parts, of a message."""
    return delta_frame(_MESSAGE_DELTA, message_id, {"content": content})


def delta_frame(kind: str, object_id: str, delta: Mapping[str, Any]) -> bytes:
    """Return the event of a delta of this kind, which is also the name of its object."""
    return frame(kind, {"id": object_id, "object": kind, "delta": delta})


def delta_of(frame: bytes) -> dict[str, Any] | None:
    """Return the delta of an event, with its object's id, None where it is none."""
    name, _, data = frame.partition(b"\n")
    if not name.endswith(b".delta"):
        return None
    return orjson.loads(data.removeprefix(b"data: "))


class TextDeltas:
    """Writes the events of plain text of one message: what stays the same is encoded once."""

    def __init__(self, message_id: str, index: int) -> None:
        head: dict[str, Any] = {
            "id": message_id,
            "object": _MESSAGE_DELTA,
            "delta": {"content": []},
        }
        start = orjson.dumps(head).removesuffix(b"]}}")
        part = b'{"index":%d,"type":"text","text":{"value":' % index
        self._start = b"event: thread.message.delta\ndata: " + start + part

    def piece(self, text: str) -> bytes:
        """Return the event of more text."""
        return self._start + orjson.dumps(text) + b"}}]}}\n\n"

    def annotated(self, text: str, annotation: Mapping[str, Any]) -> bytes:
        """Return the event of more text, perhaps none, and an annotation."""
        noted = orjson.dumps([annotation])
        return self._start + orjson.dumps(text) + b',"annotations":' + noted + b"}}]}}\n\n"


def step_delta(step_id: str, calls: list[dict[str, Any]]) -> bytes:
    """Return the event of new calls, or new pieces of calls, of a step."""
    details = {"type": "tool_calls", "tool_calls": calls}
    return delta_frame(_STEP_DELTA, step_id, {"step_details": details})
