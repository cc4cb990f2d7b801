"""Server-sent events: frames are bytes, put together by hand."""

from collections.abc import AsyncGenerator

import orjson

from freehold.core.errors import APIError

DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"


class EventStream:
    """An answer that is a stream of ready frames (``data: ...`` and a blank line each).

    Closing ``frames`` must stop the work behind it. Each item may hold several frames.
    """

    __slots__ = ("frames",)

    def __init__(self, frames: AsyncGenerator[bytes, None]) -> None:
        self.frames = frames


def error_frame(error: APIError) -> bytes:
    """Return the frame that ends a stream in which something went wrong."""
    return b"data: " + orjson.dumps(error.body()) + b"\n\n"
