"""Long inputs of embedding models, cut into windows that overlap."""

from collections.abc import Sequence
from typing import Final

# Tokens that neighbouring windows of a long input share at least.
OVERLAP: Final = 32


def split(tokens: Sequence[int], room: int) -> list[Sequence[int]]:
    """Return overlapping windows of equal length that cover the tokens."""
    if len(tokens) <= room:
        return [tokens]
    overlap = min(OVERLAP, room // 2)
    last = len(tokens) - room
    steps = -(-last // (room - overlap))
    starts = [last * step // steps for step in range(steps + 1)]
    return [tokens[start : start + room] for start in starts]
