"""The content of a file over HTTP: whole, in part, or unchanged since the client last saw it."""

import re
from collections.abc import AsyncGenerator, Mapping
from email.utils import formatdate
from mimetypes import MimeTypes
from typing import Any
from urllib.parse import quote

from sqlalchemy import Row

from freehold.api.answers import Content
from freehold.api.context import Services
from freehold.core.errors import RangeNotSatisfiableError
from freehold.resources.files import library

Headers = Mapping[bytes, bytes]

_RANGE = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})")
_TYPES = MimeTypes()  # of Python itself: the same on every machine
_TYPES.add_type("application/jsonl", ".jsonl")
_TYPES.add_type("text/markdown", ".md")
_TYPES.add_type("image/webp", ".webp")


def answer(file: Row[Any], headers: Headers, services: Services) -> Content:
    """Return what the request's headers ask for. Raises ``RangeNotSatisfiableError``."""
    tag = f'"{file.sha256}"'.encode()
    standing = [
        (b"etag", tag),
        (b"accept-ranges", b"bytes"),
        (b"last-modified", formatdate(file.created_at, usegmt=True).encode()),
        (b"cache-control", b"private, no-cache"),
    ]
    if _names(headers.get(b"if-none-match", b""), tag):
        return Content(_nothing(), standing, 304)
    described = [*standing, *_described(file.filename)]
    wanted = _wanted(headers, tag, file.bytes)
    if wanted is None:
        length = (b"content-length", b"%d" % file.bytes)
        return Content(library.read(services, file), [*described, length])
    start, size = wanted
    place = b"bytes %d-%d/%d" % (start, start + size - 1, file.bytes)
    part = [(b"content-range", place), (b"content-length", b"%d" % size)]
    return Content(library.read(services, file, start, size), [*described, *part], 206)


def _wanted(headers: Headers, tag: bytes, size: int) -> tuple[int, int] | None:
    """Return the first byte and the number of bytes asked for; None for all of them.

    Several ranges, other units, absurd numbers and a range of another version count as not asked
    for.
    """
    match = _RANGE.fullmatch(headers.get(b"range", b"").strip())
    if match is None or headers.get(b"if-range", tag) != tag:
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:  # the last so many bytes
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise RangeNotSatisfiableError(f"The file has {size} bytes: none are in the range.", size)
    return start, end - start


def _described(filename: str) -> list[tuple[bytes, bytes]]:
    """Return what the bytes are. Nothing is shown by a browser as if it were a page of ours."""
    kind = _TYPES.guess_type(filename)[0] or "application/octet-stream"
    plain = re.sub(r'[^ -~]|["\\%]', "_", filename)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
    return [
        (b"content-type", kind.encode()),
        (b"content-disposition", disposition.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]


def _names(header: bytes, tag: bytes) -> bool:
    return any(name.strip().removeprefix(b"W/") in (tag, b"*") for name in header.split(b","))


async def _nothing() -> AsyncGenerator[bytes, None]:
    for nothing in ():
        yield nothing
