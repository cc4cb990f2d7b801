"""Tokenised conversations in one file, and the order in which they are read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from freehold_training.example import Example
from freehold_training.prompt import Renderer

Step = list[list[int]]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A conversation as token ids; ``learnt`` marks those that the model has to write."""

    row: str
    ids: list[int]
    learnt: list[bool]


def encode(example: Example, renderer: Renderer, tokenizer: Any) -> Encoded:
    """Return the example tokenised; pieces apart, as the server's prompt and answer are."""
    ids: list[int] = []
    learnt: list[bool] = []
    for text, answer in renderer.pieces(example):
        piece: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        ids += piece
        learnt += [answer] * len(piece)
    return Encoded(example["row"], ids, learnt)


@dataclass(frozen=True, slots=True)
class Conversations:
    """Tokenised conversations one after another; number n ends before ``ends[n]``."""

    ids: NDArray[np.int32]
    learnt: NDArray[np.bool_]
    ends: NDArray[np.int64]
    rows: NDArray[np.str_]

    @classmethod
    def of(cls, encoded: Iterable[Encoded]) -> Self:
        """Return the conversations in their order."""
        known = list(encoded)
        return cls(
            np.array([id_ for one in known for id_ in one.ids], np.int32),
            np.array([mark for one in known for mark in one.learnt], np.bool_),
            np.cumsum([len(one.ids) for one in known], dtype=np.int64),
            np.array([one.row for one in known], np.str_),
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return conversations that were saved."""
        with np.load(path) as held:
            return cls(held["ids"], held["learnt"], held["ends"], held["rows"])

    def save(self, path: Path) -> None:
        """Write the file whole or not at all."""
        partial = path.with_suffix(".part.npz")
        np.savez_compressed(
            partial, ids=self.ids, learnt=self.learnt, ends=self.ends, rows=self.rows
        )
        partial.replace(path)

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each conversation."""
        return np.diff(self.ends, prepend=0).tolist()

    def padded(self, numbers: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return ids and marks (conversations, longest), padded on the right with zeros."""
        spans = [self._span(number) for number in numbers]
        ids = np.zeros((len(numbers), max(end - start for start, end in spans)), np.int64)
        learnt = np.zeros(ids.shape, np.bool_)
        for line, (start, end) in enumerate(spans):
            ids[line, : end - start] = self.ids[start:end]
            learnt[line, : end - start] = self.learnt[start:end]
        return ids, learnt

    def learnt_of(self, number: int) -> int:
        """Count the tokens that are learnt of a conversation."""
        start, end = self._span(number)
        return int(self.learnt[start:end].sum())

    def _span(self, number: int) -> tuple[int, int]:
        return int(self.ends[number - 1]) if number else 0, int(self.ends[number])


def plan(
    lengths: Sequence[int], *, epochs: int, step_tokens: int, micro_tokens: int, seed: int
) -> list[Step]:
    """Return the steps of a training: in each, groups of conversations that are read at once.

    Every epoch has an order of its own, which depends on the seed alone. Groups hold conversations
    of like length, at most ``micro_tokens`` with padding unless a single one is longer.
    """
    steps: list[Step] = []
    for epoch in range(epochs):
        order = list(range(len(lengths)))
        Random(f"{seed}/{epoch}").shuffle(order)  # noqa: S311 - an order, no secret
        filled = _filled(order, lengths, step_tokens)
        steps += [list(_alike(step, lengths, micro_tokens)) for step in filled]
    return steps


def _filled(order: Sequence[int], lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    step: list[int] = []
    held = 0
    for number in order:
        step.append(number)
        held += lengths[number]
        if held >= tokens:
            yield step
            step, held = [], 0
    if step:
        yield step


def _alike(step: Sequence[int], lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    group: list[int] = []
    for number in sorted(step, key=lambda number: (-lengths[number], number)):
        if group and lengths[group[0]] * (len(group) + 1) > tokens:
            yield group
            group = []
        group.append(number)
    yield group
