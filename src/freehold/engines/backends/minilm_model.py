"""BERT's kind of model in the child process, computed by onnxruntime."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
import tokenizers

from freehold.data.embedder_options import Precision
from freehold.engines.backends.minilm_batches import Window
from freehold.engines.backends.minilm_embedder import Embedder, UnfitWeightsError
from freehold.engines.backends.minilm_graph import Network, Safetensors, Shape

Pooling = Literal["mean", "first"]

_TEXTS_AT_ONCE: Final = 64
_LONGEST_UNSAID: Final = 512


class EmbeddingModel(Embedder):
    """A sentence transformer of BERT's kind."""

    def __init__(
        self, network: Network, tokenizer: tokenizers.Tokenizer, window: int, pooling: Pooling
    ) -> None:
        marks = tokenizer.encode("").ids
        middle = len(marks) // 2
        super().__init__(window, network.vocabulary, marks[:middle], marks[middle:])
        self.dimensions = network.dimensions
        self._pooling = pooling
        self._network = network
        self._tokenizer = tokenizer

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

    def tokens_of(self, texts: Sequence[str]) -> Iterator[Sequence[int]]:
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            some = texts[start : start + _TEXTS_AT_ONCE]
            for encoded in self._tokenizer.encode_batch_fast(some, add_special_tokens=False):
                yield encoded.ids

    def compute(self, batch: Sequence[Window]) -> None:
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
