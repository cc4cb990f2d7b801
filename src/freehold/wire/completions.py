"""Legacy completions: what ``/completions`` takes and answers, streamed or not."""

from typing import Literal

from freehold.wire.chat import ChatCompletionStreamOptionsParam, Stop
from freehold.wire.embeddings import Input
from freehold.wire.shared import Answer, CompletionUsage, Params


class CompletionCreateParams(Params):
    """The body of ``createCompletion``. Documented numeric limits are in ``limits.toml``."""

    model: str
    prompt: Input | None = None
    best_of: int | None = None
    echo: bool | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: int | None = None
    max_tokens: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: Stop | None = None
    stream: bool | None = None
    stream_options: ChatCompletionStreamOptionsParam | None = None
    suffix: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None


class Logprobs(Answer):
    """Four lists of the same length; the first token of a text has no log-probability."""

    text_offset: list[int] | None = None
    token_logprobs: list[float | None] | None = None
    tokens: list[str] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class CompletionChoice(Answer):
    finish_reason: Literal["stop", "length", "content_filter"] | None
    index: int
    logprobs: Logprobs | None
    text: str


class Completion(Answer):
    """A whole answer, and one chunk of a streamed one, whose ``finish_reason`` may be null."""

    id: str
    choices: list[CompletionChoice]
    created: int
    model: str
    object: Literal["text_completion"]
    system_fingerprint: str | None = None
    usage: CompletionUsage | None = None
