"""What the child tells its parent."""

import msgspec

from freehold.documents.errors import Code


class Parsed(msgspec.Struct, tag=True):
    """A document's text, and its chunks: first and last character, tokens."""

    text: str
    spans: list[tuple[int, int, int]]


class Unreadable(msgspec.Struct, tag=True):
    """Why there is no text."""

    code: Code
    message: str
