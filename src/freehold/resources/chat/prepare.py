"""From a checked request to the generation it asks for and the promises that go with it."""

from dataclasses import dataclass, replace
from typing import Any

from freehold.api.context import Services
from freehold.api.pictures import load
from freehold.core.errors import BadRequestError
from freehold.data import vision
from freehold.engines import bias
from freehold.engines.base import Chat, Generation, JSONSchema, Sampling, TextEngine, Tool
from freehold.engines.grammar import check_schema
from freehold.engines.registry import Model
from freehold.resources.chat import images, prompt, rules, strict
from freehold.resources.chat.choice import Promise
from freehold.wire.chat import (
    ChatCompletionFunctionCallOptionParam,
    ChatCompletionNamedToolChoiceParam,
    CompletionCreateParams,
)
from freehold.wire.shared import JSONSchema as JSONSchemaFormat

Body = CompletionCreateParams


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of a request, and its conversation without them.

    ``tokens`` is what OpenAI counts for them; 0 until they have been looked at.
    """

    parts: tuple[images.Part, ...]
    words: Chat
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request as the service works on it."""

    body: Body
    model: Model
    generation: Generation
    promise: Promise
    n: int
    pictures: Pictures | None = None

    @property
    def chat(self) -> Chat:
        assert isinstance(self.generation.prompt, Chat)  # noqa: S101 - made here, as a chat
        return self.generation.prompt

    def of_choice(self, index: int) -> Generation:
        """Return the generation of one choice: with a seed, each choice has its own."""
        seed = self.generation.sampling.seed
        if index == 0 or seed is None:
            return self.generation
        sampling = replace(self.generation.sampling, seed=seed + index)
        return replace(self.generation, sampling=sampling)

    def estimate(self) -> int:
        """Return about how many tokens the prompt has, before any engine has counted them."""
        chat = self.pictures.words if self.pictures else self.chat
        letters = sum(len(message.content) for message in chat.messages)
        shown = (
            sum(vision.guess(part.detail) for part in self.pictures.parts) if self.pictures else 0
        )
        return letters // 4 + 4 * len(chat.messages) + shown


def prepare(body: Body, model: Model) -> Prepared:
    """Check the request's rules and say what is to be generated. Raises ``BadRequestError``."""
    rules.check(body, model.row)
    n = body.n or 1
    schema = _schema(body)
    tools, choice, named = _tools(body)
    stops = _stops(body)
    chat = Chat(
        messages=prompt.messages(body),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=body.parallel_tool_calls is not False and body.functions is None,
        json_schema=_given_schema(body),
    )
    promise = Promise(
        stops=stops,
        style="tools" if body.functions is None else "function",
        parallel=chat.parallel_tool_calls,
        named=named,
        required=choice == "required",
        arguments={tool.name: tool.parameters or {} for tool in tools if tool.strict},
        schema=schema,
    )
    generation = Generation(
        chat, _sampling(body, model, n), schema=schema, stop=stops, whole=not body.stream
    )
    return Prepared(body, model, generation, promise, n, _pictures(body, model, chat))


async def look(prepared: Prepared, engine: TextEngine, services: Services) -> Prepared:
    """Fetch the pictures for an engine that sees; others are told true facts of them."""
    pictures = prepared.pictures
    if pictures is None:
        return prepared
    if not engine.sees and not services.settings.vision.describe:
        raise images.blind(pictures.parts[0], prepared.model.id)
    found = await load(pictures.parts, services.fetcher)
    if engine.sees:
        chat = images.seen(prepared.chat, pictures.parts, found)
    else:
        chat = await images.told(prepared.chat, pictures.parts, found, services.viewer)
    tokens = sum(vision.tokens(picture.width, picture.height, picture.detail) for picture in found)
    return replace(
        prepared,
        generation=replace(prepared.generation, prompt=chat),
        pictures=replace(pictures, tokens=tokens),
    )


async def fit(prepared: Prepared, engine: TextEngine) -> Prepared:
    """Translate token ids and keep the request within the catalogue's window."""
    sampling = prepared.generation.sampling
    if prepared.body.logit_bias:
        vocabulary = prepared.model.vocabulary
        translated = await bias.native(prepared.body.logit_bias, vocabulary, engine)
        sampling = replace(sampling, logit_bias=translated)
    window = prepared.model.row.context_window
    if window is not None and window < engine.window:
        sampling = replace(sampling, max_tokens=await _room(prepared, engine, window))
    if sampling is prepared.generation.sampling:
        return prepared
    return replace(prepared, generation=replace(prepared.generation, sampling=sampling))


async def _room(prepared: Prepared, engine: TextEngine, window: int) -> int | None:
    """Return how many tokens may be generated in a window smaller than the engine's."""
    wanted = prepared.generation.sampling.max_tokens
    try:
        used = await engine.count_tokens(prepared.chat)
    except BadRequestError:  # an upstream without a tokenizer: the last word is its own
        return wanted
    if used >= window:
        raise BadRequestError(
            f"This model's maximum context length is {window} tokens. However, your messages "
            f"resulted in {used} tokens. Please reduce the length of the messages.",
            param="messages",
            code="context_length_exceeded",
        )
    return window - used if wanted is None else min(wanted, window - used)


def _pictures(body: Body, model: Model, chat: Chat) -> Pictures | None:
    parts = images.parts(body.messages)
    images.check(parts, model.row)
    return Pictures(parts, images.without(chat, parts)) if parts else None


def _sampling(body: Body, model: Model, n: int) -> Sampling:
    most = body.max_completion_tokens
    return Sampling(
        max_tokens=body.max_tokens if most is None else most,
        temperature=model.temperature(n) if body.temperature is None else body.temperature,
        top_p=body.top_p,
        presence_penalty=body.presence_penalty or 0.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        seed=body.seed,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
    )


def _stops(body: Body) -> tuple[str, ...]:
    given = [body.stop] if isinstance(body.stop, str) else body.stop or []
    return tuple(stop for stop in given if stop)


def _tools(body: Body) -> tuple[tuple[Tool, ...], str, bool]:
    """Return the tools to offer, the choice as engines know it, and whether it names a tool."""
    tools = prompt.tools(body)
    given: Any = body.tool_choice if body.functions is None else body.function_call
    if given == "none" or not tools:
        return (), "auto", False
    for place, tool in enumerate(tools):
        _check_strict(tool, place)
    if isinstance(given, ChatCompletionNamedToolChoiceParam):
        return tools, given.function.name, True
    if isinstance(given, ChatCompletionFunctionCallOptionParam):
        return tools, given.name, True
    return tools, given or "auto", False


def _check_strict(tool: Tool, place: int) -> None:
    if not tool.strict:
        return
    schema = tool.parameters
    fault = "'parameters' is required" if schema is None else _fault(schema, strictly=True)
    if fault:
        raise BadRequestError(
            f"Invalid schema for function '{tool.name}': {fault}",
            param=f"tools[{place}].function.parameters",
            code="invalid_function_parameters",
        )


def _schema(body: Body) -> JSONSchema | None:
    """Return the schema that the answer must fit, None for free text."""
    wanted = body.response_format
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return {"type": "object"}
    return _checked_schema(wanted.json_schema)


def _given_schema(body: Body) -> JSONSchema | None:
    """Return the schema that the caller wrote, to show it to the model."""
    wanted = body.response_format
    return wanted.json_schema.schema_ if wanted and wanted.type == "json_schema" else None


def _checked_schema(given: JSONSchemaFormat) -> JSONSchema:
    schema = given.schema_ if given.schema_ is not None else {"type": "object"}
    fault = _fault(schema, strictly=bool(given.strict))
    if fault:
        raise BadRequestError(
            f"Invalid schema for response_format '{given.name}': {fault}", param="response_format"
        )
    return schema


def _fault(schema: JSONSchema, *, strictly: bool) -> str | None:
    return (strict.fault(schema) if strictly else None) or check_schema(schema)
