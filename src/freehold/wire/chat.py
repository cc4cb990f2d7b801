"""Chat completions: the request and the whole answer. Streamed chunks are in ``chat_chunk.py``."""

from typing import Annotated, Any, Literal

from pydantic import Tag

from freehold.wire.shared import (
    Answer,
    CompletionUsage,
    FunctionDefinition,
    Params,
    ResponseFormatJSONObject,
    ResponseFormatJSONSchema,
    ResponseFormatText,
    by_field,
    by_kind,
)

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
ServiceTier = Literal["auto", "default", "flex", "scale", "priority", "fast"]

_TEXT_OR_PARTS = "one of a string or array of objects"


class ChatCompletionContentPartTextParam(Params):
    type: Literal["text"]
    text: str


class ChatCompletionContentPartRefusalParam(Params):
    type: Literal["refusal"]
    refusal: str


class ImageURL(Params):
    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ChatCompletionContentPartImageParam(Params):
    type: Literal["image_url"]
    image_url: ImageURL


class InputAudio(Params):
    data: str
    format: Literal["wav", "mp3"]


class ChatCompletionContentPartInputAudioParam(Params):
    type: Literal["input_audio"]
    input_audio: InputAudio


ChatCompletionContentPartParam = Annotated[
    Annotated[ChatCompletionContentPartTextParam, Tag("<text>")]
    | Annotated[ChatCompletionContentPartImageParam, Tag("<image_url>")]
    | Annotated[ChatCompletionContentPartInputAudioParam, Tag("<input_audio>")],
    by_field("type", "text", "image_url", "input_audio"),
]
AssistantContentPart = Annotated[
    Annotated[ChatCompletionContentPartTextParam, Tag("<text>")]
    | Annotated[ChatCompletionContentPartRefusalParam, Tag("<refusal>")],
    by_field("type", "text", "refusal"),
]
TextContent = Annotated[
    Annotated[str, Tag("<string>")]
    | Annotated[list[ChatCompletionContentPartTextParam], Tag("<array>")],
    by_kind(_TEXT_OR_PARTS),
]
UserContent = Annotated[
    Annotated[str, Tag("<string>")]
    | Annotated[list[ChatCompletionContentPartParam], Tag("<array>")],
    by_kind(_TEXT_OR_PARTS),
]
AssistantContent = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[list[AssistantContentPart], Tag("<array>")],
    by_kind(_TEXT_OR_PARTS),
]


class Function(Params):
    """The function that a call names, with its arguments as JSON text."""

    arguments: str
    name: str


class ChatCompletionMessageToolCall(Params):
    id: str
    function: Function
    type: Literal["function"]


class CalledFunctionParam(Function):
    """A function's call on its way back; the client's helpers add what they parsed."""

    parsed_arguments: Any = None


class ChatCompletionMessageToolCallParam(Params):
    """A call on its way back; the client's stream helpers leave its index in."""

    id: str
    function: CalledFunctionParam
    type: Literal["function"]
    index: int | None = None


class FunctionCall(Params):
    arguments: str
    name: str


class Audio(Params):
    """An earlier spoken answer that the assistant's turn refers to."""

    id: str


class ChatCompletionDeveloperMessageParam(Params):
    content: TextContent
    role: Literal["developer"]
    name: str | None = None


class ChatCompletionSystemMessageParam(Params):
    content: TextContent
    role: Literal["system"]
    name: str | None = None


class ChatCompletionUserMessageParam(Params):
    content: UserContent
    role: Literal["user"]
    name: str | None = None


class ChatCompletionAssistantMessageParam(Params):
    """An earlier answer. ``parsed`` and ``annotations`` come with the client's helpers."""

    role: Literal["assistant"]
    content: AssistantContent | None = None
    refusal: str | None = None
    name: str | None = None
    audio: Audio | None = None
    tool_calls: list[ChatCompletionMessageToolCallParam] | None = None
    function_call: FunctionCall | None = None
    parsed: Any = None
    annotations: list[Any] | None = None


class ChatCompletionToolMessageParam(Params):
    content: TextContent
    role: Literal["tool"]
    tool_call_id: str


class ChatCompletionFunctionMessageParam(Params):
    content: str | None
    name: str
    role: Literal["function"]


ChatCompletionMessageParam = Annotated[
    Annotated[ChatCompletionDeveloperMessageParam, Tag("<developer>")]
    | Annotated[ChatCompletionSystemMessageParam, Tag("<system>")]
    | Annotated[ChatCompletionUserMessageParam, Tag("<user>")]
    | Annotated[ChatCompletionAssistantMessageParam, Tag("<assistant>")]
    | Annotated[ChatCompletionToolMessageParam, Tag("<tool>")]
    | Annotated[ChatCompletionFunctionMessageParam, Tag("<function>")],
    by_field("role", "developer", "system", "user", "assistant", "tool", "function"),
]


class ChatCompletionToolParam(Params):
    function: FunctionDefinition
    type: Literal["function"]


class NamedFunction(Params):
    name: str


class ChatCompletionNamedToolChoiceParam(Params):
    function: NamedFunction
    type: Literal["function"]


ChatCompletionToolChoiceOptionParam = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("<string>")]
    | Annotated[ChatCompletionNamedToolChoiceParam, Tag("<object>")],
    by_kind("one of a string or object"),
]


class ChatCompletionFunctionCallOptionParam(Params):
    name: str


FunctionCallOption = Annotated[
    Annotated[Literal["none", "auto"], Tag("<string>")]
    | Annotated[ChatCompletionFunctionCallOptionParam, Tag("<object>")],
    by_kind("one of a string or object"),
]


class FunctionParam(Params):
    """An entry of the deprecated ``functions`` (``completion_create_params.Function``)."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ChatCompletionStreamOptionsParam(Params):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatCompletionPredictionContentParam(Params):
    content: TextContent
    type: Literal["content"]


class ChatCompletionAudioParam(Params):
    format: str
    voice: Any


ResponseFormat = Annotated[
    Annotated[ResponseFormatText, Tag("<text>")]
    | Annotated[ResponseFormatJSONObject, Tag("<json_object>")]
    | Annotated[ResponseFormatJSONSchema, Tag("<json_schema>")],
    by_field("type", "text", "json_object", "json_schema"),
]
Stop = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[list[str], Tag("<array>")],
    by_kind("one of a string or array of strings"),
]


class CompletionCreateParams(Params):
    """The body of ``createChatCompletion``. Documented numeric limits are in ``limits.toml``."""

    messages: list[ChatCompletionMessageParam]
    model: str
    audio: ChatCompletionAudioParam | None = None
    frequency_penalty: float | None = None
    function_call: FunctionCallOption | None = None
    functions: list[FunctionParam] | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    metadata: dict[str, str] | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    n: int | None = None
    parallel_tool_calls: bool | None = None
    prediction: ChatCompletionPredictionContentParam | None = None
    presence_penalty: float | None = None
    reasoning_effort: Literal["low", "medium", "high"] | None = None
    response_format: ResponseFormat | None = None
    seed: int | None = None
    service_tier: ServiceTier | None = None
    stop: Stop | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: ChatCompletionStreamOptionsParam | None = None
    temperature: float | None = None
    tool_choice: ChatCompletionToolChoiceOptionParam | None = None
    tools: list[ChatCompletionToolParam] | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    user: str | None = None

    # Of the newer document: accepted or refused by endpoints.toml.
    moderation: Any = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    web_search_options: Any = None


class TopLogprob(Answer):
    token: str
    bytes: list[int] | None
    logprob: float


class ChatCompletionTokenLogprob(Answer):
    token: str
    bytes: list[int] | None
    logprob: float
    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(Answer):
    content: list[ChatCompletionTokenLogprob] | None
    refusal: list[ChatCompletionTokenLogprob] | None


class ChatCompletionAudio(Answer):
    id: str
    data: str
    expires_at: int
    transcript: str


class ChatCompletionMessage(Answer):
    content: str | None
    refusal: str | None
    role: Literal["assistant"]
    audio: ChatCompletionAudio | None = None
    function_call: FunctionCall | None = None
    tool_calls: list[ChatCompletionMessageToolCall] | None = None


class Choice(Answer):
    finish_reason: FinishReason
    index: int
    logprobs: ChoiceLogprobs | None
    message: ChatCompletionMessage


class ChatCompletion(Answer):
    id: str
    choices: list[Choice]
    created: int
    model: str
    object: Literal["chat.completion"]
    metadata: dict[str, str] | None = None
    service_tier: Literal["scale", "default"] | None = None
    system_fingerprint: str | None = None
    usage: CompletionUsage | None = None
