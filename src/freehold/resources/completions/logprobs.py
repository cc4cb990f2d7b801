"""Log-probabilities in the older shape: four lists, and offsets in characters."""

import codecs
from collections.abc import Sequence
from typing import Any

from freehold.engines.base import Candidate, TokenLogprob


class LogprobWriter:
    """Writes the tokens of one text in turn.

    Offsets count from the beginning of the prompt, whether it is echoed or not. A token that is a
    part of a character begins where the character does.
    """

    def __init__(self, *, offset: int) -> None:
        self._offset = offset
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, tokens: Sequence[TokenLogprob], *, first: bool = False) -> dict[str, Any]:
        """Return the lists of these tokens; ``first``: before the first of them is nothing."""
        figures: list[float | None] = [token.logprob for token in tokens]
        tops: list[dict[str, float] | None] = [_top(token) for token in tokens]
        if first and tokens:
            figures[0] = tops[0] = None
        return {
            "tokens": [_name(token) for token in tokens],
            "token_logprobs": figures,
            "top_logprobs": tops,
            "text_offset": [self._next(token.bytes) for token in tokens],
        }

    def _next(self, raw: bytes) -> int:
        here = self._offset
        self._offset += len(self._decoder.decode(raw))
        return here


def joined(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the lists of one text and of the text behind it."""
    return {name: values + other[name] for name, values in one.items()}


def _top(token: TokenLogprob) -> dict[str, float]:
    """Return the likeliest tokens, and the drawn one where it is not among them."""
    top: dict[str, float] = {}
    for candidate in (*token.top, token):
        top.setdefault(_name(candidate), candidate.logprob)
    return top


def _name(token: TokenLogprob | Candidate) -> str:
    """Return a token's text; of a part of a character, its bytes as OpenAI writes them."""
    try:
        return token.bytes.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.bytes)
