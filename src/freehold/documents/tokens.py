"""Text as pieces with their numbers of tokens, in the vocabulary that chunk sizes are meant in."""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final

from freehold.data.vocabulary import Vocabulary

# The pattern of cl100k_base, with what Python's `re` knows of letters and digits.
_PIECE: Final = re.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    r"|(?:[^\r\n\w]|_)?[^\W\d_]+"
    r"|\d{1,3}"
    r"| ?(?:[^\s\w]|_)+[\r\n]*"
    r"|\s*[\r\n]+"
    r"|\s+(?!\S)"
    r"|\s+"
    r"|."
)
# Longer pieces (no words of a language) are cut, so that none is larger than the smallest chunk.
_LONGEST: Final = 24


def pieces(text: str) -> Iterator[tuple[int, int]]:
    """Yield the end of each piece of the text and how many tokens it has."""
    for match in _PIECE.finditer(text):
        start, end = match.span()
        while end - start > _LONGEST:
            start += _LONGEST
            yield start, count(text[start - _LONGEST : start])
        yield end, count(text[start:end])


@lru_cache(maxsize=65_536)
def count(piece: str) -> int:
    """Return the number of tokens of one piece."""
    ranks, parts = _ranks(), piece.encode()
    if parts in ranks:
        return 1
    merged = [parts[index : index + 1] for index in range(len(parts))]
    while len(merged) > 1:
        best, at = min(
            (ranks.get(merged[index] + merged[index + 1], _NEVER), index)
            for index in range(len(merged) - 1)
        )
        if best == _NEVER:
            break
        merged[at : at + 2] = [merged[at] + merged[at + 1]]
    return len(merged)


_NEVER: Final = 1 << 31


@cache
def _ranks() -> dict[bytes, int]:
    table = Vocabulary.load("cl100k_base")
    known = ((token, table.bytes_of(token)) for token in range(len(table)))
    return {data: token for token, data in known if data is not None}
