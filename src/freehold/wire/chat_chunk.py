"""Chat completions, streamed: one chunk, as the client and the tests read it.

The server writes chunks as bytes (``resources/chat``) and makes none of these per token.
"""

from typing import Literal

from freehold.wire.chat import ChoiceLogprobs, FinishReason
from freehold.wire.shared import Answer, CompletionUsage


class ChoiceDeltaFunctionCall(Answer):
    arguments: str | None = None
    name: str | None = None


class ChoiceDeltaToolCallFunction(Answer):
    arguments: str | None = None
    name: str | None = None


class ChoiceDeltaToolCall(Answer):
    index: int
    id: str | None = None
    function: ChoiceDeltaToolCallFunction | None = None
    type: Literal["function"] | None = None


class ChoiceDelta(Answer):
    content: str | None = None
    function_call: ChoiceDeltaFunctionCall | None = None
    refusal: str | None = None
    role: Literal["system", "user", "assistant", "tool"] | None = None
    tool_calls: list[ChoiceDeltaToolCall] | None = None


class Choice(Answer):
    delta: ChoiceDelta
    finish_reason: FinishReason | None
    index: int
    logprobs: ChoiceLogprobs | None = None


class ChatCompletionChunk(Answer):
    id: str
    choices: list[Choice]
    created: int
    model: str
    object: Literal["chat.completion.chunk"]
    service_tier: Literal["scale", "default"] | None = None
    system_fingerprint: str | None = None
    usage: CompletionUsage | None = None
