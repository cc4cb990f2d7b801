"""What two searches have found, as one list with scores.

The lists are joined by reciprocal rank fusion: what is high in one, or in both, comes first. The
ranker then looks at each chunk itself: how near it is in meaning, and how much of the question's
words it has, rare words counting more. `bench/search.py` is where the figures come from.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from freehold.storage.fulltext import telling_words
from freehold.storage.vectors import Near

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Ranker = Literal["none", "auto"]

# How much the first ranks count more than later ones: the less this is, the more.
_FUSION: Final = 4
_LEAST_CANDIDATES: Final = 50
_MEANING: Final = 0.5  # its share of a score; the rest is words
_WORD: Final = re.compile(r"\w+")
_LEAST_STEM: Final = 4
_ENDING: Final = 2


class Text(NamedTuple):
    """What the ranker looks at of a chunk; its vector is of unit length."""

    text: str
    vector: "NDArray[np.float32]"


def width(limit: int) -> int:
    """Return how many chunks each search shall find."""
    return max(_LEAST_CANDIDATES, 2 * limit)


def joined(near: Sequence[Sequence[Near]], worded: Sequence[Sequence[int]]) -> dict[int, float]:
    """Return the chunks of all lists, the best first, with 1 for what is first in every list."""
    lists = [[each.chunk for each in listed] for listed in near] + [list(each) for each in worded]
    scores: dict[int, float] = {}
    for listed in lists:
        for rank, chunk in enumerate(listed, 1):
            scores[chunk] = scores.get(chunk, 0.0) + (_FUSION + 1) / (_FUSION + rank) / len(lists)
    return dict(sorted(scores.items(), key=_best_first))


def ranked(
    texts: Mapping[int, Text], questions: Sequence[str], vectors: "NDArray[np.float32]"
) -> dict[int, float]:
    """Return the chunks with scores from 0 to 1, the best first.

    Of several questions (with a row of ``vectors`` each), the one that fits a chunk best counts.
    """
    words = {chunk: _stems(_WORD.findall(each.text.lower())) for chunk, each in texts.items()}
    scores = dict.fromkeys(texts, 0.0)
    for question, vector in zip(questions, vectors, strict=True):
        weights = _weights(_stems(telling_words(question)), words)
        for chunk, each in texts.items():
            shared = sum(weights[word] for word in weights.keys() & words[chunk])
            nearness = max(0.0, float(each.vector @ vector))
            score = _MEANING * nearness + (1 - _MEANING) * shared
            scores[chunk] = max(scores[chunk], min(1.0, score))
    return dict(sorted(scores.items(), key=_best_first))


def _weights(asked: set[str], words: Mapping[int, set[str]]) -> dict[str, float]:
    """Return how much each word of a question counts, 1 in all: the fewer have it, the more."""
    having = {word: sum(word in each for each in words.values()) for word in asked}
    raw = {word: math.log(1 + len(words) / (count + 0.5)) for word, count in having.items()}
    total = sum(raw.values()) or 1.0  # nothing was found: nothing is weighed
    return {word: weight / total for word, weight in raw.items()}


def _stems(words: Sequence[str]) -> set[str]:
    """Return words without endings; numbers as they are."""
    return {
        word if word[0].isdigit() else word[: max(_LEAST_STEM, len(word) - _ENDING)]
        for word in words
    }


def _best_first(scored: tuple[int, float]) -> tuple[float, int]:
    return -scored[1], scored[0]
