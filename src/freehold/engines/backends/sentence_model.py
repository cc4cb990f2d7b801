"""A model in the child process, computed by sentence-transformers from its folder."""

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from freehold.data.embedder_options import Precision
from freehold.engines.backends.minilm_batches import Window
from freehold.engines.backends.minilm_embedder import Embedder, UnfitWeightsError

_LONGEST_UNSAID: Final = 512


class SentenceModel(Embedder):
    """All parts of a sentence transformer, whatever its architecture, in single precision."""

    def __init__(self, model: Any, torch: Any) -> None:
        tokenizer = model.tokenizer
        before, after = _marks(tokenizer)
        super().__init__(model.max_seq_length or _LONGEST_UNSAID, len(tokenizer), before, after)
        self._model = model
        self._torch = torch
        self._tokenizer = tokenizer
        self._padding = tokenizer.pad_token_id or 0
        self.dimensions = self._vectors([[*before, *_plain(tokenizer, "a"), *after]]).shape[1]

    @classmethod
    def load(cls, weights: Path, threads: int, _precision: Precision) -> Self:
        """Return the model of the folder that ``weights`` lies in. Raises ``UnfitWeightsError``."""
        if importlib.util.find_spec("sentence_transformers") is None:
            raise UnfitWeightsError(
                "they need an extra: pip install 'freehold[sentence-transformers]'"
            )
        torch: Any = importlib.import_module("torch")
        torch.set_num_threads(threads)
        library: Any = importlib.import_module("sentence_transformers")
        try:
            model = library.SentenceTransformer(str(weights.parent), local_files_only=True)
            return cls(model.float().eval(), torch)
        except Exception as error:  # each architecture raises what it likes
            raise UnfitWeightsError(f"sentence-transformers can't run them: {error}") from error

    def tokens_of(self, texts: Sequence[str]) -> Iterator[Sequence[int]]:
        for text in texts:
            yield _plain(self._tokenizer, text)

    def compute(self, batch: Sequence[Window]) -> None:
        vectors = self._vectors([window.tokens for window in batch])
        for window, vector in zip(batch, vectors, strict=True):
            window.job.add(window.index, vector, len(window.tokens))

    def _vectors(self, rows: Sequence[Sequence[int]]) -> Any:
        longest = max(map(len, rows))
        tokens = np.full((len(rows), longest), self._padding, np.int64)
        mask = np.zeros((len(rows), longest), np.int64)
        for number, row in enumerate(rows):
            tokens[number, : len(row)] = row
            mask[number, : len(row)] = 1
        device = self._model.device
        features = {
            "input_ids": self._torch.from_numpy(tokens).to(device),
            "attention_mask": self._torch.from_numpy(mask).to(device),
        }
        with self._torch.inference_mode():
            return self._model(features)["sentence_embedding"].float().cpu().numpy()


def _plain(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]


def _marks(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the tokens that the model wants before and after each text."""
    plain = _plain(tokenizer, "a")
    marked = tokenizer("a")["input_ids"]
    places = range(len(marked) - len(plain) + 1)
    start = next(place for place in places if marked[place : place + len(plain)] == plain)
    return marked[:start], marked[start + len(plain) :]
