"""The text that a reader of an HTML page sees."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from freehold.documents import plain

_UNSEEN: Final = frozenset({"script", "style", "template", "noscript"})
_BLOCK_TAGS: Final = (
    "address article aside blockquote br caption dd details div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol option p pre section select summary "
    "table tbody tfoot thead title tr ul"
)
_BLOCKS: Final = frozenset(_BLOCK_TAGS.split())
_CELLS: Final = frozenset({"td", "th"})
_CHARSET: Final = re.compile(rb"""<meta[^>]*charset=["']?\s*([\w-]+)""", re.IGNORECASE)
_HEAD: Final = 4096


def read(path: Path) -> str:
    """Return the text of an HTML file, a line for each of its blocks."""
    data = path.read_bytes()
    named = _CHARSET.search(data[:_HEAD])
    page = _Page()
    page.feed(plain.decode(data, named[1].decode("ascii") if named else None))
    page.close()
    return page.text()


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self._parts: list[str] = []
        self._unseen = 0
        self._kept = 0  # inside <pre>, whose spaces count

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser's signature
        self._unseen += tag in _UNSEEN
        self._kept += tag == "pre"
        self._border(tag)

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        self._kept = max(0, self._kept - (tag == "pre"))
        if tag in _BLOCKS:
            self._parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._parts.append(data if self._kept else re.sub(r"\s+", " ", data))

    def _border(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._parts.append("\n")
        elif tag in _CELLS:
            self._parts.append("\t")

    def text(self) -> str:
        lines = (line.strip(" ") for line in "".join(self._parts).split("\n"))
        return re.sub(r"\n\s*\n+", "\n\n", "\n".join(lines)).strip()
