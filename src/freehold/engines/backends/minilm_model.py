"""The model in the child process: texts to tokens, tokens to windows, windows to vectors."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
import tokenizers

from freehold.data.embedder_options import Precision
from freehold.engines.backends.minilm_batches import Job, Window
from freehold.engines.backends.minilm_graph import (
    Network,
    Safetensors,
    Shape,
    UnfitWeightsError,
)
from freehold.engines.backends.minilm_messages import Input
from freehold.engines.backends.windows import split

Pooling = Literal["mean", "first"]

_TEXTS_AT_ONCE: Final = 64
_LONGEST_UNSAID: Final = 512


class UnknownTokenError(Exception):
    """A token id that the model does not have."""

    def __init__(self, index: int, token: int) -> None:
        super().__init__(token)
        self.index = index
        self.token = token


class EmbeddingModel:
    """A sentence transformer of BERT's kind; ``window`` counts the marks at both ends too."""

    def __init__(
        self, network: Network, tokenizer: tokenizers.Tokenizer, window: int, pooling: Pooling
    ) -> None:
        self.window = window
        self._pooling = pooling
        self._network = network
        self._tokenizer = tokenizer
        marks = tokenizer.encode("").ids
        self._begin, self._end = marks[: len(marks) // 2], marks[len(marks) // 2 :]
        self._room = window - len(marks)

    @classmethod
    def load(cls, weights: Path, threads: int, precision: Precision = "float32") -> Self:
        """Return the model whose other files lie beside its weights.

        Raises ``UnfitWeightsError``.
        """
        pooling = _pooling(weights.parent)
        shape = Shape.read(_read_json(weights.with_name("config.json")))
        window = _window(weights, shape)
        file = Safetensors(weights)
        network = Network(file.arrays, shape, threads, precision)
        file.forget()
        return cls(network, _tokenizer(weights.with_name("tokenizer.json")), window, pooling)

    @property
    def dimensions(self) -> int:
        return self._network.dimensions

    def tokenize(self, inputs: Sequence[Input]) -> list[Sequence[int]]:
        """Return each input's tokens, without marks. Raises ``UnknownTokenError``."""
        texts = [value for value in inputs if isinstance(value, str)]
        found = self._tokens_of(texts)
        return [
            next(found) if isinstance(value, str) else self._known(index, value)
            for index, value in enumerate(inputs)
        ]

    def _tokens_of(self, texts: Sequence[str]) -> Iterator[list[int]]:
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            some = texts[start : start + _TEXTS_AT_ONCE]
            for encoded in self._tokenizer.encode_batch_fast(some, add_special_tokens=False):
                yield encoded.ids

    def _known(self, index: int, tokens: list[int]) -> list[int]:
        for token in tokens:
            if not 0 <= token < self._network.vocabulary:
                raise UnknownTokenError(index, token)
        return tokens

    def job(self, number: int, inputs: Sequence[Input]) -> tuple[Job, list[Window]]:
        """Return a request's job and its windows. Raises ``UnknownTokenError``."""
        tokens = self.tokenize(inputs)
        sums = np.zeros((len(inputs), self.dimensions), np.float32)
        job = Job(number, [len(each) for each in tokens], sums, 0)
        windows = [
            Window(job, index, [*self._begin, *piece, *self._end])
            for index, each in enumerate(tokens)
            for piece in split(each, self._room)
        ]
        job.left = len(windows)
        return job, windows

    def compute(self, batch: Sequence[Window]) -> None:
        """Add each window's vector to its job."""
        lengths = np.array([len(window.tokens) for window in batch], np.int32)
        padded = np.zeros((len(batch), lengths.max()), np.int32)
        for row, window in zip(padded, batch, strict=True):
            row[: len(window.tokens)] = window.tokens
        hidden = self._network.run(padded, lengths)
        for window, vectors in zip(batch, hidden, strict=True):
            size = len(window.tokens)
            vector = vectors[:size].mean(axis=0) if self._pooling == "mean" else vectors[0]
            window.job.add(window.index, vector, size)


def _tokenizer(path: Path) -> tokenizers.Tokenizer:
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise UnfitWeightsError(f"{path} can't be read: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _pooling(folder: Path) -> Pooling:
    """Return how the model makes one vector of many, as sentence-transformers was told.

    Raises ``UnfitWeightsError`` for a model that does more than that.
    """
    modules = folder / "modules.json"
    if modules.is_file():
        kinds = {module["type"].rpartition(".")[2] for module in _read_json(modules)}
        if strange := kinds - {"Transformer", "Pooling", "Normalize"}:
            raise UnfitWeightsError(f"the model has parts of other kinds: {', '.join(strange)}")
    path = folder / "1_Pooling" / "config.json"
    told = _read_json(path) if path.is_file() else {"pooling_mode_mean_tokens": True}
    modes = {name.removeprefix("pooling_mode_") for name, on in told.items() if on is True}
    known: Mapping[str, Pooling] = {"mean_tokens": "mean", "cls_token": "first"}
    mode = ", ".join(sorted(modes - {"include_prompt"}))
    if mode not in known:
        raise UnfitWeightsError(f"its pooling is not known here: {mode}")
    return known[mode]


def _window(weights: Path, shape: Shape) -> int:
    """Return what sentence-transformers was told to cut at, else all places of the model."""
    path = weights.with_name("sentence_bert_config.json")
    told = _read_json(path).get("max_seq_length") if path.is_file() else None
    return min(told or _LONGEST_UNSAID, shape.places)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UnfitWeightsError(f"{path} can't be read: {error}") from error
