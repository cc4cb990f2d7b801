"""The built-in moderation: a small trained head on the vectors of our embedding model."""

import asyncio
from collections.abc import Sequence
from itertools import chain
from typing import Final, Self

from freehold.data import moderations
from freehold.engines.base import (
    Admitting,
    Embedded,
    EngineConfig,
    EngineLoadError,
    EngineStatus,
    Moderated,
)
from freehold.engines.moderation_features import pieces
from freehold.engines.moderation_head import Head
from freehold.engines.speed import Speed

# The scores of a piece of text, in the categories' order, and its tokens.
Piece = tuple[list[float], int]
# Calls under way at once; they wait for each other where texts are embedded.
_SLOTS: Final = 64


class ClassifierEngine:
    """Scores that are calibrated: of texts scored .3, about three in ten are what they seem."""

    def __init__(self, embedding: Admitting, head: Head, slots: int) -> None:
        self._embedding = embedding
        self._head = head
        self._slots = slots
        self._busy = 0
        self._speed = Speed()

    @classmethod
    async def load(cls, config: EngineConfig) -> Self:
        """Return the engine. Raises ``EngineLoadError`` where it has no embedding model to ask."""
        if config.base is None:
            raise EngineLoadError(f"The model {config.model} has no embedding model to ask.")
        head = await asyncio.to_thread(Head.load)
        return cls(config.base, head, config.slots or _SLOTS)

    @property
    def slots(self) -> int:
        return self._slots

    async def moderate(self, texts: Sequence[str]) -> Sequence[Moderated]:
        """Return what was found in each text; see ``ModerationEngine``."""
        cut = [pieces(text) for text in texts]
        every = list(chain.from_iterable(cut))
        self._busy += 1
        self._speed.begin()
        try:
            found = iter(await self._pieces(every) if every else [])
        finally:
            self._busy -= 1
            self._speed.end()
        return [_joined([next(found) for _ in each]) for each in cut]

    async def _pieces(self, every: Sequence[str]) -> list[Piece]:
        async with self._embedding.admit() as engine:
            embedded: Embedded = await engine.embed(every)
        scores = await asyncio.to_thread(self._head.scores, embedded.vectors, every)
        self._speed.count(sum(embedded.tokens))
        return list(zip(scores.tolist(), embedded.tokens, strict=True))

    async def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Return how many tokens of the embedding model each text takes."""
        async with self._embedding.admit() as engine:
            return await engine.count_tokens(texts)

    def status(self) -> EngineStatus:
        return EngineStatus(
            state="ready",
            slots=self._slots,
            busy=self._busy,
            restarts=0,
            window=0,
            resident_bytes=self._head.bytes,
            tokens_per_s=self._speed.tokens_per_s,
        )

    async def close(self) -> None:
        """Do nothing: the embedding model is not this engine's own."""


def _joined(found: Sequence[Piece]) -> Moderated:
    """Return the highest scores of a text's pieces, and their tokens together; 0 for no piece."""
    rows = moderations.categories()
    columns = (
        zip(*(scores for scores, _ in found), strict=True) if found else ((0.0,) for _ in rows)
    )
    scores = {row.name: max(column) for row, column in zip(rows, columns, strict=True)}
    applying = frozenset(row.name for row in rows if scores[row.name] >= row.threshold)
    return Moderated(scores, applying, sum(tokens for _, tokens in found))
