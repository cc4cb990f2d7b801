"""What goes over the wire to an OpenAI-compatible upstream, and what comes back."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from freehold.core.errors import InternalServerError
from freehold.engines.base import (
    IMAGE,
    Candidate,
    Chat,
    Done,
    FinishReason,
    Generation,
    Image,
    Message,
    TextDelta,
    TextEvent,
    TokenLogprob,
    Tool,
    ToolCallDelta,
)

_REASONS: Mapping[str, FinishReason] = {
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_OVERFLOW = ("context_length_exceeded", "exceed_context_size", "maximum context length")


class _Token(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list["_Token"] | None = None


class _Logprobs(msgspec.Struct):
    """Of chat (``content``) or of the older completions (the other three)."""

    content: list[_Token] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function = msgspec.field(default_factory=_Function)


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    text: str | None = None
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class _Cached(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: _Cached | None = None


class Chunk(msgspec.Struct):
    """One event of an upstream's stream; ``error`` is set where it gave up midway."""

    choices: list[_Choice] = msgspec.field(default_factory=list[_Choice])
    usage: _Usage | None = None
    system_fingerprint: str | None = None
    error: dict[str, Any] | str | None = None


class TokenizerAnswer(msgspec.Struct):
    """What llama.cpp (``content``) and vLLM (``count``, ``prompt``) say about tokens."""

    count: int | None = None
    tokens: list[int] | None = None
    content: str | None = None
    prompt: str | None = None


_decoder = msgspec.json.Decoder(Chunk)


def read_chunk(data: bytes) -> Chunk:
    """Return what the upstream sent. Raises ``InternalServerError`` where it is something else."""
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise InternalServerError(
            f"The upstream sent an event that is not OpenAI's: {error}."
        ) from error


class EventReader:
    """Turns the chunks of one generation into events."""

    def __init__(self) -> None:
        self._reason: FinishReason | None = None
        self._usage: _Usage | None = None
        self._fingerprint: str | None = None
        self._calls = 0
        self._numbers: dict[int, int] = {}
        self._ids: dict[int, str | None] = {}
        self._last = 0

    def read(self, chunk: Chunk) -> Iterable[TextEvent]:
        """Yield the events of a chunk, without the end."""
        self._usage = chunk.usage or self._usage
        self._fingerprint = chunk.system_fingerprint or self._fingerprint
        for choice in chunk.choices[:1]:
            yield from self._text(choice)
            for call in choice.delta.tool_calls or ():
                yield self._call(call)
            if choice.finish_reason is not None:
                self._reason = _REASONS.get(choice.finish_reason, "stop")

    def end(self) -> Done | None:
        """Return the end once the upstream has told the reason and the counts."""
        if self._reason is None or self._usage is None:
            return None
        called = self._calls and self._reason == "stop"
        details = self._usage.prompt_tokens_details
        return Done(
            reason="tool_calls" if called else self._reason,
            prompt_tokens=self._usage.prompt_tokens,
            completion_tokens=self._usage.completion_tokens,
            cached_tokens=(details.cached_tokens if details else None) or 0,
            fingerprint=self._fingerprint,
        )

    @property
    def finished(self) -> bool:
        """Whether the upstream has told why it stopped."""
        return self._reason is not None

    def _text(self, choice: _Choice) -> Iterable[TextDelta]:
        text = choice.delta.content or choice.delta.refusal or choice.text or ""
        logprobs = _logprobs(choice.logprobs)
        if text or logprobs:
            yield TextDelta(text, tokens=len(logprobs) or 1, logprobs=logprobs)

    def _call(self, call: _Call) -> ToolCallDelta:
        """Give each call a number of its own: some upstreams give all the index 0, or none."""
        index = self._last if call.index is None else call.index
        name = call.function.name or None
        if name and self._begins(call, index):
            self._numbers[index], self._ids[index] = self._calls, call.id
            self._calls += 1
        else:
            name = None
        self._last = index
        number = self._numbers.get(index)
        if number is None:
            raise InternalServerError("The upstream sent a tool call without a name.")
        return ToolCallDelta(number, call.function.arguments or "", name)

    def _begins(self, call: _Call, index: int) -> bool:
        if index not in self._numbers or call.index is None:
            return True
        return call.id is not None and call.id != self._ids[index]


def read_error(body: bytes) -> dict[str, str]:
    """Return the strings of an error body: OpenAI's, or one without the outer ``error``."""
    try:
        parsed = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}
    return error_fields(parsed.get("error", parsed))


def error_fields(error: dict[str, Any] | str) -> dict[str, str]:
    """Return ``message``, ``param`` and ``code`` where they are strings.

    Servers name an overflow of the context in different ways; here it gets OpenAI's code.
    """
    if isinstance(error, str):
        return {"message": error}
    fields = {name: value for name, value in error.items() if isinstance(value, str)}
    told = " ".join(fields.values()).lower()
    if any(mark in told for mark in _OVERFLOW):
        fields["code"] = "context_length_exceeded"
    return fields


def request_body(
    request: Generation, model: str, system_prompt: str | None
) -> tuple[str, dict[str, Any]]:
    """Return the path below the base URL and the body that ask for this generation."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "presence_penalty": sampling.presence_penalty or None,
        "frequency_penalty": sampling.frequency_penalty or None,
        "seed": sampling.seed,
        "logit_bias": {str(token): bias for token, bias in sampling.logit_bias.items()} or None,
        "stop": list(request.stop) or None,
    }
    if isinstance(request.prompt, Chat):
        path = "/chat/completions"
        body |= _chat_fields(request, request.prompt, system_prompt)
    else:
        path = "/completions"
        text = isinstance(request.prompt, str)
        body["prompt"] = request.prompt if text else list(request.prompt)
        body["logprobs"] = sampling.logprobs
        body["suffix"] = request.suffix
    return path, {name: value for name, value in body.items() if value is not None}


def scoring_body(prompt: str | Sequence[int], model: str, alternatives: int) -> dict[str, Any]:
    """Return the body that asks for the log-probabilities of a prompt and for nothing else."""
    text = prompt if isinstance(prompt, str) else list(prompt)
    wanted = {"echo": True, "max_tokens": 0, "logprobs": alternatives}
    return {"model": model, "prompt": text, **wanted}


def scores(answer: Chunk, prompt: str | Sequence[int]) -> tuple[TokenLogprob, ...] | None:
    """Return the prompt's tokens with their figures; None where the upstream told no such thing.

    A token that marks the beginning, which some servers list, is left out.
    """
    told = _logprobs(answer.choices[0].logprobs) if answer.choices else ()
    if not told or answer.usage is None or len(told) != answer.usage.prompt_tokens:
        return None
    first = told[0].bytes.decode(errors="ignore").rstrip("\ufffd")
    marked = isinstance(prompt, str) and not prompt.startswith(first)
    return told[1:] if marked else told


def chat_body(chat: Chat, system_prompt: str | None) -> dict[str, Any]:
    """Return ``messages`` and, where there are any, ``tools``."""
    messages = [_message(message) for message in chat.messages]
    if system_prompt and all(message.role != "system" for message in chat.messages):
        messages.insert(0, {"role": "system", "content": system_prompt})
    return {"messages": messages} | (
        {"tools": [_tool(t) for t in chat.tools]} if chat.tools else {}
    )


def _chat_fields(request: Generation, chat: Chat, system_prompt: str | None) -> dict[str, Any]:
    fields = chat_body(chat, system_prompt)
    if chat.tools:
        fields["tool_choice"] = _tool_choice(chat.tool_choice)
        fields["parallel_tool_calls"] = None if chat.parallel_tool_calls else False
    if request.schema is not None:
        fields["response_format"] = _response_format(request.schema)
    if request.sampling.logprobs is not None:
        fields["logprobs"] = True
        fields["top_logprobs"] = request.sampling.logprobs
    return fields


def _message(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role, "content": _content(message)}
    if message.name is not None:
        fields["name"] = message.name
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        fields["content"] = message.content or None
        fields["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    return fields


def _content(message: Message) -> str | list[dict[str, Any]]:
    """Return the text, or where there are pictures the parts in their order."""
    if not message.images:
        return message.content
    first, *rest = message.content.split(IMAGE)
    parts = [_text(first)]
    for image, words in zip(message.images, rest, strict=True):
        parts += [_image(image), _text(words)]
    return [part for part in parts if part != _text("")]


def _text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def _image(image: Image) -> dict[str, Any]:
    url = f"data:image/{image.format};base64,{b64encode(image.data).decode()}"
    return {"type": "image_url", "image_url": {"url": url, "detail": image.detail}}


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _tool_choice(choice: str) -> Any:
    if choice in {"auto", "required"}:
        return choice
    return {"type": "function", "function": {"name": choice}}


def _response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    if schema == {"type": "object"}:
        return {"type": "json_object"}
    named = {"name": "answer", "schema": schema, "strict": True}
    return {"type": "json_schema", "json_schema": named}


def _logprobs(logprobs: _Logprobs | None) -> tuple[TokenLogprob, ...]:
    if logprobs is None:
        return ()
    if logprobs.content is not None:
        return tuple(_token(token) for token in logprobs.content)
    return tuple(_older_tokens(logprobs))


def _token(token: _Token) -> TokenLogprob:
    top = tuple(
        Candidate(other.token, _bytes(other), other.logprob) for other in token.top_logprobs or ()
    )
    return TokenLogprob(token.token, _bytes(token), token.logprob, top)


def _bytes(token: _Token) -> bytes:
    return _raw(token.token) if token.bytes is None else bytes(token.bytes)


def _raw(token: str) -> bytes:
    r"""Return a token's bytes: a part of a character is written as ``bytes:\xf0``."""
    if not token.startswith("bytes:\\x"):
        return token.encode()
    return bytes.fromhex(token.removeprefix("bytes:").replace("\\x", " "))


def _older_tokens(logprobs: _Logprobs) -> Iterable[TokenLogprob]:
    tops: Sequence[dict[str, float] | None] = logprobs.top_logprobs or ()
    pairs = zip(logprobs.tokens or (), logprobs.token_logprobs or (), strict=False)
    for place, (token, logprob) in enumerate(pairs):
        others = (tops[place] or {}) if place < len(tops) else {}
        top = tuple(Candidate(text, _raw(text), value) for text, value in others.items())
        # Null stands for a certainty: the first token of an echoed prompt.
        yield TokenLogprob(token, _raw(token), logprob or 0.0, top)
