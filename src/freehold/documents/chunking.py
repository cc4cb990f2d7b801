"""A text cut into overlapping chunks of tokens."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from freehold.documents.errors import UnreadableError
from freehold.documents.tokens import pieces

# A chunk ends at a sentence or line where one ends in its last part (1 / this).
_LAST_PART: Final = 8
_SENTENCE_ENDS: Final = ".!?…。！？"  # noqa: RUF001 - those of other scripts


@dataclass(frozen=True, slots=True)
class Chunking:
    """How large chunks are and how much neighbours share, in tokens."""

    size: int
    overlap: int


@dataclass(frozen=True, slots=True)
class Span:
    """A chunk: where it lies in the text, and its tokens."""

    start: int
    end: int
    tokens: int


def cut(text: str, chunking: Chunking, most_tokens: int) -> list[Span]:
    """Return the chunks that cover the text; none where it is blank.

    No chunk is larger than asked for, and the next one begins at most the overlap before its end.
    Raises ``UnreadableError`` where the text has more than ``most_tokens``.
    """
    ends, sizes = [0], [0]
    for end, tokens in pieces(text):
        ends.append(end)
        sizes.append(tokens)
        if len(ends) > most_tokens + 1:
            break
    sums = list(accumulate(sizes))
    if sums[-1] > most_tokens:
        raise UnreadableError(f"The file has more than {most_tokens:,} tokens.")
    return [
        Span(ends[first], ends[last], sums[last] - sums[first])
        for first, last in _windows(text, ends, sums, chunking)
        if not text[ends[first] : ends[last]].isspace()
    ]


def _windows(
    text: str, ends: Sequence[int], sums: Sequence[int], chunking: Chunking
) -> list[tuple[int, int]]:
    """Return the first and last border of each chunk, as indexes of ``ends``."""
    found: list[tuple[int, int]] = []
    first, final = 0, len(ends) - 1
    while first < final:
        last = _reach(sums, first, chunking.size)
        if last < final:
            last = _natural_end(text, ends, first, last)
        found.append((first, last))
        if last == final:
            break
        first = max(first + 1, _reach_back(sums, last, chunking.overlap))
    return found


def _reach(sums: Sequence[int], first: int, size: int) -> int:
    """Return the last border that is at most ``size`` tokens away, one further at least."""
    last = bisect_right(sums, sums[first] + size) - 1
    return max(last, first + 1)


def _reach_back(sums: Sequence[int], last: int, size: int) -> int:
    """Return the first border that is at most ``size`` tokens before."""
    return bisect_left(sums, sums[last] - size)


def _natural_end(text: str, ends: Sequence[int], first: int, last: int) -> int:
    """Return the last border in the chunk's last part behind which a line or sentence ends."""
    earliest = last - (last - first) // _LAST_PART
    for border in range(last, earliest, -1):
        before = text[ends[border - 1] : ends[border]].rstrip(" \t")
        if before.endswith("\n") or (before and before[-1] in _SENTENCE_ENDS):
            return border
    return last
