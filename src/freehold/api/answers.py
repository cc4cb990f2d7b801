"""How answers and errors look on the wire."""

import math
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel

from freehold.core.errors import APIError, MethodNotAllowedError, RangeNotSatisfiableError

Headers = list[tuple[bytes, bytes]]
JSON = (b"content-type", b"application/json")
SSE: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


@dataclass(frozen=True, slots=True)
class Content:
    """An answer of plain bytes; ``headers`` say how many and of what type."""

    chunks: AsyncGenerator[bytes, None]
    headers: Headers
    status: int = 200


def encode(answer: BaseModel | dict[str, Any]) -> bytes:
    """Return the answer as JSON; of a wire type, the fields that were set."""
    if isinstance(answer, BaseModel):
        return answer.model_dump_json(exclude_unset=True).encode()
    return orjson.dumps(answer)


def standing(request_id: str, organization: str | None, started: float) -> Headers:
    """Return the headers that every answer carries. ``started`` is of ``time.perf_counter``."""
    took = max(1, round((time.perf_counter() - started) * 1000))
    headers = [
        (b"x-request-id", request_id.encode()),
        (b"openai-version", b"2020-10-01"),
        (b"openai-processing-ms", b"%d" % took),
    ]
    if organization:
        headers.append((b"openai-organization", organization.encode()))
    return headers


def error_headers(error: APIError) -> Headers:
    """Return what tells a client whether, when and how to try again."""
    headers: Headers = []
    if error.retry_after is not None:
        headers += [
            (b"retry-after", b"%d" % max(1, math.ceil(error.retry_after))),
            (b"retry-after-ms", b"%d" % max(1, math.ceil(error.retry_after * 1000))),
        ]
    if error.retryable is not None:
        headers.append((b"x-should-retry", b"true" if error.retryable else b"false"))
    if isinstance(error, MethodNotAllowedError):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    if isinstance(error, RangeNotSatisfiableError):
        headers.append((b"content-range", b"bytes */%d" % error.size))
    if error.status == 413:
        headers.append((b"connection", b"close"))  # the rest of the body stays unread
    return headers
