"""A moderation engine for tests: a text has the scores that it names, as in ``violence=0.9``."""

from typing import Self

from freehold.data.moderations import CATEGORIES
from freehold.engines.base import EngineConfig, EngineStatus, Moderated


class WordsEngine:
    """Remembers what it was asked; a category applies from 0.5 on. Words are tokens."""

    slots = 4

    def __init__(self) -> None:
        self.asked: list[str] = []

    @classmethod
    async def load(cls, _config: EngineConfig) -> Self:
        return cls()

    async def moderate(self, texts):
        self.asked += texts
        return [_found(text) for text in texts]

    async def count_tokens(self, texts):
        return [len(text.split()) for text in texts]

    def status(self) -> EngineStatus:
        return EngineStatus("ready", self.slots, 0, 0, 0)

    async def close(self) -> None:
        self.asked.clear()


def _found(text):
    pairs = (word.partition("=")[::2] for word in text.split())
    named = {name: float(score) for name, score in pairs if name in CATEGORIES}
    scores = {name: named.get(name, 0.0) for name in CATEGORIES}
    applying = frozenset(name for name, score in scores.items() if score >= 0.5)
    return Moderated(scores, applying, len(text.split()))
