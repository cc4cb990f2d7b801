"""Any OpenAI-compatible server as an embedding engine."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from freehold.core.errors import APIError, InternalServerError
from freehold.engines.backends.upstream import UpstreamEngine
from freehold.engines.base import (
    Embedded,
    EmbeddingInput,
    EngineConfig,
    EngineLoadError,
    EngineStatus,
)

_PROBE: Final = "Hello"
# A text has at least one token for so many bytes.
_BYTES_PER_TOKEN: Final = 128


class _Row(msgspec.Struct):
    embedding: str | list[float]
    index: int


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0


class _Answer(msgspec.Struct):
    data: list[_Row]
    usage: _Usage = msgspec.field(default_factory=_Usage)


class UpstreamEmbeddingEngine:
    """Embeds by asking a server, once for all inputs of a request."""

    def __init__(self, upstream: UpstreamEngine, model: str) -> None:
        self._upstream = upstream
        self._model = model
        self._busy = 0
        self._dimensions = 0

    @classmethod
    async def load(cls, config: EngineConfig) -> Self:
        """Return the engine once the upstream has embedded a word: its size must be known."""
        engine = cls(await UpstreamEngine.load(config), config.model)
        try:
            engine._dimensions = (await engine.embed([_PROBE])).vectors.shape[1]
        except APIError as error:
            await engine.close()
            raise EngineLoadError(
                f"The upstream of {config.model!r} can't embed: {error.message}"
            ) from error
        return engine

    @property
    def dimensions(self) -> int:
        return self._dimensions

    @property
    def slots(self) -> int:
        return self._upstream.slots

    async def embed(self, inputs: Sequence[EmbeddingInput]) -> Embedded:
        """Return the upstream's vectors. It tells the tokens of all inputs together only."""
        body = {"model": self._model, "input": inputs, "encoding_format": "base64"}
        self._busy += 1
        try:
            answer = _read(await self._upstream.ask("/embeddings", body))
        finally:
            self._busy -= 1
        if sorted(row.index for row in answer.data) != list(range(len(inputs))):
            raise InternalServerError("The upstream did not answer with one vector per input.")
        rows = sorted(answer.data, key=lambda row: row.index)
        tokens = _shared(answer.usage.prompt_tokens, [len(value) for value in inputs])
        return Embedded(_unit(np.stack([_vector(row.embedding) for row in rows])), tokens)

    async def count_tokens(self, inputs: Sequence[EmbeddingInput]) -> list[int]:
        """Return at least how many tokens there are; the upstream has the last word."""
        return [
            -(-len(value.encode()) // _BYTES_PER_TOKEN) if isinstance(value, str) else len(value)
            for value in inputs
        ]

    def status(self) -> EngineStatus:
        """Return what is known without asking the upstream."""
        return replace(self._upstream.status(), busy=self._busy)

    async def close(self) -> None:
        """Close all connections."""
        await self._upstream.close()


def _read(answer: bytes) -> _Answer:
    try:
        return msgspec.json.decode(answer, type=_Answer)
    except msgspec.MsgspecError as error:
        raise InternalServerError("The upstream's answer holds no embeddings.") from error


def _vector(embedding: str | list[float]) -> NDArray[np.float32]:
    """Read either form: not every server knows base64."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding), "<f4").astype(np.float32)
    return np.array(embedding, np.float32)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def _shared(tokens: int, sizes: Sequence[int]) -> tuple[int, ...]:
    """Return parts of a sum, by size."""
    total, done, parts = max(1, sum(sizes)), 0, list[int]()
    for size in sizes:
        done += size
        parts.append(tokens * done // total - sum(parts))
    return tuple(parts)
