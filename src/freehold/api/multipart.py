"""Multipart forms, part by part as they arrive: no part is ever whole in memory.

@operation("createFile")
async def create(context: Context, form: Form) -> dict[str, Any]:
    async for part in form:
        async for data in part: ...
"""

import re
from collections import deque
from collections.abc import AsyncIterator, Mapping
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.types import Receive

from freehold.api.client import ClientGone
from freehold.core.errors import (
    BadRequestError,
    RequestTooLargeError,
    UnsupportedMediaTypeError,
)

_KIND = "multipart/form-data"
_BOUNDARY_BYTES = 256
_FIELD_BYTES = 65_536
_AROUND_BYTES = 131_072  # boundaries, headers and fields beside the one that is bounded
# How clients write these in a file name.
_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n"}
_EXTENDED = re.compile(rb"""filename\*=utf-8'[^']*'([^;\s]+)""", re.IGNORECASE)


class Part:
    """One part of a form; iterating yields its bytes, once."""

    def __init__(self, name: str, filename: str | None, form: "Form") -> None:
        self.name = name
        self.filename = filename
        self._form = form
        self._ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._ended:
            data = await self._form.next()
            self._ended = not data
            if isinstance(data, bytes) and data:
                yield data

    async def text(self) -> str:
        """Return the whole part, a short text. Raises ``BadRequestError``."""
        whole = bytearray()
        async for data in self:
            whole += data
            if len(whole) > _FIELD_BYTES:
                raise BadRequestError(f"The form's field '{self.name}' is too long.")
        try:
            return whole.decode()
        except UnicodeDecodeError:
            raise BadRequestError(f"The form's field '{self.name}' is not UTF-8 text.") from None


class Form:
    """A multipart body that is being received; iterating yields its parts in turn, once."""

    def __init__(self, headers: Mapping[bytes, bytes], receive: Receive) -> None:
        """Begin to read. Raises ``UnsupportedMediaTypeError`` where the body is no form."""
        declared = headers.get(b"content-length", b"")
        self._declared = int(declared) if declared.isdigit() else 0
        self._cap: int | None = None
        self._received = 0
        self._receive = receive
        self._parser = _Parser(_boundary(headers), self)

    def limit(self, cap: int) -> None:
        """Refuse a body that is larger than one part of ``cap`` bytes and what goes around it."""
        self._cap = cap + _AROUND_BYTES
        if self._declared > self._cap:
            raise too_large(cap)

    async def __aiter__(self) -> AsyncIterator[Part]:
        while (event := await self.next()) is not None:
            if isinstance(event, Part):
                yield event
                async for _ in event:  # what the handler left of it
                    continue

    async def next(self) -> Part | bytes | None:
        """Return a part that begins, some of its bytes, none (b"") at its end; None at the end."""
        while not self._parser.events:
            if self._parser.complete:
                return None
            await self._feed()
        return self._parser.events.popleft()

    async def _feed(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body: bytes = message.get("body", b"")
        self._received += len(body)
        if self._cap is not None and self._received > self._cap:
            raise too_large(self._cap - _AROUND_BYTES)
        self._parser.feed(body)
        if not message.get("more_body") and not self._parser.complete:
            raise _broken("its last boundary is missing.")


class _Parser:
    """Turns the bytes of a body into the events of ``Form.next``."""

    def __init__(self, boundary: bytes, form: Form) -> None:
        self.events: deque[Part | bytes] = deque()
        self.complete = False
        self._form = form
        self._field = self._value = b""
        self._disposition = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._add_field,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._start,
                "on_part_data": self._add_data,
                "on_part_end": self._end,
                "on_end": self._finish,
            },
        )

    def feed(self, body: bytes) -> None:
        if self.complete:  # what follows the last boundary means nothing
            return
        try:
            self._parser.write(body)
        except FormParserError as error:
            raise _broken(f"{error}.") from None

    def _begin(self) -> None:
        self._disposition = b""

    def _add_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _start(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise _broken("a part has no name.")
        name, filename = _text(options[b"name"]), options.get(b"filename")
        given = _extended(self._disposition) if filename is None else _unescaped(filename)
        self.events.append(Part(name, given, self._form))

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if end > start:
            self.events.append(data[start:end])

    def _end(self) -> None:
        self.events.append(b"")

    def _finish(self) -> None:
        self.complete = True


def too_large(cap: int) -> RequestTooLargeError:
    """Return the refusal of a file that is larger than ``cap`` bytes."""
    return RequestTooLargeError(f"The file is larger than the {cap // 2**20} MB that are allowed.")


def _boundary(headers: Mapping[bytes, bytes]) -> bytes:
    kind, options = parse_options_header(headers.get(b"content-type"))
    if kind.decode("latin-1").lower() != _KIND:
        raise _not_a_form(kind.decode("latin-1"))
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= _BOUNDARY_BYTES:
        raise BadRequestError("The 'Content-Type' of the form names no boundary, or a bad one.")
    return boundary


def _extended(disposition: bytes) -> str | None:
    """Return a file name in the form that forms must not have but older clients send."""
    match = _EXTENDED.search(disposition)
    return unquote_to_bytes(match[1]).decode(errors="replace") if match else None


def _unescaped(filename: bytes) -> str:
    text = _text(filename)
    for escape, character in _ESCAPES.items():
        text = text.replace(escape, character)
    return text


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _broken(reason: str) -> BadRequestError:
    return BadRequestError(
        "We could not parse the multipart form of your request. (HINT: This likely means you "
        f"aren't using your HTTP library correctly: {reason})"
    )


def _not_a_form(kind: str) -> UnsupportedMediaTypeError:
    return UnsupportedMediaTypeError(
        f"Unsupported content type: '{kind}'. This API method only accepts '{_KIND}' requests, "
        f"but you specified the header 'Content-Type: {kind}'. Please try again with a supported "
        "content type."
    )
