"""The code inside a call's arguments while they are still being written."""

import json
import re

_HEAD = re.compile(r'\s*\{\s*"code"\s*:\s*"')
_WHOLE = re.compile(r'(?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*')
_HIGH = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}$")  # the first half of a pair


class CodePieces:
    """Fed with pieces of ``{"code": "..."}``, gives the code in pieces of whole characters."""

    def __init__(self) -> None:
        self._text = ""
        self._at = 0  # how far the string was decoded; 0 before it begins

    def feed(self, arguments: str) -> str:
        """Return the code that this piece completes, perhaps none."""
        self._text += arguments
        if not self._at:
            head = _HEAD.match(self._text)
            if head is None:
                return ""
            self._at = head.end()
        whole = _WHOLE.match(self._text, self._at)
        text = whole[0] if whole else ""
        text = _HIGH.sub("", text)
        self._at += len(text)
        return json.loads(f'"{text}"', strict=False)
