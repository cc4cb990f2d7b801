"""What two searches have found, as one list with scores.

The lists are joined by reciprocal rank fusion: what is high in one, or in both, comes first. The
ranker then looks at the texts themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from freehold.storage.vectors import Near

Ranker = Literal["none", "auto"]

_FUSION: Final = 60  # how much the first ranks count more than later ones; the less, the larger
_LEAST_CANDIDATES: Final = 50


@dataclass(slots=True)
class Candidate:
    """A chunk that one or both searches have found."""

    chunk: int
    fusion: float = 0.0
    similarity: float = 0.0


def width(limit: int) -> int:
    """Return how many chunks each search shall find."""
    return max(_LEAST_CANDIDATES, 2 * limit)


def joined(near: Sequence[Sequence[Near]], worded: Sequence[Sequence[int]]) -> list[Candidate]:
    """Return what was found by meaning and by words for each question, the best first.

    ``fusion`` is 1 for what comes first in every list.
    """
    found: dict[int, Candidate] = {}
    share = (_FUSION + 1) / (len(near) + len(worded))
    for listed in near:
        for rank, (chunk, similarity) in enumerate(listed, 1):
            candidate = found.setdefault(chunk, Candidate(chunk))
            candidate.fusion += share / (_FUSION + rank)
            candidate.similarity = max(candidate.similarity, similarity)
    for listed in worded:
        for rank, chunk in enumerate(listed, 1):
            candidate = found.setdefault(chunk, Candidate(chunk))
            candidate.fusion += share / (_FUSION + rank)
    return sorted(found.values(), key=lambda each: (-each.fusion, each.chunk))


def ranked(
    candidates: Sequence[Candidate],
    questions: Sequence[str],
    texts: Mapping[int, str],
    ranker: Ranker,
) -> list[tuple[int, float]]:
    """Return chunks and their scores from 0 to 1, the best first."""
    scores = [(each.chunk, min(1.0, each.fusion)) for each in candidates]
    return sorted(scores, key=lambda pair: (-pair[1], pair[0]))
