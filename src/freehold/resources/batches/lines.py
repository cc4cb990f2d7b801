"""The lines of a batch: read from its input, written to its output and error files."""

from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from typing import Any

import orjson

from freehold.api.replay import Replayed
from freehold.core.ids import new_id


@dataclass(frozen=True, slots=True)
class Request:
    """A checked line of the input; ``line`` counts from 1."""

    line: int
    custom_id: str
    body: Any


@dataclass(frozen=True, slots=True)
class Result:
    """What is written about one line, and where: ``good`` ones go to the output file."""

    line: int
    good: bool
    data: bytes
    answer: Replayed | None = None


async def numbered(chunks: AsyncIterable[bytes]) -> AsyncGenerator[tuple[int, bytes], None]:
    """Yield the lines that are not blank, with their numbers."""
    number = 0
    begun: list[bytes] = []
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        begun.append(first)
        for beginning in others:
            number += 1
            if line := b"".join(begun).strip():
                yield number, line
            begun = [beginning]
    if line := b"".join(begun).strip():
        yield number + 1, line


def request_of(number: int, line: bytes) -> Request:
    """Return the request in a line that has been checked before."""
    fields = orjson.loads(line)
    return Request(number, fields["custom_id"], fields["body"])


def answered(request: Request, answer: Replayed) -> Result:
    """Return the result of a line that got an answer, be it an error."""
    response = {
        "status_code": answer.status,
        "request_id": answer.request_id,
        "body": orjson.Fragment(answer.body),
    }
    data = _written(request, response, None)
    return Result(request.line, answer.status < 400, data, answer)


def unanswered(request: Request, code: str, message: str) -> Result:
    """Return the result of a line that was never run."""
    data = _written(request, None, {"code": code, "message": message})
    return Result(request.line, good=False, data=data)


def _written(
    request: Request, response: dict[str, Any] | None, error: dict[str, str] | None
) -> bytes:
    line = {
        "id": new_id("batch_request"),
        "custom_id": request.custom_id,
        "response": response,
        "error": error,
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
