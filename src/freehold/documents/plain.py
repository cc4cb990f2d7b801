"""Plain text and code, in whatever encoding it was written."""

import codecs
from pathlib import Path
from typing import Final

from charset_normalizer import from_bytes

from freehold.documents.errors import UnreadableError

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE: Final = 1 << 20


def read(path: Path) -> str:
    """Return the text of a file."""
    return decode(path.read_bytes())


def decode(data: bytes, declared: str | None = None) -> str:
    """Return bytes as text. Raises ``UnreadableError`` where they are none."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _with(data, encoding)
    for encoding in (declared, "utf-8"):
        try:
            if encoding:
                return _checked(data.decode(encoding))
        except (UnicodeError, LookupError):
            continue
    return _with(data, _guessed(data))


def _guessed(data: bytes) -> str:
    best = from_bytes(data[:_SAMPLE]).best()
    if best is None:
        raise UnreadableError("The file is not text in any known encoding.")
    return best.encoding


def _with(data: bytes, encoding: str) -> str:
    try:
        return _checked(data.decode(encoding))
    except UnicodeDecodeError:
        raise UnreadableError("The file is not text in any known encoding.") from None


def _checked(text: str) -> str:
    if "\0" in text:
        raise UnreadableError("The file is not text: it has NUL characters.")
    return text
