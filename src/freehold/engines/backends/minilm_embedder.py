"""A model in the child process: texts to tokens, tokens to windows, windows to vectors."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from freehold.engines.backends.minilm_batches import Job, Window
from freehold.engines.backends.minilm_messages import Input
from freehold.engines.backends.windows import split


class UnfitWeightsError(Exception):
    """The files are no model that this backend can run."""


class UnknownTokenError(Exception):
    """A token id that the model does not have."""

    def __init__(self, index: int, token: int) -> None:
        super().__init__(token)
        self.index = index
        self.token = token


class Embedder(ABC):
    """A loaded model. ``window`` counts the marks too that stand before and after a text."""

    dimensions: int

    def __init__(
        self, window: int, vocabulary: int, before: Sequence[int], after: Sequence[int]
    ) -> None:
        self.window = window
        self._vocabulary = vocabulary
        self._before, self._after = before, after
        self._room = window - len(before) - len(after)

    @abstractmethod
    def tokens_of(self, texts: Sequence[str]) -> Iterator[Sequence[int]]:
        """Yield each text's tokens, without marks."""

    @abstractmethod
    def compute(self, batch: Sequence[Window]) -> None:
        """Add each window's vector to its job."""

    def tokenize(self, inputs: Sequence[Input]) -> list[Sequence[int]]:
        """Return each input's tokens, without marks. Raises ``UnknownTokenError``."""
        found = self.tokens_of([value for value in inputs if isinstance(value, str)])
        return [
            next(found) if isinstance(value, str) else self._known(index, value)
            for index, value in enumerate(inputs)
        ]

    def job(self, number: int, inputs: Sequence[Input]) -> tuple[Job, list[Window]]:
        """Return a request's job and its windows. Raises ``UnknownTokenError``."""
        tokens = self.tokenize(inputs)
        sums = np.zeros((len(inputs), self.dimensions), np.float32)
        job = Job(number, [len(each) for each in tokens], sums, 0)
        windows = [
            Window(job, index, self._marked(piece))
            for index, each in enumerate(tokens)
            for piece in split(each, self._room)
        ]
        job.left = len(windows)
        return job, windows

    def _marked(self, tokens: Sequence[int]) -> list[int]:
        return [*self._before, *tokens, *self._after]

    def _known(self, index: int, tokens: list[int]) -> list[int]:
        for token in tokens:
            if not 0 <= token < self._vocabulary:
                raise UnknownTokenError(index, token)
        return tokens
