"""Answers that go round in circles are ended; figures of speech, tables and digits are not."""

import json

import pytest

from freehold.engines.backends.llama import LlamaEngine
from freehold.engines.base import (
    Chat,
    Done,
    EngineConfig,
    Generation,
    Message,
    Sampling,
    TextDelta,
    Tool,
    ToolCallDelta,
)
from freehold.engines.stopping import LoopWatch
from servers import TINY

LINE = "A harvest moon's light,\n"


def read(text, step=5):
    """Return how much of the text is read before a loop is seen."""
    watch = LoopWatch()
    for start in range(0, len(text), step):
        if watch.loops(text[start : start + step]):
            return min(start + step, len(text))
    return None


@pytest.mark.parametrize("step", [1, 5, 40])
def test_words_that_come_again_and_again_are_a_loop(step):
    seen = read("Leaves fall.\n" + LINE * 40, step)
    assert seen is not None
    assert seen < 13 + 6 * len(LINE) + step


def test_it_is_one_with_other_stops_and_capitals():
    assert read("It's a market on the go, and it's a market on the go. " * 20) < 160


def test_a_long_passage_is_one_the_third_time():
    passage = "".join(f"Sentence {n} of a long and winding passage. " for n in range(5))
    assert read("Once. " + passage * 4) <= 6 + 3 * len(passage)


def test_a_word_without_end_is_one():
    assert read("I am " + "very " * 100) < 80


@pytest.mark.parametrize(
    "text",
    [
        "Rain, rain, go away,\nRain, rain, go away,\nCome again another day.",
        "Row, row, row your boat. Merrily, merrily, merrily, merrily, life is but a dream.",
        "| a | b |\n" + "|---|---|\n" * 30,
        "-" * 300,
        "1/3 = 0." + "3" * 200,
        "\n".join(f"{n}. item number {n}" for n in range(60)),
        "x " + "x" * 500,
        "0 0 0 0 " * 50,
        "Here:\n```html\n" + "<tr><td>a</td><td>b</td></tr>\n" * 20 + "```\nThat is it.",
    ],
)
def test_what_is_no_loop_goes_on(text):
    assert read(text) is None


@pytest.fixture
def load(tmp_path):
    async def begin(**options):
        config = EngineConfig(
            "tiny", tmp_path, weights=TINY, slots=1, context=512, threads=1, options=options
        )
        return await LlamaEngine.load(config)

    return begin


async def say(engine, **fields):
    messages = (Message("user", "Sing of the very same words again and again."),)
    request = Generation(
        Chat(messages), Sampling(max_tokens=300, temperature=0, logit_bias={}), **fields
    )
    events = [event async for group in engine.generate(request) for event in group]
    return "".join(event.text for event in events[:-1]), events[-1]


async def test_a_looping_answer_ends_as_the_same_text_cut_short(load, monkeypatch):
    monkeypatch.setattr(LoopWatch, "loops", lambda _, more: "i" in more)
    plain, ending = await load(), await load(end_loops=True)
    try:
        (whole, _), (cut, done) = await say(plain), await say(ending)
        assert "i" in cut
        assert whole.startswith(cut)
        assert len(cut) < len(whole)
        assert isinstance(done, Done)
        assert done.reason == "stop"
        assert 0 < done.completion_tokens < 300
        chat = Chat((Message("user", "Sing of the very same words again and again."),))
        assert done.prompt_tokens == await ending.count_tokens(chat)
        json_text, _ = await say(ending, schema={"type": "object", "properties": {}})
        assert json_text.startswith("{")
        again, _ = await say(ending)  # the slot is free again
        assert again == cut
    finally:
        await plain.close()
        await ending.close()


async def test_words_may_loop_where_tools_are_on_offer_but_calls_are_left_alone(load, monkeypatch):
    monkeypatch.setattr(LoopWatch, "loops", lambda *_: True)
    tool = Tool("now", parameters={"type": "object", "properties": {"zone": {"type": "string"}}})
    engine = await load(end_loops=True, longest_string=9)

    async def ask(choice):
        request = Generation(
            Chat((Message("user", "Hello!"),), (tool,), choice),
            Sampling(max_tokens=300, temperature=0),
        )
        return [event async for group in engine.generate(request) for event in group]

    try:
        text, done = await ask("auto")
        assert isinstance(text, TextDelta)
        assert isinstance(done, Done)
        assert (done.reason, done.completion_tokens) == ("stop", 1)
        calls = [event for event in await ask("now") if isinstance(event, ToolCallDelta)]
        assert calls[0].name == "now"
        assert isinstance(json.loads("".join(call.arguments for call in calls)), dict)
    finally:
        await engine.close()
