"""Every exchange of a test against the API description, as the server promises it.

An answer may hold only what the description defines (overlays included), so that drift is seen.
``oneOf`` counts as ``anyOf``: the description's branches overlap. Where the description contradicts
itself, ``amendments.py`` says what is taken.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Self

import httpx
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from amendments import AMENDMENTS
from freehold.data import document
from freehold.data.document import Operation, Schema

JSON = "application/json"
SSE = "text/event-stream"
DONE = "[DONE]"

# The events of a stream, which the description of December 2024 does not attach to the operation.
EVENTS = {
    "createChatCompletion": "CreateChatCompletionStreamResponse",
    "createCompletion": "CreateCompletionResponse",
}

# Those whose events have names; the description calls name and data together an event.
NAMED_EVENTS = {"createRun", "createThreadAndRun", "submitToolOuputsToRun"}

# Operations whose answer is a file's bytes; the description calls them a JSON string.
BYTES = {"downloadFile"}

_DROPPED = {"default", "deprecated", "discriminator", "format", "nullable", "title"}


class MismatchError(AssertionError):
    """An exchange that the description does not allow."""


def check_request(operation: Operation, body: Any) -> None:
    """Fail unless a JSON body is one that the operation documents.

    A field of null at the top counts as left out: the service takes it for any optional field.
    """
    schema = document.request_schema(operation.id)
    if schema is None:
        raise MismatchError(f"{operation.id} documents no JSON body")
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if value is not None}
    _check(f"request of {operation.id}", schema, body)


def check_response(operation: Operation, status: int, content_type: str, body: Any) -> None:
    """Fail unless a parsed JSON answer is one that the operation documents."""
    where = f"{status} of {operation.id}"
    if content_type.partition(";")[0] != JSON:
        raise MismatchError(f"{where}: content type {content_type!r} is not documented")
    if status >= 400:
        check_error(where, body)
        return
    schema = document.response_schema(operation.id, status)
    if schema is None:
        raise MismatchError(f"{where}: status is not documented")
    _check(where, schema, body)


def check_event(operation: Operation, event: Any) -> None:
    """Fail unless the data of one event in a stream is documented, or an error in its shape."""
    where = f"event of {operation.id}"
    if isinstance(event, dict) and "error" in event:
        check_error(where, event)
    elif operation.id in NAMED_EVENTS:
        _check(where, {"$ref": "#/components/schemas/AssistantStreamEvent"}, event)
    elif operation.id in EVENTS:
        _check(where, {"$ref": f"#/components/schemas/{EVENTS[operation.id]}"}, event)
    else:
        raise MismatchError(f"{where}: no stream is documented")


def check_error(where: str, body: Any) -> None:
    """Fail unless the body is ``{"error": {message, type, param, code}}`` and no more."""
    _check(where, {"$ref": "#/components/schemas/ErrorResponse"}, body)


def _check(where: str, schema: Schema, value: Any) -> None:
    validator = Draft202012Validator(_strict(schema, closed=True), registry=_registry())
    fault = best_match(validator.iter_errors(value))
    if fault is not None:
        raise MismatchError(f"{where}: {_told(fault)}")


def _told(fault: ValidationError) -> str:
    return f"{fault.json_path}: {fault.message[:500]}"


@cache
def _registry() -> Registry:
    return Registry(retrieve=_named)


@cache
def _named(uri: str) -> Resource:
    """Return a named schema of the description; ``open:`` lets it hold more than it defines."""
    kind, _, name = uri.partition(":")
    schema = _amended(name)
    return Resource(_strict(schema, closed=kind == "closed"), specification=DRAFT202012)


def _amended(name: str) -> Schema:
    schema = document.schema(name)
    for amendment in AMENDMENTS:
        if amendment.schema == name:
            schema = _amend(schema, amendment.path, amendment.keywords)
    return schema


def _amend(node: Schema, path: tuple[str, ...], keywords: Mapping[str, Any]) -> Schema:
    if not path:
        return node | dict(keywords)
    return node | {path[0]: _amend(node[path[0]], path[1:], keywords)}


def _strict(node: Schema, *, closed: bool) -> Schema:
    """Return an OpenAPI 3.0 schema as JSON Schema; ``closed``: no property beyond those named."""
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        strict: Schema = {"$ref": f"{'closed' if closed else 'open'}:{name}"}
    else:
        strict = dict(_keywords(node, closed=closed))
        if closed and "allOf" in node:
            strict["unevaluatedProperties"] = False
        elif closed and "properties" in node:
            strict.setdefault("additionalProperties", False)
    return {"anyOf": [strict, {"type": "null"}]} if node.get("nullable") else strict


def _keywords(node: Schema, *, closed: bool) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if key == "properties":
            yield key, {name: _strict(child, closed=True) for name, child in value.items()}
        elif key == "items" or (key == "additionalProperties" and isinstance(value, dict)):
            yield key, _strict(value, closed=True)
        elif key in {"oneOf", "anyOf"}:
            yield "anyOf", [_strict(child, closed=closed) for child in value]
        elif key == "allOf":
            yield key, [_strict(child, closed=False) for child in value]
        elif key not in _DROPPED and not key.startswith("x-"):
            yield key, value


def parse_events(text: str) -> list[str]:
    """Return the data of each event in the text of a stream; comments are left out."""
    events: list[str] = []
    for block in text.split("\n\n"):
        data: list[str] = []
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            if name == "data":
                data.append(value.removeprefix(" "))
            elif line and name not in {"", "event", "id", "retry"}:
                raise MismatchError(f"not a line of an event stream: {line!r}")
        if data:
            events.append("\n".join(data))
    return events


def parse_named_events(text: str) -> list[tuple[str, str]]:
    """Return name and data of each event in the text of a stream whose events have names."""
    events: list[tuple[str, str]] = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if line.find(":") > 0)
        if lines:
            events.append((lines["event"], lines["data"]))
    return events


class StreamCheck:
    """Checks the events of one stream in turn; ``finish`` says that it ended as it should."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self._done = False
        self._failed = False

    def take(self, data: str, name: str | None = None) -> Any:
        """Return the parsed event, None for the end mark."""
        if self._done:
            raise MismatchError(f"event after {DONE}: {data[:200]!r}")
        if data == DONE:
            self._done = True
            return None
        event = json.loads(data)
        if name is not None:
            event = {"event": name, "data": event}
        check_event(self.operation, event)
        self._failed = "error" in event or name == "error"
        return event

    def take_all(self, text: str) -> list[Any]:
        """Return the parsed events of a stream that was read whole, without the end mark."""
        if self.operation.id in NAMED_EVENTS:
            events = [self.take(data, name) for name, data in parse_named_events(text)]
        else:
            events = [self.take(data) for data in parse_events(text)]
        self.finish()
        return [event for event in events if event is not None]

    def finish(self) -> None:
        if not (self._done or self._failed):
            raise MismatchError(f"the stream of {self.operation.id} ended without {DONE}")


class CheckedStream:
    """An open stream; iterating yields its parsed events, each checked as it arrives."""

    def __init__(self, response: httpx.Response, operation: Operation) -> None:
        self.response = response
        self.comments = 0
        self._check = StreamCheck(operation)

    async def __aiter__(self) -> AsyncIterator[Any]:
        name = None
        async for line in self.response.aiter_lines():
            if line.startswith(":"):
                self.comments += 1
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            for data in parse_events(line):
                event = self._check.take(data, name)
                if event is not None:
                    yield event
        self._check.finish()


class CheckedClient:
    """An HTTP client whose every exchange below ``/v1`` is checked.

    ``sends_invalid=True`` is for requests that are wrong on purpose: they must get a 4xx.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    @classmethod
    def of_app(cls, app: Any, key: str | None = None) -> Self:
        """Return a client that calls the application in this process."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        transport = httpx.ASGITransport(app=app)
        return cls(httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> httpx.Response:
        return await self.request("POST", path, **options)

    async def delete(self, path: str, **options: Any) -> httpx.Response:
        return await self.request("DELETE", path, **options)

    async def request(
        self, method: str, path: str, *, sends_invalid: bool = False, **options: Any
    ) -> httpx.Response:
        """Send a request and return the answer once both fit the description."""
        operation = _operation(method, path)
        _check_sent(operation, options, sends_invalid=sends_invalid)
        response = await self.client.request(method, path, **options)
        _check_received(operation, path, response)
        _check_refused(response, sends_invalid=sends_invalid)
        return response

    @asynccontextmanager
    async def stream(self, method: str, path: str, **options: Any) -> AsyncIterator[CheckedStream]:
        """Open a stream. An answer that is none is read, checked and failed on."""
        operation = _operation(method, path)
        _check_sent(operation, options, sends_invalid=False)
        async with self.client.stream(method, path, **options) as response:
            if operation is None or _content_type(response) != SSE:
                await response.aread()
                _check_received(operation, path, response)
                raise MismatchError(f"no stream: {response.status_code} {response.text[:500]}")
            yield CheckedStream(response, operation)


def named_events_of(response: httpx.Response) -> list[Any]:
    """Return name and object of each event of a run's stream, as ``event`` and ``data``."""
    found = parse_named_events(response.text)
    return [{"event": name, "data": json.loads(data)} for name, data in found if data != DONE]


def events_of(response: httpx.Response) -> list[Any]:
    """Return the parsed events of a stream that was read whole, without the end mark."""
    return [json.loads(data) for data in parse_events(response.text) if data != DONE]


def _operation(method: str, path: str) -> Operation | None:
    plain = path.partition("?")[0]
    return document.find(method, plain.removeprefix("/v1")) if plain.startswith("/v1/") else None


def _content_type(response: httpx.Response) -> str:
    return response.headers.get("content-type", "").partition(";")[0]


def _check_sent(
    operation: Operation | None, options: Mapping[str, Any], *, sends_invalid: bool
) -> None:
    if operation is not None and "json" in options and not sends_invalid:
        check_request(operation, options["json"])


def _check_received(operation: Operation | None, path: str, response: httpx.Response) -> None:
    if operation is None:
        if path.startswith("/v1/"):
            _check_unknown(path, response)
    elif _content_type(response) == SSE and response.status_code == 200:
        StreamCheck(operation).take_all(response.text)
    elif not (operation.id in BYTES and response.status_code < 400):
        body = response.json() if _content_type(response) == JSON else None
        check_response(operation, response.status_code, _content_type(response), body)


def _check_unknown(path: str, response: httpx.Response) -> None:
    if response.status_code < 400:
        raise MismatchError(f"{path} is not documented but answers {response.status_code}")
    check_error(f"{response.status_code} of {path}", response.json())


def _check_refused(response: httpx.Response, *, sends_invalid: bool) -> None:
    if sends_invalid and not 400 <= response.status_code < 500:
        raise MismatchError(f"an invalid request got {response.status_code}")
