"""The client's side of a connection: its body, and whether it is still there."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import orjson
from starlette.types import Receive

from freehold.core.errors import (
    BadRequestError,
    RequestTooLargeError,
    UnsupportedMediaTypeError,
)


class ClientGone(Exception):  # noqa: N818 - not an error: nobody is left to be told
    """The client closed the connection before its answer was complete."""


async def read_json(headers: Mapping[bytes, bytes], receive: Receive, cap: int) -> Any:
    """Return the parsed JSON body of at most ``cap`` bytes."""
    kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind and kind != b"application/json" and not kind.endswith(b"+json"):
        raise UnsupportedMediaTypeError(
            f"Unsupported content type: '{kind.decode('latin-1')}'. This API method only accepts "
            "'application/json' requests, but you specified the header 'Content-Type: "
            f"{kind.decode('latin-1')}'. Please try again with a supported content type."
        )
    body = await _read(headers, receive, cap)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't "
            "using your HTTP library correctly. The OpenAI API expects a JSON payload, but what "
            f"was sent was not valid JSON: {error.msg}, line {error.lineno} column {error.colno}.)"
        ) from None


async def read_nothing(receive: Receive) -> None:
    """Pass over a body that the request should not have."""
    while (message := await receive())["type"] == "http.request":
        if not message.get("more_body"):
            return
    raise ClientGone


async def _read(headers: Mapping[bytes, bytes], receive: Receive, cap: int) -> bytes:
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > cap:
        raise _too_large(cap)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > cap:
            raise _too_large(cap)
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks) if len(chunks) > 1 else chunks[0]


def _too_large(cap: int) -> RequestTooLargeError:
    return RequestTooLargeError(
        f"The request body is larger than the {cap // 2**20} MB that this server accepts."
    )


class Watch:
    """While entered, a client that goes away cancels the task inside; outside that is ClientGone.

    Only for requests whose body has been read: what is received next is the disconnect.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._watcher = asyncio.ensure_future(self._receive())
        self._watcher.add_done_callback(self._received)
        return self

    def _received(self, watcher: asyncio.Future[Any]) -> None:
        if not watcher.cancelled() and self._task:
            self._gone = True
            self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._watcher.remove_done_callback(self._received)
        self._watcher.cancel()
        if self._gone and self._task:
            self._task.uncancel()
            if kind is asyncio.CancelledError:
                raise ClientGone from None
