"""Embeddings of any model that the sentence-transformers library runs, on torch: an extra."""

from typing import ClassVar

from freehold.engines.backends.minilm import MiniLMEngine


class SentenceEngine(MiniLMEngine):
    """A sentence transformer, loaded by that library in a child process."""

    _embedder: ClassVar = "freehold.engines.backends.sentence_model:SentenceModel"
