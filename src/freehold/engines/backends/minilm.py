"""Embeddings of all-MiniLM-L6-v2 and other sentence transformers of BERT's kind.

onnxruntime computes them in a child process: its end costs the requests that it held, and it is
started again. Requests in flight share batches; see ``minilm_batches``.
"""

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np

from freehold.core.errors import BadRequestError, InternalServerError
from freehold.engines.backends.kept import Kept, lost
from freehold.engines.backends.minilm_messages import (
    Answer,
    Counted,
    Input,
    UnknownToken,
    Vectors,
)
from freehold.engines.backends.minilm_process import (
    ChildLostError,
    ChildSettings,
    EmbeddingProcess,
)
from freehold.engines.base import (
    Embedded,
    EmbeddingInput,
    EngineConfig,
    EngineLoadError,
    EngineStatus,
)
from freehold.engines.speed import Speed

# Calls under way at once; they wait for each other in the child, where they are joined.
_SLOTS = 64


class MiniLMEngine:
    """A sentence transformer, loaded. A child that dies is replaced; its requests fail with 503."""

    _embedder: ClassVar = "freehold.engines.backends.minilm_model:EmbeddingModel"

    def __init__(self, kept: Kept[EmbeddingProcess], slots: int) -> None:
        self._kept = kept
        self._slots = slots
        self._dimensions = self._window = 0
        self._speed = Speed()

    @classmethod
    async def load(cls, config: EngineConfig) -> Self:
        """Return the engine with its child running. Raises ``EngineLoadError``."""
        if config.weights is None:
            raise EngineLoadError(
                f"The model {config.model} has no weights: name a model.safetensors as `weights`."
            )
        precision = config.options.get("precision", "float32")
        child = ChildSettings(config.weights, config.threads or 1, cls._embedder, precision)
        engine = cls(
            Kept(config.model, lambda: EmbeddingProcess.start(child)), config.slots or _SLOTS
        )
        process = await engine._kept.begin()
        engine._dimensions, engine._window = process.dimensions, process.window
        return engine

    @property
    def dimensions(self) -> int:
        return self._dimensions

    @property
    def slots(self) -> int:
        return self._slots

    async def embed(self, inputs: Sequence[EmbeddingInput]) -> Embedded:
        """Return the vector and the token count of every input; see ``EmbeddingEngine``."""
        running = self._kept.require()
        self._speed.begin()
        try:
            answer = await running.embed(_plain(inputs))
        except ChildLostError as error:
            raise lost() from error
        finally:
            self._speed.end()
        if not isinstance(answer, Vectors):
            raise _refused(answer)
        self._speed.count(sum(answer.tokens))
        rows = np.frombuffer(answer.vectors, np.float32).reshape(len(inputs), self._dimensions)
        return Embedded(rows, tuple(answer.tokens))

    async def count_tokens(self, inputs: Sequence[EmbeddingInput]) -> list[int]:
        """Return how many tokens each input takes."""
        try:
            answer = await self._kept.require().count(_plain(inputs))
        except ChildLostError as error:
            raise lost() from error
        if not isinstance(answer, Counted):
            raise _refused(answer)
        return answer.tokens

    def status(self) -> EngineStatus:
        running = self._kept.running
        return EngineStatus(
            state=self._kept.state,
            slots=self.slots,
            busy=running.busy if running else 0,
            restarts=self._kept.restarts,
            window=self._window,
            resident_bytes=running.resident_bytes() if running else None,
            detail=self._kept.detail,
            tokens_per_s=self._speed.tokens_per_s,
        )

    async def close(self) -> None:
        """End the child; requests that are under way fail."""
        await self._kept.close()


def _plain(inputs: Sequence[EmbeddingInput]) -> list[Input]:
    return [value if isinstance(value, str) else list(value) for value in inputs]


def _refused(answer: Answer) -> BadRequestError | InternalServerError:
    if isinstance(answer, UnknownToken):
        return BadRequestError(
            f"Invalid 'input': the model's vocabulary has no token ID {answer.token}.",
            param="input",
            code="invalid_value",
        )
    return InternalServerError("The engine gave an answer of another kind.")
