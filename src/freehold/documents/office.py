"""The text of .docx and .pptx files: XML in a ZIP archive."""

import lzma
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, XMLPullParser
from zipfile import BadZipFile, ZipFile, ZipInfo

from freehold.documents.errors import UnreadableError

_OLE: Final = bytes.fromhex("d0cf11e0a1b11ae1")
# What reading a ZIP archive, and XML in it, may raise where they are damaged.
_FAULTS: Final = (
    *(BadZipFile, EOFError, KeyError, NotImplementedError, OSError, ParseError, ValueError),
    *(lzma.LZMAError, zlib.error),
)
# All that may come out of one archive.
_MOST_BYTES: Final = 256 << 20
_BLOCK: Final = 1 << 16
_WORD_PARTS: Final = re.compile(r"word/(document|footnotes|endnotes)\.xml")
_SLIDE_PARTS: Final = re.compile(r"ppt/(slides|notesSlides)/\D*(\d+)\.xml")
_SPACES: Final = {"tab": "\t", "br": "\n", "cr": "\n", "p": "\n", "tr": "\n", "tc": "\t"}


def read_docx(path: Path) -> str:
    """Return the paragraphs of a Word document, then its notes."""
    with _opened(path) as archive:
        names = [name for name in archive.namelist() if _WORD_PARTS.fullmatch(name)]
        return _joined(archive, sorted(names), "word/document.xml")


def read_pptx(path: Path) -> str:
    """Return the texts of a presentation, each slide with its notes."""
    with _opened(path) as archive:
        found = [match for name in archive.namelist() if (match := _SLIDE_PARTS.fullmatch(name))]
        found.sort(key=lambda match: (int(match[2]), match[1] != "slides"))
        return _joined(archive, [match[0] for match in found], "ppt/presentation.xml")


def _opened(path: Path) -> ZipFile:
    with path.open("rb") as file:
        if file.read(len(_OLE)) == _OLE:
            raise UnreadableError("The document is encrypted, or of an older format than its name.")
    try:
        return ZipFile(path)
    except _FAULTS:
        raise _damaged() from None


def _joined(archive: ZipFile, names: list[str], required: str) -> str:
    try:
        infos = [archive.getinfo(name) for name in names]
        archive.getinfo(required)
        if sum(info.file_size for info in infos) > _MOST_BYTES:
            raise UnreadableError("The document is too large once it is unpacked.")
        texts = ["".join(_text(archive, info)) for info in infos]
    except _FAULTS:
        raise _damaged() from None
    except RuntimeError:  # what zipfile says of encrypted parts
        raise UnreadableError("The document is encrypted.") from None
    return "\n\n".join(text.strip("\n") for text in texts if text.strip())


def _text(archive: ZipFile, info: ZipInfo) -> Iterator[str]:
    """Yield the pieces of one part's text; what it has read is let go of."""
    left = _MOST_BYTES
    parser: XMLPullParser[Any] = XMLPullParser(("end",))
    with archive.open(info) as part:
        while block := part.read(_BLOCK):
            left -= len(block)
            if left < 0 or b"<!DOCTYPE" in block or b"<!ENTITY" in block:
                raise UnreadableError("The document is not what its format allows.")
            parser.feed(block)
            yield from _pieces(parser)
    parser.close()
    yield from _pieces(parser)


def _pieces(parser: Any) -> Iterator[str]:
    events: Iterator[tuple[str, Element]] = parser.read_events()
    for _, element in events:
        name = element.tag.rpartition("}")[2]
        if name == "t":
            yield element.text or ""
        elif name in _SPACES:
            yield _SPACES[name]
        element.clear()


def _damaged() -> UnreadableError:
    return UnreadableError("The document is damaged, or not of the format that its name says.")
