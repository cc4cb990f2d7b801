"""What every text engine promises, over each engine that runs here."""

import asyncio
import contextlib
import json
from contextlib import aclosing

import jsonschema
import pytest

from freehold.core.errors import BadRequestError
from freehold.engines.backends.llama import LlamaEngine
from freehold.engines.backends.scripted import ScriptedEngine
from freehold.engines.base import (
    Chat,
    Done,
    EngineConfig,
    EngineLoadError,
    Generation,
    Message,
    Sampling,
    TextDelta,
    Tool,
    ToolCallDelta,
)
from servers import TINY

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = Tool("get_weather", "Weather of a city", CITY)
SCRIPT = [
    {"when": "object", "text": '{"city": "Rome"}'},
    {"when": "weather", "tool_calls": [{"name": "get_weather", "arguments": '{"city": "Rome"}'}]},
    {"when": "count", "text": " ".join(str(number) for number in range(200)), "delay": 0.001},
]


@pytest.fixture(params=["llama", "scripted"])
async def engine(request, tmp_path):
    if request.param == "llama":
        config = EngineConfig("tiny", tmp_path, weights=TINY, slots=2)
        engine = await LlamaEngine.load(config)
    else:
        options = {"script": SCRIPT}
        config = EngineConfig("scripted", tmp_path, slots=2, context=1024, options=options)
        engine = await ScriptedEngine.load(config)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(engine.close)
        yield engine


def ask(text, *tools, schema=None, choice="auto", **sampling):
    chat = Chat((Message("user", text),), tools, choice)
    return Generation(chat, Sampling(**{"temperature": 0, **sampling}), schema)


async def events_of(engine, request):
    return [event async for group in engine.generate(request) for event in group]


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_answer_is_text_and_then_one_done(engine):
    *deltas, done = await events_of(engine, ask("Hello there"))
    assert all(isinstance(delta, TextDelta) and delta.text for delta in deltas)
    assert isinstance(done, Done)
    assert done.reason == "stop"
    assert done.prompt_tokens >= 2
    assert done.completion_tokens >= sum(delta.tokens for delta in deltas) > 0


async def test_length_ends_an_answer_at_its_tokens(engine):
    *deltas, done = await events_of(engine, ask("count to 200", max_tokens=2))
    assert (done.reason, done.completion_tokens) == ("length", 2)
    assert sum(delta.tokens for delta in deltas) == 2


async def test_answers_come_in_more_than_one_group(engine):
    groups = [group async for group in engine.generate(ask("Tell me a long story please"))]
    assert len(groups) > 1
    assert all(groups)


async def test_prompt_may_be_text_or_token_ids(engine):
    tokens = await engine.tokenize("Once upon a time")
    assert await engine.detokenize(tokens) == "Once upon a time"
    by_text = await events_of(engine, Generation("Once upon a time", Sampling(4, 0)))
    by_ids = await events_of(engine, Generation(tokens, Sampling(4, 0)))
    assert text_of(by_text) == text_of(by_ids)
    assert by_ids[-1].prompt_tokens == len(tokens)


async def test_counted_tokens_are_those_of_the_answer(engine):
    request = ask("How long is this?", max_tokens=1)
    events = await events_of(engine, request)
    assert await engine.count_tokens(request.prompt) == events[-1].prompt_tokens


async def test_logprobs_have_the_asked_alternatives(engine):
    *deltas, _ = await events_of(engine, ask("Hello there", max_tokens=3, logprobs=2))
    for delta in deltas:
        assert b"".join(token.bytes for token in delta.logprobs) == delta.text.encode()
        for token in delta.logprobs:
            assert [len(token.top), token.logprob <= 0] == [2, True]
            assert token.top[0].logprob >= token.top[1].logprob


async def test_logprobs_without_alternatives(engine):
    first, *_ = await events_of(engine, ask("Hello there", max_tokens=1, logprobs=0))
    (token,) = first.logprobs
    assert token.top == ()
    (bare, *_) = await events_of(engine, ask("Hello there", max_tokens=1))
    assert bare.logprobs == ()


async def test_prompt_that_does_not_fit_is_refused_with_the_counts(engine):
    with pytest.raises(BadRequestError) as refusal:
        await events_of(engine, ask("word " * 2000))
    assert refusal.value.code == "context_length_exceeded"
    assert refusal.value.param == "messages"
    assert "maximum context length is 1024 tokens" in refusal.value.message


@pytest.mark.parametrize("choice", ["required", "get_weather"])
async def test_forced_call_is_a_call_with_valid_arguments(engine, choice):
    events = await events_of(engine, ask("weather in Rome", WEATHER, choice=choice))
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert text_of(events) == ""
    assert calls[0].name == "get_weather"
    assert {call.index for call in calls} == {0}
    jsonschema.validate(json.loads("".join(call.arguments for call in calls)), CITY)
    assert events[-1].reason == "tool_calls"


async def test_answer_keeps_to_a_schema(engine):
    events = await events_of(engine, ask("object", schema=CITY, max_tokens=200))
    jsonschema.validate(json.loads(text_of(events)), CITY)


async def test_closing_an_answer_frees_its_slot(engine):
    async with aclosing(engine.generate(ask("count to 200", max_tokens=900))) as groups:
        await anext(groups)
        assert engine.status().busy == 1
    async with asyncio.timeout(5):
        while engine.status().busy:
            await asyncio.sleep(0.001)
    assert text_of(await events_of(engine, ask("Hello there")))


async def test_as_many_answers_as_slots_run_at_once(engine):
    requests = [ask(f"Hello number {number}") for number in range(engine.slots)]
    answers = await asyncio.gather(*(events_of(engine, request) for request in requests))
    assert all(isinstance(answer[-1], Done) for answer in answers)
    assert engine.status().slots == engine.slots


async def test_ready_engine_tells_its_window(engine):
    status = engine.status()
    assert (status.state, status.window, status.restarts) == ("ready", engine.window, 0)


@pytest.mark.parametrize("backend", [LlamaEngine, ScriptedEngine])
async def test_wrong_configuration_says_what_is_wrong(backend, tmp_path):
    options = {"script": [{"txt": "x"}]}
    config = EngineConfig("m", tmp_path, weights=tmp_path / "none.gguf", options=options)
    with pytest.raises(EngineLoadError, match=r"txt|none\.gguf"):
        await backend.load(config)


async def test_a_prompt_is_scored_token_by_token(engine):
    text = "Hello there, how are you?"
    first, *others = await engine.score(text, 2)
    assert b"".join(token.bytes for token in (first, *others)).decode() == text
    assert all(token.logprob < 0 for token in others)
    assert all(len(token.top) == 2 for token in others)
    assert [token.token for token in await engine.score(await engine.tokenize(text), 0)] == [
        token.token for token in (first, *others)
    ]
    assert all(not token.top for token in await engine.score(text, 0))


async def test_what_can_not_be_filled_in_is_refused(engine):
    with pytest.raises(BadRequestError) as caught:
        await events_of(engine, Generation("def f():", suffix="return x"))
    assert caught.value.param == "suffix"
