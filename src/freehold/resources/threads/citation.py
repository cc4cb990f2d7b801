"""Marks in answers that say where a sentence comes from."""

import re

_MARK = re.compile(r"【\d+:\d+†[^】]*】")


def without_marks(text: str) -> str:
    """Return the text without its marks: a model that reads them would imitate them."""
    return _MARK.sub("", text)
