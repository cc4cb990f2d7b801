"""The text of .doc files, as Word 97 and later wrote them: pieces of a stream in an OLE file."""

import importlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from freehold.documents.errors import UnreadableError

_olefile: Final[Any] = importlib.import_module("olefile")  # it has half its types
_ENCRYPTED, _TABLE_1 = 0x0100, 0x0200
_FLAGS_AT, _CLX_AT, _TEXT_LENGTH_AT = 0x0A, 0x01A2, 0x4C
_PROPERTIES, _PIECES = 1, 2
_ONE_BYTE: Final = 1 << 30
_MARKS: Final = {7: "\t", 11: "\n", 12: "\n\n", 13: "\n", 30: "-", 31: None, 160: " "}
_FIELD_BEGIN, _FIELD_TEXT, _FIELD_END = "\x13", "\x14", "\x15"


def read(path: Path) -> str:
    """Return the text of a Word document."""
    try:
        with _olefile.OleFileIO(path) as file:
            stream = file.openstream("WordDocument").read()
            flags = struct.unpack_from("<H", stream, _FLAGS_AT)[0]
            if flags & _ENCRYPTED:
                raise UnreadableError("The document is encrypted.")
            table = file.openstream("1Table" if flags & _TABLE_1 else "0Table").read()
        text = "".join(_pieces(stream, table))
    except (OSError, struct.error, IndexError, ValueError):
        raise UnreadableError("The document is damaged, or not a Word document.") from None
    return _shown(text[: struct.unpack_from("<i", stream, _TEXT_LENGTH_AT)[0]])


def _pieces(stream: bytes, table: bytes) -> Iterator[str]:
    borders, places = _piece_table(stream, table)
    for index, place in enumerate(places):
        length = borders[index + 1] - borders[index]
        if place & _ONE_BYTE:
            start = (place & ~_ONE_BYTE) // 2
            yield stream[start : start + length].decode("cp1252", "replace")
        else:
            yield stream[place : place + 2 * length].decode("utf-16-le", "replace")


def _piece_table(stream: bytes, table: bytes) -> tuple[list[int], list[int]]:
    """Return the borders of the pieces, in characters, and where each lies in the stream."""
    at, size = struct.unpack_from("<ii", stream, _CLX_AT)
    end = at + size
    while table[at] == _PROPERTIES:
        at += 3 + struct.unpack_from("<H", table, at + 1)[0]
    if table[at] != _PIECES or at >= end:
        raise ValueError("no pieces")
    count = (struct.unpack_from("<i", table, at + 1)[0] - 4) // 12
    borders = struct.unpack_from(f"<{count + 1}i", table, at + 5)
    first = at + 5 + 4 * (count + 1)
    places = [struct.unpack_from("<i", table, first + 8 * n + 2)[0] for n in range(count)]
    return list(borders), places


def _shown(text: str) -> str:
    """Return the text without fields' instructions and with its marks as spaces and lines."""
    parts: list[str] = []
    fields: list[bool] = []  # those begun; whether what comes is still the instruction
    for character in text:
        if character == _FIELD_BEGIN:
            fields.append(True)
        elif character == _FIELD_TEXT and fields:
            fields[-1] = False
        elif character == _FIELD_END and fields:
            fields.pop()
        elif not any(fields):
            parts.append(character)
    kept = "".join(parts).translate(_MARKS)
    return "".join(each for each in kept if each >= " " or each in "\n\t").strip()
