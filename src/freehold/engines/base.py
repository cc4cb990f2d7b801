"""What a text engine is asked and what it answers.

Plain data only: nothing here knows HTTP, ids or OpenAI's JSON. Realtime, batches and runs use the
same calls. What OpenAI's contract promises (stop strings, ids, shapes, validation, usage) is made
above, once, so that it holds for any backend.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from freehold.core.errors import BadRequestError

if TYPE_CHECKING:  # numpy is loaded by the engines that need it, not by every start
    import numpy as np
    from numpy.typing import NDArray

JSONSchema = Mapping[str, Any]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]

# Marks the place of a picture in a message's text: a character that Unicode keeps for objects.
IMAGE = "\ufffc"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call made by the model; ``arguments`` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that was fetched and checked: PNG, JPEG, WebP or GIF as it came, and its size."""

    data: bytes
    format: Literal["png", "jpeg", "webp", "gif"]
    width: int
    height: int
    detail: Literal["auto", "low", "high"] = "auto"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. ``content`` is "" where the API allowed none.

    Each picture stands in ``content`` as one ``IMAGE`` character, in the order of ``images``.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call; ``parameters`` is None where it takes none."""

    name: str
    description: str | None = None
    parameters: JSONSchema | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation to continue.

    ``tool_choice``: "auto" lets the model decide, "required" forces a call of any tool, another
    value forces a call of the tool of that name. ("none" is expressed by an empty ``tools``.)
    ``json_schema``: shown to the model where its template has a place for it; what enforces a
    schema is the generation's.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    parallel_tool_calls: bool = True
    json_schema: JSONSchema | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw tokens. None means that the caller said nothing: the model's default applies.

    ``logprobs``: number of alternatives per token (0-20), None for no logprobs at all.
    ``logit_bias``: text of one native token -> bias from -100 to 100, or native id -> bias.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict[int, float])
    logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """One continuation to produce.

    ``prompt``: a conversation, raw text, or native token ids. ``schema``: the answer's text must be
    JSON that fits it (calls of tools remain possible); ``{"type": "object"}`` means any object.
    ``stop``: the engine should end before any of these strings; the caller cuts there anyway.
    ``suffix``: what should follow the text, for a prompt that is text. ``whole``: nobody reads
    before the end, so events may come late and in large groups.
    """

    prompt: Chat | str | Sequence[int]
    sampling: Sampling = Sampling()
    schema: JSONSchema | None = None
    stop: tuple[str, ...] = ()
    suffix: str | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token that was possible at a place. ``bytes`` are its exact bytes."""

    token: str
    bytes: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token that was drawn, with its log-probability and the likeliest alternatives."""

    token: str
    bytes: bytes
    logprob: float
    top: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Some more text, whole characters only.

    ``tokens`` counts the tokens it took as far as the engine tells; ``Done`` has the true sum.
    """

    text: str
    tokens: int = 1
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of call number ``index``; ``name`` comes whole, with the first piece only."""

    index: int
    arguments: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The end: why, and what it took. Counts are the engine's own tokens."""

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    fingerprint: str | None = None


TextEvent = TextDelta | ToolCallDelta | Done


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What an engine tells operators; ``queued`` requests wait for a slot.

    ``tokens_per_s`` is the speed of late, all slots together, counted while any was at work.
    ``serves`` are the ids that the engine was asked for; the registry adds them.
    """

    state: Literal["unloaded", "loading", "ready", "restarting", "failed"]
    slots: int
    busy: int
    restarts: int
    window: int
    resident_bytes: int | None = None
    detail: str | None = None
    queued: int = 0
    tokens_per_s: float | None = None
    serves: tuple[str, ...] = ()


class TextEngine(Protocol):
    """A loaded text model."""

    @property
    def window(self) -> int:
        """Tokens that one request may use, prompt and answer together."""
        ...

    @property
    def slots(self) -> int:
        """How many generations can run at once."""
        ...

    @property
    def sees(self) -> bool:
        """Whether pictures in messages are understood."""
        ...

    def generate(self, request: Generation) -> AsyncGenerator[Sequence[TextEvent], None]:
        """Yield events in groups that became ready together; the last event is ``Done``.

        Closing the generator stops the engine's work within one token. Raises ``BadRequestError``
        (``context_length_exceeded`` with ``param`` "messages" or "prompt"; a schema that can't be
        enforced; ``suffix`` where the model can't fill in), ``ServiceUnavailableError`` where the
        engine died or is restarting.
        """
        ...

    async def score(self, prompt: str | Sequence[int], alternatives: int) -> Sequence[TokenLogprob]:
        """Return the tokens of a raw prompt and how likely each was after those before it.

        They join to the prompt's text. The first has nothing before it: its figures mean nothing.
        Raises as ``generate`` does, and ``BadRequestError`` where the engine can't tell.
        """
        ...

    async def count_tokens(self, prompt: Chat | str) -> int:
        """Return the number of tokens that the prompt takes, template included."""
        ...

    async def tokenize(self, text: str) -> list[int]:
        """Return native token ids of plain text, without any that mark its beginning or end."""
        ...

    async def detokenize(self, tokens: Sequence[int]) -> str:
        """Return the text of native token ids."""
        ...

    def status(self) -> EngineStatus: ...

    async def close(self) -> None:
        """Stop the engine and free what it holds."""
        ...


class Admitting(Protocol):
    """Another engine's door; see ``Holder``."""

    def admit(self) -> AbstractAsyncContextManager[Any]:
        """Enter the engine with one call, loading it where that has not been done."""
        ...


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """All that a backend needs to load one model. None means: choose well for this machine.

    ``context`` is the tokens one request may use, ``runtime_dir`` a private folder (0700) for
    sockets, ``options`` what only this backend knows (``base_url`` ..., llama.cpp's own names),
    ``base`` the engine that this one asks, where it is made upon another.
    ``template`` is Jinja text that replaces the one in the weights; ``system_prompt`` is used for
    conversations that bring none.
    """

    model: str
    runtime_dir: Path
    weights: Path | None = None
    slots: int | None = None
    context: int | None = None
    threads: int | None = None
    template: str | None = None
    system_prompt: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    base: Admitting | None = None


# A text, or the native token ids of one (without any that mark its beginning or end).
EmbeddingInput = str | Sequence[int]


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of unit length, one row per input (float32, shape inputs x dimensions)."""

    vectors: "NDArray[np.float32]"
    tokens: tuple[int, ...]


class EmbeddingEngine(Protocol):
    """A loaded embedding model."""

    @property
    def dimensions(self) -> int: ...

    @property
    def slots(self) -> int:
        """How many calls of ``embed`` may run at once; they may be joined into one batch."""
        ...

    async def embed(self, inputs: Sequence[EmbeddingInput]) -> Embedded:
        """Return the vector and the token count of every input, in order.

        Inputs longer than the model's window are embedded in overlapping windows and pooled.
        Raises ``BadRequestError`` for a token id that the model does not have.
        """
        ...

    async def count_tokens(self, inputs: Sequence[EmbeddingInput]) -> list[int]:
        """Return how many tokens each input takes, without embedding it."""
        ...

    def status(self) -> EngineStatus: ...

    async def close(self) -> None: ...


class EmbeddingBackend(Protocol):
    """What the catalogue names for an embedding model."""

    @classmethod
    async def load(cls, config: EngineConfig) -> EmbeddingEngine:
        """Return the engine, ready to embed. Raises ``EngineLoadError`` with what to do."""
        ...


@dataclass(frozen=True, slots=True)
class Moderated:
    """What was found in one text: a score from 0 to 1 for every category, and which apply."""

    scores: Mapping[str, float]
    applying: frozenset[str]
    tokens: int


class ModerationEngine(Protocol):
    """Tells which of the categories of moderation a text belongs to."""

    @property
    def slots(self) -> int:
        """How many calls of ``moderate`` may run at once."""
        ...

    async def moderate(self, texts: Sequence[str]) -> Sequence[Moderated]:
        """Return what was found in each text, in order.

        A long text is read in overlapping pieces; each category has its highest score.
        """
        ...

    async def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Return how many tokens each text takes."""
        ...

    def status(self) -> EngineStatus: ...

    async def close(self) -> None: ...


class ModerationBackend(Protocol):
    """What the catalogue names for a moderation model."""

    @classmethod
    async def load(cls, config: EngineConfig) -> ModerationEngine:
        """Return the engine, ready to moderate. Raises ``EngineLoadError`` with what to do."""
        ...


class TextBackend(Protocol):
    """What the catalogue names: a class that can load a model."""

    @classmethod
    async def load(cls, config: EngineConfig) -> TextEngine:
        """Return the engine, ready to generate. Raises ``EngineLoadError`` with what to do."""
        ...


class EngineLoadError(Exception):
    """The model can't be loaded; the message says why and names the command that mends it."""


def no_insertion() -> BadRequestError:
    """Return the refusal of ``suffix`` by a model that was not made to fill in the middle."""
    return BadRequestError(
        "This model does not support insertion (suffix). Use a model whose vocabulary has tokens "
        "for filling in the middle, or leave 'suffix' out.",
        param="suffix",
        code="unsupported_parameter",
    )
