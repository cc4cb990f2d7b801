"""Streamed legacy completions."""

import json

import pytest

from servers import scripted
from texts import PATH, body_of, engine, streamed


def choices(events):
    return [choice for event in events for choice in event["choices"]]


def text_of(events, index=0):
    return "".join(choice["text"] for choice in choices(events) if choice["index"] == index)


async def test_a_stream_is_chunks_of_text_and_an_end(shared):
    events = await streamed(shared)
    assert len({event["id"] for event in events}) == 1
    assert {event["object"] for event in events} == {"text_completion"}
    assert {event["model"] for event in events} == {"gpt-3.5-turbo-instruct"}
    assert [choice["text"] for choice in choices(events)] == ["one", " two", " three", ""]
    assert [choice["finish_reason"] for choice in choices(events)] == [None, None, None, "stop"]
    assert all("usage" not in event for event in events)


async def test_usage_comes_last_where_it_was_asked_for(shared):
    options = {"include_usage": True, "include_obfuscation": False}
    *events, last = await streamed(shared, ["a b", "c"], n=2, stream_options=options)
    assert all(event["usage"] is None for event in events)
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == 3
    assert last["usage"]["completion_tokens"] == 6


async def test_texts_of_all_prompts_are_told_apart_by_index(shared):
    events = await streamed(shared, ["a b", "c d e"], n=2)
    assert [text_of(events, index) for index in range(4)] == ["a b", "a b", "c d e", "c d e"]
    ends = [choice["index"] for choice in choices(events) if choice["finish_reason"]]
    assert sorted(ends) == [0, 1, 2, 3]


async def test_an_echo_comes_first(shared):
    events = await streamed(shared, "one two", echo=True)
    assert [c["text"] for c in choices(events)] == ["one two", "one", " two", ""]


async def test_an_echo_alone_is_streamed_too(shared):
    events = await streamed(shared, "one two", echo=True, max_tokens=0, logprobs=0)
    assert text_of(events) == "one two"
    assert choices(events)[0]["logprobs"]["token_logprobs"] == [None, -0.25]
    assert choices(events)[-1]["finish_reason"] == "length"


@pytest.mark.parametrize("echo", [False, True])
async def test_offsets_run_on_from_chunk_to_chunk(shared, echo):
    events = await streamed(shared, "zwölf oder", echo=echo, logprobs=1)
    lists = [choice["logprobs"] for choice in choices(events) if choice["logprobs"]]
    tokens = [token for one in lists for token in one["tokens"]]
    offsets = [at for one in lists for at in one["text_offset"]]
    whole = "zwölf oder" + "zwölf oder"
    assert [
        whole[at : at + len(token)] for token, at in zip(tokens, offsets, strict=True)
    ] == tokens
    assert offsets[0] == (0 if echo else len("zwölf oder"))


async def test_a_stop_string_across_chunks_never_leaks(start):
    api = await start(models=scripted({"text": ["one ", "EN", "D two"]}))
    events = await streamed(api, stop="END")
    assert [c["text"] for c in choices(events)] == ["one ", ""]
    assert choices(events)[-1]["finish_reason"] == "stop"


async def test_what_might_have_been_a_stop_string_comes_after_all(start):
    api = await start(models=scripted({"text": ["one ", "EN", "ough"]}))
    assert text_of(await streamed(api, stop="END")) == "one ENough"


async def test_as_many_as_the_best_may_be_streamed(shared):
    events = await streamed(shared, "a", best_of=2, n=2)
    assert [text_of(events, 0), text_of(events, 1)] == ["a", "a"]


async def test_an_error_before_the_first_token_is_an_http_error(start):
    api = await start(models=scripted({"error": {"status": 503}}))
    answer = await api.client.post(PATH, json=body_of(stream=True, echo=True))
    assert answer.status_code == 503


async def test_an_error_in_the_middle_is_an_event_and_the_end(start):
    api = await start(models=scripted({"text": "one two", "error": {"status": 500}}))
    answer = await api.client.post(PATH, json=body_of(stream=True))
    last = json.loads(answer.text.rstrip().rpartition("data: ")[2])
    assert last["error"]["message"] == "The scripted engine fails here."
    assert "[DONE]" not in answer.text


async def test_an_error_of_one_text_ends_the_others(start):
    script = [
        {"when": "bad", "error": {"status": 500}},
        {"when": "slow", "text": "x", "hang": True},
    ]
    api = await start(models=scripted(*script))
    answer = await api.client.post(PATH, json=body_of(["slow", "bad"]))
    assert answer.status_code == 500
    assert (await engine(api)).status().busy == 0
