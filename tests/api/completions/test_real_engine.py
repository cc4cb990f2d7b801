"""Legacy completions on llama.cpp and the tiny model: the whole path, with real tokens."""

import asyncio

import pytest
import pytest_asyncio

from servers import TINY, in_process
from texts import completed, only, refused, streamed

PROMPT = "Say hello to"
# The tiny model may never say 2, its end.
ENDLESS = {"model": "tiny", "logit_bias": {"2": -100}, "temperature": 0}


@pytest_asyncio.fixture(scope="module")
async def tiny(tmp_path_factory):
    """Return a server in this process on the tiny model."""
    models = {"tiny": {"weights": str(TINY), "context": 512, "slots": 2}}
    folder = tmp_path_factory.mktemp("tiny") / "state"
    async with in_process(folder, models=models, default_model="tiny") as server:
        yield server


async def test_an_echo_scores_what_the_answer_was_said_with(tiny):
    said = await only(tiny, PROMPT, logprobs=2, max_tokens=8, **ENDLESS)
    fields = {"model": "tiny", "echo": True, "logprobs": 2, "max_tokens": 0}
    scored = await only(tiny, PROMPT + said["text"], **fields)
    drawn, read = said["logprobs"], scored["logprobs"]
    count = len(drawn["tokens"])
    assert "".join(read["tokens"]) == scored["text"] == PROMPT + said["text"]
    for name in ("tokens", "text_offset"):
        assert read[name][-count:] == drawn[name]
    assert read["token_logprobs"][-count:] == pytest.approx(drawn["token_logprobs"], abs=1e-3)
    assert read["token_logprobs"][0] is None


async def test_offsets_of_parts_of_characters_are_those_of_the_character(tiny):
    choice = await only(tiny, "a 🐕 b", model="tiny", echo=True, logprobs=1, max_tokens=0)
    logprobs = choice["logprobs"]
    parts = [
        (token, at)
        for token, at in zip(logprobs["tokens"], logprobs["text_offset"], strict=True)
        if token.startswith("bytes:")
    ]
    raw = "".join(token.removeprefix("bytes:").replace("\\x", "") for token, _ in parts)
    assert bytes.fromhex(raw).decode() == "🐕"
    assert {at for _, at in parts} == {choice["text"].index("🐕")}
    assert logprobs["text_offset"][-1] == choice["text"].index(" b")


async def test_a_stream_says_what_a_whole_answer_says(tiny):
    fields = {"echo": True, "logprobs": 3, "max_tokens": 12, **ENDLESS}
    whole = await only(tiny, PROMPT, **fields)
    chunks = [event["choices"][0] for event in await streamed(tiny, PROMPT, **fields)]
    assert "".join(chunk["text"] for chunk in chunks) == whole["text"]
    for name, values in whole["logprobs"].items():
        got = [one for c in chunks if c["logprobs"] for one in c["logprobs"][name]]
        if name == "top_logprobs":
            assert [list(one or ()) for one in got] == [list(one or ()) for one in values]
        elif name == "token_logprobs":
            assert got[1:] == pytest.approx(values[1:], abs=1e-3)
        else:
            assert got == values


async def test_openais_tokens_are_the_text_that_they_spell(tiny):
    tokens = [46864, 24748, 311]  # "Say hello to" in cl100k
    fields = {"max_tokens": 5, "temperature": 0, "echo": True}
    one, other = await only(tiny, tokens, **fields), await only(tiny, PROMPT, **fields)
    assert one == other


async def test_an_answer_ends_where_a_small_window_does(tiny):
    answer = await completed(tiny, PROMPT, **{**ENDLESS, "model": "davinci-002", "logit_bias": {}})
    assert answer["usage"]["completion_tokens"] <= 16
    fields = {"max_tokens": 500, **ENDLESS}
    long = await completed(tiny, PROMPT, **fields)
    assert long["choices"][0]["finish_reason"] == "length"
    error = await refused(tiny, PROMPT, **{**fields, "max_tokens": 510})
    assert error["code"] == "context_length_exceeded"
    assert "(5 in your prompt; 510 for the completion)" in error["message"]
    assert "512 tokens" in (await refused(tiny, "word " * 600, echo=True, logprobs=0))["message"]


async def test_ids_that_the_engine_does_not_have_are_refused(tiny):
    for fields in ({}, {"echo": True}, {"echo": True, "logprobs": 1, "max_tokens": 0}):
        error = await refused(tiny, [5, 6144], model="tiny", **fields)
        assert error["message"] == (
            "Invalid 'prompt': 6144 is not a token ID of this model's vocabulary."
        )


async def test_a_bias_of_ids_that_the_engine_does_not_have_is_refused(tiny):
    for token in ("6144", "9" * 20):
        error = await refused(tiny, PROMPT, model="tiny", logit_bias={token: 1})
        assert error["param"] == "logit_bias"
        assert f"{token} is not a token ID" in error["message"]


async def test_the_same_seed_gives_the_same_texts(tiny):
    fields = {"seed": 7, "temperature": 1, "max_tokens": 8}
    first, second = [await completed(tiny, PROMPT, **fields) for _ in range(2)]
    assert [c["text"] for c in first["choices"]] == [c["text"] for c in second["choices"]]


async def test_the_best_of_several_is_the_likeliest(tiny):
    fields = {"model": "tiny", "temperature": 1, "max_tokens": 8, "logprobs": 0}
    answer = await completed(tiny, PROMPT, best_of=4, n=3, **fields)
    figures = [choice["logprobs"]["token_logprobs"] for choice in answer["choices"]]
    means = [sum(some) / len(some) for some in figures]
    assert means == sorted(means, reverse=True)
    assert answer["usage"]["completion_tokens"] > sum(map(len, figures))


async def test_a_caller_that_goes_away_frees_its_slots(tiny):
    fields = {"max_tokens": 490, "n": 2, **ENDLESS}
    asking = asyncio.create_task(completed(tiny, PROMPT, **fields))
    engine = await tiny.server.registry.find("tiny").text.ensure_loaded()
    while not engine.status().busy and not asking.done():
        await asyncio.sleep(0.001)
    assert not asking.done()
    asking.cancel()
    await asyncio.wait([asking])
    async with asyncio.timeout(5):
        while engine.status().busy:
            await asyncio.sleep(0.001)
