"""llama.cpp's own JSON: requests as it wants them, answers as plain events."""

import math
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from freehold.engines.base import Candidate, Sampling, TextDelta, TokenLogprob

_API_TEMPERATURE: Final = 1.0
_BAN: Final = -100.0
# JSON has no infinity; OpenAI writes this for a token that could not be drawn.
_LEAST_LOGPROB: Final = -9999.0
_SEEDS: Final = 2**32 - 1


class Shown(msgspec.Struct, frozen=True):
    """Text with a marker in the place of each picture, and the pictures as base64."""

    prompt_string: str
    multimodal_data: tuple[str, ...]


EnginePrompt = str | Sequence[str | int] | Shown


class _Alternative(msgspec.Struct):
    token: str
    bytes: list[int]
    logprob: float | None = None
    id: int = -1


class DrawnToken(_Alternative):
    """A token that was drawn, and the likeliest of all before any bias."""

    top_logprobs: list[_Alternative] = []


class _Logprobs(msgspec.Struct):
    content: list[DrawnToken] = []


class _Choice(msgspec.Struct):
    text: str
    logprobs: _Logprobs | None = None
    finish_reason: Literal["stop", "length"] | None = None


class _Cached(msgspec.Struct):
    cached_tokens: int = 0


class Usage(msgspec.Struct):
    """Token counts of the whole answer."""

    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _Cached = msgspec.field(default_factory=_Cached)


class Fault(msgspec.Struct):
    """The engine's refusal."""

    message: str
    code: int = 500
    type: str = "server_error"
    n_prompt_tokens: int = 0


class Progress(msgspec.Struct):
    """How much of the prompt has been read."""

    total: int


class Line(msgspec.Struct):
    """One line of an answer."""

    choices: list[_Choice] = []
    usage: Usage | None = None
    error: Fault | None = None
    prompt_progress: Progress | None = None


# In front of a request: lines may come late (``llama_child`` knows the same mark).
LATE = b"~"

read_line = msgspec.json.Decoder(Line).decode
write_request = msgspec.json.Encoder().encode


def request_fields(
    prompt: EnginePrompt,
    sampling: Sampling,
    grammar: str | None,
    window: int,
    stop: Sequence[str] = (),
    *,
    progress: bool = True,
) -> dict[str, Any]:
    """Return the body of a completion request that means what the API's parameters mean."""
    fields: dict[str, Any] = {
        "prompt": prompt,
        "stream": True,
        "return_progress": progress,
        "cache_prompt": True,
        "n_predict": -1 if sampling.max_tokens is None else sampling.max_tokens,
        **_drawing(sampling, window),
    }
    if sampling.seed is not None:
        fields["seed"] = sampling.seed % _SEEDS
    if sampling.logprobs is not None:
        fields["n_probs"] = max(1, sampling.logprobs)
    if sampling.logit_bias:
        fields["logit_bias"] = [_bias(*pair) for pair in sampling.logit_bias.items()]
    if grammar is not None:
        fields["grammar"] = grammar
    if stop:
        fields["stop"] = list(stop)
    return fields


def text_delta(choice: _Choice, alternatives: int | None) -> TextDelta | None:
    """Return the delta of a line; None where it carries no text, as at the end."""
    if not choice.text:
        return None
    if choice.logprobs is None or alternatives is None:
        return TextDelta(choice.text)
    drawn = choice.logprobs.content
    return TextDelta(choice.text, 1, tuple(token_logprob(token, alternatives) for token in drawn))


def _drawing(sampling: Sampling, window: int) -> dict[str, Any]:
    """Name the samplers that are needed and no others: the engine's defaults are not OpenAI's."""
    temperature = _API_TEMPERATURE if sampling.temperature is None else sampling.temperature
    fields: dict[str, Any] = {"temperature": temperature}
    samplers: list[str] = []
    if sampling.presence_penalty or sampling.frequency_penalty:
        samplers.append("penalties")
        fields["presence_penalty"] = sampling.presence_penalty
        fields["frequency_penalty"] = sampling.frequency_penalty
        fields["repeat_penalty"] = 1.0
        fields["repeat_last_n"] = window
    if temperature <= 0:
        samplers.append("top_k")
        fields["top_k"] = 1
    else:
        samplers.append("temperature")
        if sampling.top_p is not None and sampling.top_p < 1:
            samplers.append("top_p")
            fields["top_p"] = sampling.top_p
    return fields | {"samplers": samplers}


def _bias(token: int, bias: float) -> list[Any]:
    return [token, False if bias <= _BAN else bias]


def token_logprob(token: DrawnToken, alternatives: int) -> TokenLogprob:
    """Return a drawn token's figures with this many alternatives."""
    top = tuple(
        Candidate(other.token, bytes(other.bytes), _finite(other.logprob))
        for other in token.top_logprobs[:alternatives]
    )
    return TokenLogprob(token.token, bytes(token.bytes), _finite(token.logprob), top)


def _finite(logprob: float | None) -> float:
    if logprob is None or not math.isfinite(logprob):
        return _LEAST_LOGPROB
    return max(logprob, _LEAST_LOGPROB)
