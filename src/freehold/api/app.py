"""The ASGI application: from a request to an answer, in OpenAI's shapes on every path."""

import asyncio
import contextlib
import logging
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ValidationError
from starlette.types import Message, Receive, Scope, Send

from freehold.api import answers, auth, beta, logs, query, sse
from freehold.api.client import ClientGone, Watch, read_json, read_nothing
from freehold.api.context import Context, Services
from freehold.api.metrics import CONTENT_TYPE, Metrics
from freehold.api.multipart import Form
from freehold.api.operation import Bound, Route, Router
from freehold.core.errors import (
    APIError,
    BadRequestError,
    InternalServerError,
    MethodNotAllowedError,
    NotBuiltError,
    NotFoundError,
    ServiceUnavailableError,
)
from freehold.core.ids import new_request_id
from freehold.data import endpoints, limits
from freehold.wire import errors

log = logging.getLogger("freehold")
PUBLIC = ("/health", "/ready", "/metrics")
UNMETERED = "default"  # the model under which requests without one are counted


@dataclass(frozen=True, slots=True)
class Page:
    """An answer outside the API: health and metrics."""

    status: int
    body: bytes
    kind: bytes = b"application/json"


class API:
    """Answers requests. ``ready`` returns what is wrong, nothing if all is well."""

    def __init__(
        self,
        *,
        router: Router,
        services: Services,
        keys: auth.KeyRing,
        metrics: Metrics,
        ready: Callable[[], Awaitable[Mapping[str, str]]],
    ) -> None:
        self.services = services
        self.keys = keys
        self.metrics = metrics
        self.ready = ready
        self.router = router
        self.body_cap = limits.json_body_bytes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _Exchange(self, scope, receive, send).run()
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4404, "reason": "No WebSocket here"})


class _Exchange:
    """One request and its answer."""

    def __init__(self, api: API, scope: Scope, receive: Receive, send: Send) -> None:
        self.api = api
        self.receive = receive
        self._send = send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.started = time.perf_counter()
        self.request_id = new_request_id()
        self.principal: auth.Principal | None = None
        self.context: Context | None = None
        self.operation_id = ""
        self.status = 0
        self.gone = False
        self.plain = False  # the answer that has begun is a file's bytes

    async def run(self) -> None:
        try:
            await self._answer()
        except ClientGone:
            self.gone = True
        except APIError as error:
            await self._fail(error)
        except asyncio.CancelledError:
            await self._fail(ServiceUnavailableError("The server is shutting down.", retry_after=5))
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: reported, answered without detail
            self._report(error)
            await self._fail(_unknown(self.request_id))
        finally:
            self._account()

    async def _answer(self) -> None:
        if self.path in PUBLIC:
            self.operation_id = self.path[1:]
            await self._public()
            return
        route, parameters = self._route()
        self.operation_id = route.operation_id
        await self._authenticate()
        beta.check(self.path, self.headers)
        if route.bound is None:
            raise NotBuiltError(f"{route.operation_id} ({route.method} {route.path}) is not built.")
        await self._handle(route.bound, parameters)

    async def _public(self) -> None:
        page = await self._page()
        await self._whole(page.status, page.body, [(b"content-type", page.kind)])

    async def _page(self) -> Page:
        if self.method not in ("GET", "HEAD"):
            raise self._wrong_method(("GET", "HEAD"))
        if self.path == "/metrics":
            return Page(200, self.api.metrics.render(), CONTENT_TYPE.encode())
        if self.path == "/health":
            return Page(200, answers.encode({"status": "ok"}))
        wrong = await self.api.ready()
        state = {"status": "not ready", "problems": dict(wrong)} if wrong else {"status": "ready"}
        return Page(503 if wrong else 200, answers.encode(state))

    def _route(self) -> tuple[Route, dict[str, str]]:
        found = self.api.router.find(self.path.removesuffix("/") or "/")
        if found is None or "\0" in self.path:
            raise NotFoundError(f"Invalid URL ({self.method} {self.path})")
        routes, parameters = found
        route = routes.get(self.method)
        if route is None:
            raise self._wrong_method(routes)
        return route, parameters

    def _wrong_method(self, allowed: Collection[str]) -> MethodNotAllowedError:
        return MethodNotAllowedError(f"Not allowed to {self.method} on {self.path}.", allowed)

    async def _authenticate(self) -> None:
        headers = self.headers
        principal = await auth.authenticate(self.api.keys, _text(headers, b"authorization"))
        self.principal = principal
        auth.check_headers(
            principal, _text(headers, b"openai-organization"), _text(headers, b"openai-project")
        )
        auth.check_kind(principal, self.path.removeprefix("/v1"))

    async def _handle(self, bound: Bound, parameters: dict[str, str]) -> None:
        assert self.principal is not None  # noqa: S101 - narrows the type; _authenticate set it
        self.context = Context(
            services=self.api.services,
            principal=self.principal,
            operation_id=bound.operation_id,
            request_id=self.request_id,
        )
        arguments: dict[str, Any] = dict(parameters)
        if bound.query is not None:
            arguments["query"] = checked_query(bound.operation_id, bound.query, self.query)
        if bound.headers:
            arguments["headers"] = self.headers
        if bound.form:
            arguments["form"] = Form(self.headers, self.receive)
        if bound.body is None:
            await self._deliver(await bound.handler(self.context, **arguments))
            return
        body = await read_json(self.headers, self.receive, self.api.body_cap)
        arguments["body"] = checked_body(bound, body)
        with Watch(self.receive):
            await self._deliver(await bound.handler(self.context, **arguments))

    async def _deliver(self, answer: Any) -> None:
        if isinstance(answer, sse.EventStream):
            await self._stream(answer.frames)
        elif isinstance(answer, answers.Content):
            await self._content(answer)
        else:
            await self._whole(200, answers.encode(answer), [answers.JSON])

    async def _stream(self, frames: AsyncGenerator[bytes, None]) -> None:
        """Send frames as they come; a long silence is filled with comments."""
        every = self.api.services.settings.stream_ping_s
        async with (
            contextlib.aclosing(frames),
            _Pings(every, self._begin_stream, self._chunk) as pings,
        ):
            async for frame in frames:
                if not self.status:
                    await self._begin_stream()
                pings.touch()
                await self._chunk(frame)
        await self._begin_stream()
        await self._send({"type": "http.response.body", "body": b""})

    async def _content(self, content: answers.Content) -> None:
        """Send bytes as they are read, for as long as the client is there."""
        await read_nothing(self.receive)
        with Watch(self.receive):
            async with contextlib.aclosing(content.chunks) as chunks:
                async for chunk in chunks:
                    await self._begin_content(content)
                    await self._chunk(chunk)
            await self._begin_content(content)
            await self._send({"type": "http.response.body", "body": b""})

    async def _begin_content(self, content: answers.Content) -> None:
        if not self.status:
            self.plain = True
            await self._begin(content.status, content.headers)

    async def _begin_stream(self) -> None:
        if not self.status:
            await self._begin(200, answers.SSE)

    async def _chunk(self, frame: bytes) -> None:
        await self._send({"type": "http.response.body", "body": frame, "more_body": True})

    async def _begin(self, status: int, headers: answers.Headers) -> None:
        limit_headers = await self._limit_headers()
        if self.status:  # a ping was quicker
            return
        self.status = status
        organization = self.principal.organization_id if self.principal else None
        standing = answers.standing(self.request_id, organization, self.started)
        start: Message = {
            "type": "http.response.start",
            "status": status,
            "headers": headers + standing + limit_headers,
        }
        await self._send(start)

    async def _limit_headers(self) -> answers.Headers:
        if self.context and self.context.taken:
            return self.context.taken.headers()
        if self.principal is None:
            return []
        owner = self.principal.project_id or self.principal.organization_id
        return (await self.api.services.limits.peek(owner, UNMETERED)).headers()

    async def _whole(self, status: int, body: bytes, headers: answers.Headers) -> None:
        length = (b"content-length", b"%d" % len(body))
        await self._begin(status, [*headers, length])
        await self._send(
            {"type": "http.response.body", "body": b"" if self.method == "HEAD" else body}
        )

    async def _fail(self, error: APIError) -> None:
        if self.plain:  # no error fits among bytes: the server breaks the connection off
            return
        if self.status:
            await self._send({"type": "http.response.body", "body": sse.error_frame(error)})
            return
        headers = [answers.JSON, *answers.error_headers(error)]
        await self._whole(error.status, answers.encode(error.body()), headers)

    def _report(self, error: Exception) -> None:
        """Log an unknown exception without its message, which may quote a prompt."""
        log.error(
            "unhandled %s",
            type(error).__qualname__,
            extra={
                "fields": {
                    "request_id": self.request_id,
                    "operation": self.operation_id,
                    "frames": traceback.format_tb(error.__traceback__),
                }
            },
        )

    def _account(self) -> None:
        seconds = time.perf_counter() - self.started
        status = 499 if self.gone else self.status
        context, principal = self.context, self.principal
        self.api.metrics.answered(self.operation_id or "unknown", status, seconds)
        if context and context.tokens and context.model:
            self.api.metrics.tokens(context.model, context.tokens)
        logs.access(
            {
                "request_id": self.request_id,
                "method": self.method,
                "path": self.path,
                "operation": self.operation_id,
                "status": status,
                "ms": round(seconds * 1000, 1),
                "project": principal.project_id if principal else None,
                "key": principal.key_id if principal else None,
                "model": context.model if context else None,
                "tokens": context.tokens if context else None,
            }
        )


class _Pings:
    """While entered, sends a comment whenever nothing was sent for ``every`` seconds."""

    def __init__(
        self,
        every: float,
        begin: Callable[[], Awaitable[None]],
        send: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self._every = every
        self._begin = begin
        self._write = send

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self.touch()
        self._timer = self._loop.call_later(self._every, self._due)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._task:
            await asyncio.gather(self._task, return_exceptions=True)

    def touch(self) -> None:
        self._last = self._loop.time()

    def _due(self) -> None:
        silent = self._loop.time() - self._last
        if silent >= self._every:
            self._task = self._loop.create_task(self._ping())
            silent = 0
        self._timer = self._loop.call_later(self._every - silent, self._due)

    async def _ping(self) -> None:
        self.touch()
        await self._begin()
        await self._write(sse.PING)


def checked_body(bound: Bound, body: Any) -> BaseModel:
    """Return the body as its wire type, or raise in OpenAI's words. Batches use it too."""
    wire = bound.body
    if wire is None:
        raise ValueError(f"{bound.operation_id} takes no body")
    parsed = _checked(wire, body)
    endpoints.refuse(bound.operation_id, body)
    limits.check(bound.operation_id, body)
    return parsed


def checked_query(operation_id: str, wire: type[BaseModel], text: bytes) -> BaseModel:
    """Return the query's parameters as their wire type, or raise in OpenAI's words."""
    if b"%00" in text:  # no text of ours holds one, and not every database could look for it
        raise BadRequestError("Invalid query: it must not contain NUL characters (%00).")
    parsed = _checked(wire, query.parse(text, wire))
    limits.check(operation_id, parsed.model_dump())
    return parsed


def _checked(wire: type[BaseModel], value: Any) -> BaseModel:
    try:
        return wire.model_validate(value)
    except ValidationError as error:
        raise errors.bad_request(error, value) from None


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return value.decode("latin-1") if value else None


def _unknown(request_id: str) -> InternalServerError:
    return InternalServerError(
        "The server had an error while processing your request. Sorry about that! The operator "
        f"finds it in the log under the request ID {request_id}."
    )
