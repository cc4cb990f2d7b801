"""Raw prompts on llama.cpp: their own log-probabilities, and text that is filled in."""

import asyncio
import contextlib
import struct
from contextlib import aclosing

import pytest

from freehold.core.errors import BadRequestError
from freehold.engines import gguf
from freehold.engines.backends.llama import LlamaEngine
from freehold.engines.backends.llama_gguf import read_head
from freehold.engines.backends.llama_score import without_marks
from freehold.engines.base import EngineConfig, Generation, Sampling, TextDelta, TokenLogprob
from servers import TINY

START = "Once upon a time 🐕 <|im_end|> there"
# The tiny model's vocabulary has no tokens for filling in; any three do for the order of a prompt.
PREFIX, SUFFIX, MIDDLE = 300, 301, 302


@pytest.fixture
async def load(tmp_path):
    """Return a function that loads a model; what it loaded is closed with the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def begin(weights=TINY, **fields):
            config = {"weights": weights, "slots": 2, "threads": 1, **fields}
            engine = await LlamaEngine.load(EngineConfig("tiny", tmp_path / "run", **config))
            stack.push_async_callback(engine.close)
            return engine

        yield begin


async def written(engine, prompt, suffix=None, **sampling):
    """Return the deltas and the end of an answer, the likeliest one."""
    request = Generation(prompt, Sampling(temperature=0, **sampling), suffix=suffix)
    events = [event async for group in engine.generate(request) for event in group]
    return [event for event in events if isinstance(event, TextDelta)], events[-1]


def near(one, other):
    return one == pytest.approx(other, abs=1e-3)


async def test_scoring_says_of_a_text_what_was_said_when_it_was_drawn(load):
    engine = await load()
    deltas, done = await written(engine, START, max_tokens=12, logprobs=3)
    drawn = [token for delta in deltas for token in delta.logprobs]
    text = START + "".join(delta.text for delta in deltas)
    scored = await engine.score(text, 3)
    assert b"".join(token.bytes for token in scored).decode() == text
    assert len(scored) == done.prompt_tokens + done.completion_tokens
    for one, other in zip(scored[-len(drawn) :], drawn, strict=True):
        assert one.token == other.token
        assert near(one.logprob, other.logprob)
        assert [c.token for c in one.top] == [c.token for c in other.top]


async def test_parts_of_characters_are_scored_too(load):
    engine = await load()
    scored = await engine.score("a 🐕", 2)
    parts = [token for token in scored if token.bytes[:1] >= b"\x80"]
    assert b"".join(token.bytes for token in parts).decode() == "🐕"
    assert all(-30 < token.logprob < 0 and len(token.top) == 2 for token in parts)


async def test_probabilities_of_all_tokens_sum_to_one(load):
    engine = await load()
    _, last = await engine.score("Hello there", 6144)
    total = sum(2.718281828459045**one.logprob for one in last.top)
    assert total == pytest.approx(1, abs=1e-3)
    assert any(near(one.logprob, last.logprob) for one in last.top if one.token == last.token)


async def test_token_ids_are_scored_as_their_text_is(load):
    engine = await load()
    ids = await engine.tokenize("Once upon a time")
    assert await engine.score(ids, 1) == await engine.score("Once upon a time", 1)


async def test_a_prompt_beyond_the_window_is_not_scored(load):
    engine = await load(context=256)
    with pytest.raises(BadRequestError) as caught:
        await engine.score("word " * 300, 0)
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize("token", [-1, 6144, 2**40])
async def test_ids_that_the_model_does_not_have_are_refused_by_name(load, token):
    engine = await load()
    for asked in (
        engine.score([5, token], 0),
        engine.detokenize([5, token]),
        written(engine, [5, token]),
        written(engine, "Hello", logit_bias={5: 1.0, token: 1.0}),
    ):
        with pytest.raises(BadRequestError) as caught:
            await asked
        assert str(token) in caught.value.message


async def test_scoring_that_is_cancelled_gives_its_slot_back(load):
    engine = await load(slots=1)
    scoring = asyncio.create_task(engine.score("word " * 400, 0))
    while not engine.status().busy:
        await asyncio.sleep(0)
    scoring.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await scoring
    async with aclosing(engine.generate(Generation("Hello", Sampling(max_tokens=1)))) as groups:
        assert [group async for group in groups]


async def test_an_answer_that_comes_in_pieces_is_read_whole(load):
    """A line of half a megabyte, which the system hands over in several reads."""
    engine = await load()
    deltas, done = await written(engine, "Hello", max_tokens=3, logprobs=6000)
    assert done.completion_tokens == 3
    assert {len(token.top) for delta in deltas for token in delta.logprobs} == {6000}


async def test_a_model_without_tokens_for_it_does_not_fill_in(load):
    engine = await load()
    with pytest.raises(BadRequestError) as caught:
        await written(engine, "Hello", suffix="there")
    assert caught.value.param == "suffix"
    assert "does not support insertion" in caught.value.message


async def test_text_is_filled_in_between_prompt_and_suffix(load, tmp_path):
    engine = await load(with_facts(tmp_path / "fim.gguf"))
    deltas, done = await written(engine, "Hello", suffix="there you", max_tokens=5)
    before, after = await engine.tokenize("Hello"), await engine.tokenize("there you")
    ids = [PREFIX, *before, SUFFIX, *after, MIDDLE]
    assert done.prompt_tokens == len(ids)
    assert deltas == (await written(engine, ids, max_tokens=5))[0]


def test_tokens_for_filling_in_are_found_by_number_or_name(tmp_path):
    assert read_head(TINY).insertion is None
    assert read_head(with_facts(tmp_path / "fim.gguf")).insertion == (PREFIX, SUFFIX, MIDDLE)


def test_a_mark_of_the_beginning_is_not_of_the_text():
    def token(text):
        return TokenLogprob(text, text.encode(), -1.0)

    marked = [token("<s>"), token(" Once"), token(" upon")]
    assert [one.token for one in without_marks(marked, "Once upon")] == ["Once", " upon"]
    assert [one.token for one in without_marks(marked[1:], " Once upon")] == [" Once", " upon"]
    assert without_marks(marked, [1, 2, 3]) == marked


def with_facts(path):
    """Write the tiny model again with three more facts: its tokens for filling in."""
    old = TINY.read_bytes()
    head = gguf.read_head(old)
    facts = b""
    for role, token in (("pre", PREFIX), ("suf", SUFFIX), ("mid", MIDDLE)):
        name = f"tokenizer.ggml.fim_{role}_token_id".encode()
        facts += struct.pack("<Q", len(name)) + name + struct.pack("<II", 4, token)
    count = struct.pack("<Q", len(head.facts) + 3)
    entries = b"".join(map(gguf.entry, head.tensors))
    new = old[:16] + count + old[24 : head.facts_end] + facts + entries
    path.write_bytes(new + bytes(-len(new) % head.alignment) + old[head.data :])
    return path
