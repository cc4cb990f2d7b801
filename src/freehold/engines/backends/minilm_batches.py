"""Which windows of text are computed together: requests in flight share batches, fairly.

A request's windows are sorted by length and cut into rounds of one batch's size. Each round of a
request waits for the earlier rounds of all others only, so a request of thousands of texts does
not hold up one of a single text.
"""

import heapq
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Padded tokens of one batch: more does not raise throughput and keeps others waiting.
BATCH_TOKENS: Final = 512
# Padding that a batch may hold: this part of its tokens, or a few tokens that cost nothing.
_PADDING_SHARE: Final = 0.25
_PADDING_FREE: Final = 32

Vectors = NDArray[np.float32]


@dataclass(slots=True, eq=False)
class Job:
    """A request: sums of its windows' vectors by input, weighted by the windows' lengths."""

    id: int
    tokens: list[int]
    sums: Vectors
    left: int
    cancelled: bool = False

    def add(self, index: int, vector: Vectors, weight: int) -> None:
        self.sums[index] += vector * np.float32(weight)
        self.left -= 1

    def vectors(self) -> Vectors:
        """Return the inputs' vectors, of unit length."""
        lengths = np.linalg.norm(self.sums, axis=1, keepdims=True)
        return self.sums / np.maximum(lengths, np.float32(1e-12))


@dataclass(slots=True, eq=False)
class Window:
    """A piece of an input, as long as the model can read."""

    job: Job
    index: int
    tokens: Sequence[int]


class Batches:
    """Windows that wait, in the order in which they are computed. Used by two threads."""

    def __init__(self, limit: int = BATCH_TOKENS) -> None:
        self._limit = limit
        self._heap: list[tuple[int, int, int, Window]] = []
        self._numbers = count()
        self._round = 0
        self._changed = threading.Condition()

    def add(self, windows: Sequence[Window]) -> None:
        """Put a request's windows in line."""
        with self._changed:
            tokens = 0
            for window in sorted(windows, key=lambda window: len(window.tokens)):
                size = len(window.tokens)
                round_ = self._round + tokens // self._limit
                heapq.heappush(self._heap, (round_, size, next(self._numbers), window))
                tokens += size
            self._changed.notify()

    def take(self) -> list[Window]:
        """Return the next batch; wait until there is one."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._heap)
                if batch := self._next():
                    return batch

    def _next(self) -> list[Window]:
        """Return windows from the front of the line as long as they fit together."""
        batch: list[Window] = []
        longest = tokens = 0
        while self._heap:
            round_, size, _, window = self._heap[0]
            if not window.job.cancelled:
                longest, tokens = max(longest, size), tokens + size
                if batch and not self._fits(longest * (len(batch) + 1), tokens):
                    break
                batch.append(window)
            heapq.heappop(self._heap)
            self._round = round_
        return batch

    def _fits(self, padded: int, tokens: int) -> bool:
        padding = padded - tokens
        return padded <= self._limit and padding <= max(_PADDING_FREE, padded * _PADDING_SHARE)
