"""An engine without a model, for tests: it answers by script, or repeats the last user message."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any, Self

import msgspec

from freehold.core.errors import (
    APIError,
    BadRequestError,
    InternalServerError,
    RateLimitError,
    ServiceUnavailableError,
)
from freehold.engines.base import (
    Candidate,
    Chat,
    Done,
    EngineConfig,
    EngineLoadError,
    EngineStatus,
    FinishReason,
    Generation,
    Sampling,
    TextDelta,
    TextEvent,
    TokenLogprob,
    ToolCallDelta,
    no_insertion,
)

_WINDOW = 8192
_SLOTS = 4
_LOGPROB = -0.25
_ERRORS: dict[int, type[APIError]] = {
    400: BadRequestError,
    429: RateLimitError,
    500: InternalServerError,
    503: ServiceUnavailableError,
}


class Call(msgspec.Struct, forbid_unknown_fields=True):
    """A tool call that an answer makes; ``arguments`` is JSON text."""

    name: str
    arguments: str = "{}"


class Failure(msgspec.Struct, forbid_unknown_fields=True):
    """An error that ends an answer after its text."""

    status: int = 503
    message: str = "The scripted engine fails here."
    code: str | None = None
    retry_after: float | None = None


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """One entry of a script.

    With ``when`` it answers every request whose last user message contains that; the others are
    used up in order. ``text`` as a list names the deltas one by one. ``delay`` is a pause in
    seconds before each token; ``hang`` waits after the text until ``resume`` is set.
    """

    text: str | list[str] = ""
    when: str | None = None
    tool_calls: list[Call] = []
    reason: FinishReason | None = None
    tokens: int | None = None
    logprobs: list[float] = []
    delay: float = 0
    error: Failure | None = None
    hang: bool = False


class ScriptedEngine:
    """Counts words as tokens; ``requests`` and ``cancelled`` say what it met.

    A test may set ``sees``; the pictures then are in ``requests``.
    """

    def __init__(self, config: EngineConfig, script: Sequence[Answer]) -> None:
        self.requests: list[Generation] = []
        self.cancelled = 0
        self.sees = False
        self.resume = asyncio.Event()
        self._rules = [answer for answer in script if answer.when is not None]
        self._queue = [answer for answer in script if answer.when is None]
        self._window = config.context or _WINDOW
        self._slots = config.slots or _SLOTS
        self._busy = 0
        self._words: list[str] = []
        self._ids: dict[str, int] = {}

    @classmethod
    async def load(cls, config: EngineConfig) -> Self:
        """Return the engine. Raises ``EngineLoadError`` for a script with an unknown key."""
        try:
            script = msgspec.convert(config.options.get("script") or [], list[Answer])
        except msgspec.ValidationError as error:
            raise EngineLoadError(f"The script of {config.model} is wrong: {error}.") from error
        return cls(config, script)

    @property
    def window(self) -> int:
        return self._window

    @property
    def slots(self) -> int:
        return self._slots

    async def generate(self, request: Generation) -> AsyncGenerator[Sequence[TextEvent], None]:
        """Yield one word or one piece of a call at a time, then ``Done``."""
        self.requests.append(request)
        if request.suffix is not None:
            raise no_insertion()
        prompt = await self._count(request)
        answer = self._choose(request)
        most = request.sampling.max_tokens or self._window - prompt
        self._busy += 1
        complete = False
        try:
            written = 0
            for group in self._groups(answer, request.sampling, most):
                await asyncio.sleep(answer.delay)
                written += 1
                yield [group]
            await self._end_of_text(answer)
            yield [self._done(answer, prompt, written, most)]
            complete = True
        finally:
            self._busy -= 1
            self.cancelled += not complete

    async def score(self, prompt: str | Sequence[int], alternatives: int) -> Sequence[TokenLogprob]:
        """Return every word with made-up figures."""
        text = prompt if isinstance(prompt, str) else self._text_of(prompt)
        words = enumerate(_pieces(text))
        return [one for at, word in words for one in _logprobs(Answer(), at, word, alternatives)]

    async def count_tokens(self, prompt: Chat | str) -> int:
        """Return the number of words."""
        return len(_pieces(_spoken(prompt)))

    async def tokenize(self, text: str) -> list[int]:
        """Return one id per word, the same for the same word."""
        return [self._id(piece) for piece in _pieces(text)]

    async def detokenize(self, tokens: Sequence[int]) -> str:
        """Return the words that these ids were given to."""
        return "".join(self._words[token] for token in tokens if token < len(self._words))

    def status(self) -> EngineStatus:
        return EngineStatus("ready", self._slots, self._busy, 0, self._window)

    async def close(self) -> None:
        """Let go of all who hang."""
        self.resume.set()

    async def _count(self, request: Generation) -> int:
        prompt = request.prompt
        if isinstance(prompt, Chat | str):
            tokens = await self.count_tokens(prompt)
        else:
            tokens = len(prompt)
        if tokens >= self._window:
            ending = "messages" if isinstance(prompt, Chat) else "prompt"
            raise BadRequestError(
                f"This model's maximum context length is {self._window} tokens. However, your "
                f"{ending} resulted in {tokens} tokens. Please reduce the length of the {ending}.",
                param=ending,
                code="context_length_exceeded",
            )
        return tokens

    def _choose(self, request: Generation) -> Answer:
        prompt = request.prompt
        said = _last_said(prompt) if isinstance(prompt, Chat | str) else self._text_of(prompt)
        for rule in self._rules:
            if rule.when is not None and rule.when in said:
                return rule
        if self._queue:
            return self._queue.pop(0)
        if isinstance(prompt, Chat) and prompt.tools and prompt.tool_choice != "auto":
            forced = prompt.tool_choice
            name = prompt.tools[0].name if forced == "required" else forced
            return Answer(tool_calls=[Call(name)])
        return Answer(text=said)

    def _groups(self, answer: Answer, sampling: Sampling, most: int) -> Iterator[TextEvent]:
        pieces = _pieces(answer.text) if isinstance(answer.text, str) else answer.text
        for place, piece in enumerate(pieces[:most]):
            yield TextDelta(piece, 1, _logprobs(answer, place, piece, sampling.logprobs))
        if len(pieces) > most:
            return
        for index, call in enumerate(answer.tool_calls):
            half = len(call.arguments) // 2
            yield ToolCallDelta(index, call.arguments[:half], call.name)
            yield ToolCallDelta(index, call.arguments[half:])

    async def _end_of_text(self, answer: Answer) -> None:
        if answer.hang:
            await self.resume.wait()
        if (failure := answer.error) is not None:
            raise _ERRORS.get(failure.status, InternalServerError)(
                failure.message, code=failure.code, retry_after=failure.retry_after
            )

    def _done(self, answer: Answer, prompt: int, written: int, most: int) -> Done:
        reason: FinishReason = "tool_calls" if answer.tool_calls else "stop"
        pieces = _pieces(answer.text) if isinstance(answer.text, str) else answer.text
        if len(pieces) > most:
            reason = "length"
        tokens = written if answer.tokens is None else answer.tokens
        return Done(answer.reason or reason, prompt, tokens, fingerprint="fp_scripted")

    def _id(self, word: str) -> int:
        if word not in self._ids:
            self._ids[word] = len(self._words)
            self._words.append(word)
        return self._ids[word]

    def _text_of(self, tokens: Sequence[int]) -> str:
        return "".join(self._words[token] for token in tokens if token < len(self._words))


def _pieces(text: str) -> list[str]:
    """Split into words, each with the white space before it."""
    return re.findall(r"\s*\S+|\s+$", text)


def _spoken(prompt: Chat | str) -> str:
    if isinstance(prompt, str):
        return prompt
    return " ".join(message.content for message in prompt.messages)


def _last_said(prompt: Chat | str) -> str:
    if isinstance(prompt, str):
        return prompt
    said = (m.content for m in reversed(prompt.messages) if m.role == "user")
    return next(said, "")


def _logprobs(
    answer: Answer, place: int, piece: str, alternatives: int | None
) -> tuple[TokenLogprob, ...]:
    """Return made-up figures: the drawn token is always the likeliest."""
    if alternatives is None:
        return ()
    given: dict[int, Any] = dict(enumerate(answer.logprobs))
    logprob = float(given.get(place, _LOGPROB))
    others = (f"{piece}{rank}" for rank in range(1, alternatives))
    top = [Candidate(piece, piece.encode(), logprob)] if alternatives else []
    top += [Candidate(o, o.encode(), logprob - 1 - i) for i, o in enumerate(others)]
    return (TokenLogprob(piece, piece.encode(), logprob, tuple(top)),)
