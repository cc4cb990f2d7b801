"""Embeddings of all-MiniLM-L6-v2 and other sentence transformers of BERT's kind.

onnxruntime computes them in a child process: its end costs the requests that it held, and it is
started again. Requests in flight share batches; see ``minilm_batches``.
"""

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import numpy as np

from freehold.core.errors import BadRequestError, InternalServerError, ServiceUnavailableError
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

_log = logging.getLogger(__name__)
# Calls under way at once; they wait for each other in the child, where they are joined.
_SLOTS = 64
_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 30.0
_CALM_S = 30.0


class MiniLMEngine:
    """A sentence transformer, loaded. A child that dies is replaced; its requests fail with 503."""

    def __init__(self, child: ChildSettings, slots: int) -> None:
        self._child = child
        self._slots = slots
        self._running: EmbeddingProcess | None = None
        self._watching: asyncio.Task[None] | None = None
        self._dimensions = self._window = 0
        self._restarts = 0
        self._delay_s = _FIRST_DELAY_S
        self._detail: str | None = None
        self._speed = Speed()

    @classmethod
    async def load(cls, config: EngineConfig) -> Self:
        """Return the engine with its child running. Raises ``EngineLoadError``."""
        if config.weights is None:
            raise EngineLoadError(
                f"The model {config.model} has no weights: name a model.safetensors as `weights`."
            )
        child = ChildSettings(config.weights, config.threads or 1)
        engine = cls(child, config.slots or _SLOTS)
        engine._running = await EmbeddingProcess.start(child)
        engine._dimensions = engine._running.dimensions
        engine._window = engine._running.window
        engine._watching = asyncio.create_task(engine._watch())
        return engine

    @property
    def dimensions(self) -> int:
        return self._dimensions

    @property
    def slots(self) -> int:
        return self._slots

    async def embed(self, inputs: Sequence[EmbeddingInput]) -> Embedded:
        """Return the vector and the token count of every input; see ``EmbeddingEngine``."""
        running = self._require()
        self._speed.begin()
        try:
            answer = await running.embed(_plain(inputs))
        except ChildLostError as error:
            raise _lost() from error
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
            answer = await self._require().count(_plain(inputs))
        except ChildLostError as error:
            raise _lost() from error
        if not isinstance(answer, Counted):
            raise _refused(answer)
        return answer.tokens

    def status(self) -> EngineStatus:
        running = self._running
        return EngineStatus(
            state="ready" if running else "restarting",
            slots=self.slots,
            busy=running.busy if running else 0,
            restarts=self._restarts,
            window=self._window,
            resident_bytes=_resident_bytes(running.pid) if running else None,
            detail=self._detail,
            tokens_per_s=self._speed.tokens_per_s,
        )

    async def close(self) -> None:
        """End the child; requests that are under way fail."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None
        if self._running is not None:
            running, self._running = self._running, None
            await running.close()

    def _require(self) -> EmbeddingProcess:
        if self._running is None:
            raise ServiceUnavailableError(
                "The engine is restarting. Please try again in a moment.",
                retry_after=max(1.0, self._delay_s),
            )
        return self._running

    async def _watch(self) -> None:
        """Replace a child that has ended, with growing pauses while that keeps happening."""
        loop = asyncio.get_running_loop()
        while self._running is not None:
            started = loop.time()
            ending = await self._running.wait()
            _log.warning("The engine of %s %s.", self._child.weights.name, ending)
            ended, self._running = self._running, None
            self._detail = f"The engine {ending}."
            await ended.close()
            if loop.time() - started > _CALM_S:
                self._delay_s = _FIRST_DELAY_S
            self._running = await self._restart()

    async def _restart(self) -> EmbeddingProcess:
        while True:
            await asyncio.sleep(self._delay_s)
            self._delay_s = min(self._delay_s * 2, _LONGEST_DELAY_S)
            try:
                running = await EmbeddingProcess.start(self._child)
            except (EngineLoadError, OSError) as error:
                self._detail = str(error)
                _log.warning("The engine can't be restarted: %s", error)
                continue
            self._restarts += 1
            self._detail = None
            return running


def _plain(inputs: Sequence[EmbeddingInput]) -> list[Input]:
    return [value if isinstance(value, str) else list(value) for value in inputs]


def _lost() -> ServiceUnavailableError:
    return ServiceUnavailableError(
        "The engine stopped while it worked on this request. Please try again.", retry_after=1
    )


def _refused(answer: Answer) -> BadRequestError | InternalServerError:
    if isinstance(answer, UnknownToken):
        return BadRequestError(
            f"Invalid 'input': the model's vocabulary has no token ID {answer.token}.",
            param="input",
            code="invalid_value",
        )
    return InternalServerError("The engine gave an answer of another kind.")


def _resident_bytes(pid: int) -> int | None:
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
