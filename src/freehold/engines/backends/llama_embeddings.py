"""Embedding models in GGUF files, on llama.cpp in a child process."""

import asyncio
import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

import httpx
import msgspec
import numpy as np
from numpy.typing import NDArray

from freehold.core.errors import BadRequestError
from freehold.engines.backends.kept import Kept, lost
from freehold.engines.backends.llama_channel import EngineLostError
from freehold.engines.backends.llama_control import Control
from freehold.engines.backends.llama_gguf import DamagedFileError, ModelFile, read_head
from freehold.engines.backends.llama_process import ChildSettings, LlamaProcess
from freehold.engines.backends.windows import split
from freehold.engines.base import (
    Embedded,
    EmbeddingInput,
    EngineConfig,
    EngineLoadError,
    EngineStatus,
)
from freehold.engines.speed import Speed

_SLOTS: Final = 4
_LARGEST_DEFAULT_WINDOW: Final = 2048
_TIMEOUT_S: Final = 600.0
# Windows in one call of the child: more would keep the calls of others waiting.
_WINDOWS_AT_ONCE: Final = 16

Vectors = NDArray[np.float32]


class _Row(msgspec.Struct):
    embedding: str


class _Rows(msgspec.Struct):
    data: list[_Row]


class _Child:
    """A running child and the clients of its socket."""

    def __init__(self, process: LlamaProcess) -> None:
        self.process = process
        self.control = Control(process.control)
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(process.control)),
            base_url="http://engine",
            timeout=_TIMEOUT_S,
        )

    async def embed(self, windows: Sequence[Sequence[int]]) -> Vectors:
        """Return the windows' vectors. Raises ``EngineLostError``, ``EngineLoadError``."""
        body = {"input": windows, "model": "m", "encoding_format": "base64"}
        try:
            answer = await self._http.post("/v1/embeddings", content=msgspec.json.encode(body))
        except httpx.HTTPError as error:
            raise EngineLostError from error
        if answer.status_code != 200:
            raise EngineLoadError(f"llama.cpp can't embed with these weights: {answer.text[:300]}")
        rows = msgspec.json.decode(answer.content, type=_Rows).data
        return np.stack([np.frombuffer(base64.b64decode(row.embedding), "<f4") for row in rows])

    async def wait(self) -> str:
        return await self.process.wait()

    async def close(self) -> None:
        await self._http.aclose()
        await self.control.close()
        await self.process.close()


@dataclass(frozen=True, slots=True)
class _Marks:
    """The tokens that the model wants before and after each text."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    async def read(cls, control: Control) -> "_Marks":
        plain, marked = await control.tokenize("a"), await control.tokenize_prompt("a")
        start = next(i for i in range(len(marked)) if marked[i : i + len(plain)] == plain)
        return cls(tuple(marked[:start]), tuple(marked[start + len(plain) :]))

    def around(self, tokens: Sequence[int]) -> list[int]:
        return [*self.before, *tokens, *self.after]


class LlamaEmbeddingEngine:
    """A GGUF embedding model, loaded. A child that dies is replaced."""

    def __init__(self, child: ChildSettings, kept: Kept[_Child], model: ModelFile) -> None:
        self._child = child
        self._kept = kept
        self._model = model
        self._marks = _Marks((), ())
        self._dimensions = 0
        self._busy = 0
        self._speed = Speed()

    @classmethod
    async def load(cls, config: EngineConfig) -> Self:
        """Return the engine with its child running. Raises ``EngineLoadError``."""
        if config.weights is None:
            raise EngineLoadError(
                f"The model {config.model} has no weights: name a GGUF file as `weights`."
            )
        model = await asyncio.to_thread(_head, config.weights)
        child = _child_settings(config, config.weights, model)
        engine = cls(child, Kept(config.model, lambda: _start(child)), model)
        running = await engine._kept.begin()
        try:
            engine._marks = await _Marks.read(running.control)
            probe = await running.embed([engine._marks.around(await running.control.tokenize("a"))])
        except BaseException:
            await engine.close()
            raise
        engine._dimensions = probe.shape[1]
        return engine

    @property
    def dimensions(self) -> int:
        return self._dimensions

    @property
    def slots(self) -> int:
        return self._child.slots

    async def embed(self, inputs: Sequence[EmbeddingInput]) -> Embedded:
        """Return the vector and the token count of every input; see ``EmbeddingEngine``."""
        running = self._kept.require()
        room = self._child.context - len(self._marks.around(()))
        self._busy += 1
        self._speed.begin()
        try:
            tokens = [await self._tokens(running, value) for value in inputs]
            windows = [split(each, room) for each in tokens]
            vectors = await self._computed(running, [w for each in windows for w in each])
        except EngineLostError as error:
            raise lost() from error
        finally:
            self._busy -= 1
            self._speed.end()
        self._speed.count(sum(map(len, tokens)))
        ends = np.cumsum([0, *(len(each) for each in windows)])
        pooled = [vectors[start:end].sum(axis=0) for start, end in pairwise(ends)]
        return Embedded(_unit(np.stack(pooled)), tuple(map(len, tokens)))

    async def count_tokens(self, inputs: Sequence[EmbeddingInput]) -> list[int]:
        """Return how many tokens each input takes."""
        running = self._kept.require()
        try:
            return [len(await self._tokens(running, value)) for value in inputs]
        except EngineLostError as error:
            raise lost() from error

    def status(self) -> EngineStatus:
        running = self._kept.running
        return EngineStatus(
            state=self._kept.state,
            slots=self.slots,
            busy=self._busy,
            restarts=self._kept.restarts,
            window=self._child.context,
            resident_bytes=running.process.resident_bytes() if running else None,
            detail=self._kept.detail,
            tokens_per_s=self._speed.tokens_per_s,
        )

    async def close(self) -> None:
        """End the child; requests that are under way fail."""
        await self._kept.close()

    async def _tokens(self, running: _Child, value: EmbeddingInput) -> Sequence[int]:
        if isinstance(value, str):
            return await running.control.tokenize(value)
        for token in value:
            if not 0 <= token < self._model.vocabulary:
                raise BadRequestError(
                    f"Invalid 'input': the model's vocabulary has no token ID {token}.",
                    param="input",
                    code="invalid_value",
                )
        return value

    async def _computed(self, running: _Child, windows: Sequence[Sequence[int]]) -> Vectors:
        marked = [self._marks.around(window) for window in windows]
        parts = [
            await running.embed(marked[start : start + _WINDOWS_AT_ONCE])
            for start in range(0, len(marked), _WINDOWS_AT_ONCE)
        ]
        return np.concatenate(parts)


async def _start(child: ChildSettings) -> _Child:
    return _Child(await LlamaProcess.start(child, lambda _: None))


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def _head(weights: Path) -> ModelFile:
    try:
        return read_head(weights)
    except (OSError, DamagedFileError) as error:
        raise EngineLoadError(f"The weights {weights} can't be read: {error}.") from error


def _child_settings(config: EngineConfig, weights: Path, model: ModelFile) -> ChildSettings:
    """Each input must fit into one batch: models that read both ways see it whole."""
    window = min(config.context or _LARGEST_DEFAULT_WINDOW, model.trained_context)
    batch = {"n_batch": window, "n_ubatch": window, "embedding": True}
    return ChildSettings(
        weights=weights,
        context=window,
        slots=config.slots or _SLOTS,
        threads=config.threads or max(1, (os.cpu_count() or 2) - 1),
        runtime_dir=config.runtime_dir,
        options={**batch, **config.options},
    )
