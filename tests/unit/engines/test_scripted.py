import asyncio
from contextlib import aclosing

import pytest

from freehold.core.errors import RateLimitError
from freehold.engines.backends.scripted import ScriptedEngine
from freehold.engines.base import (
    Chat,
    EngineConfig,
    Generation,
    Message,
    TextDelta,
    Tool,
    ToolCallDelta,
)


async def engine_of(tmp_path, *script):
    return await ScriptedEngine.load(
        EngineConfig("scripted", tmp_path, options={"script": list(script)})
    )


def say(text, *tools, choice="auto"):
    return Generation(Chat((Message("user", text),), tools, choice))


async def events_of(engine, request):
    return [event async for group in engine.generate(request) for event in group]


async def text_of(engine, said):
    events = await events_of(engine, say(said))
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_repeats_the_last_user_message_word_by_word(tmp_path):
    engine = await engine_of(tmp_path)
    events = await events_of(engine, say("one  two\nthree"))
    assert [event.text for event in events[:-1]] == ["one", "  two", "\nthree"]
    assert events[-1].completion_tokens == 3


async def test_entries_are_used_in_order_and_rules_again_and_again(tmp_path):
    engine = await engine_of(
        tmp_path, {"text": "first"}, {"when": "sky", "text": "blue"}, {"text": "second"}
    )
    said = [await text_of(engine, words) for words in ("a", "the sky", "b", "my sky", "c")]
    assert said == ["first", "blue", "second", "blue", "c"]


async def test_pieces_can_be_named_one_by_one(tmp_path):
    engine = await engine_of(tmp_path, {"text": ["st", "op"], "reason": "content_filter"})
    events = await events_of(engine, say("x"))
    assert [event.text for event in events[:-1]] == ["st", "op"]
    assert events[-1].reason == "content_filter"


async def test_calls_come_in_pieces(tmp_path):
    call = {"name": "f", "arguments": '{"a": 1}'}
    engine = await engine_of(tmp_path, {"text": "Well", "tool_calls": [call]})
    events = await events_of(engine, say("x"))
    first, second = (event for event in events if isinstance(event, ToolCallDelta))
    assert (first.name, second.name, first.arguments + second.arguments) == ("f", None, '{"a": 1}')
    assert events[-1].reason == "tool_calls"


async def test_forced_call_is_made_without_a_script(tmp_path):
    engine = await engine_of(tmp_path)
    events = await events_of(engine, say("x", Tool("f"), Tool("g"), choice="g"))
    assert events[0].name == "g"


async def test_failure_comes_after_the_text(tmp_path):
    engine = await engine_of(tmp_path, {"text": "so far", "error": {"status": 429}})
    groups = engine.generate(say("x"))
    assert [(await anext(groups))[0].text for _ in range(2)] == ["so", " far"]
    with pytest.raises(RateLimitError):
        await anext(groups)


async def test_hanging_answer_waits_and_can_be_stopped(tmp_path):
    engine = await engine_of(tmp_path, {"text": "a", "hang": True}, {"text": "b", "hang": True})
    async with aclosing(engine.generate(say("x"))) as groups:
        await anext(groups)
        assert engine.status().busy == 1
    assert (engine.cancelled, engine.status().busy) == (1, 0)
    waiting = asyncio.create_task(text_of(engine, "y"))
    engine.resume.set()
    assert await waiting == "b"
    assert [request.prompt.messages[-1].content for request in engine.requests] == ["x", "y"]
