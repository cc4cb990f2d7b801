"""Chat completions, streamed."""

import time

import openai
import pytest
from given import ENDLESS, SCRIPTED, becomes_idle, busy, said


def streamed(client, *args, **fields):
    return list(client.chat.completions.create(**said(*args, **fields, stream=True)))


def text_of(chunks, index=0):
    choices = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
    return "".join(choice.delta.content or "" for choice in choices)


def test_chunks_join_to_the_whole_answer(client):
    whole = client.chat.completions.create(**said("Hello"))
    chunks = streamed(client, "Hello")
    assert text_of(chunks) == whole.choices[0].message.content
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk.model for chunk in chunks} == {whole.model}
    assert {chunk.created for chunk in chunks} == {chunks[0].created}


def test_role_comes_first_and_the_reason_last(client):
    choices = [chunk.choices[0] for chunk in streamed(client, "Hello")]
    assert choices[0].delta.role == "assistant"
    assert all(choice.delta.role is None for choice in choices[1:])
    assert [choice.finish_reason for choice in choices] == [None] * (len(choices) - 1) + ["stop"]
    assert all(choice.delta.content for choice in choices[1:-1])


def test_no_usage_unless_asked_for(client):
    chunks = streamed(client, "Hello")
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_usage_comes_in_a_last_chunk_without_choices(client):
    *chunks, last = streamed(client, "Hello", stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    whole = client.chat.completions.create(**said("Hello")).usage
    assert last.usage.completion_tokens == whole.completion_tokens
    assert last.usage.prompt_tokens == whole.prompt_tokens


def test_token_limit_ends_with_length(client):
    chunks = streamed(client, "Hello", max_tokens=2)
    assert chunks[-1].choices[0].finish_reason == "length"


def test_stop_never_shows(client):
    whole = text_of(streamed(client, "Hello"))
    stop = whole[len(whole) // 2 :][:4]
    chunks = streamed(client, "Hello", stop=stop)
    assert text_of(chunks) == whole[: whole.index(stop)]
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_choices_stream_beside_each_other(client):
    chunks = streamed(client, "Hello", n=2)
    ends = [c.choices[0] for c in chunks if c.choices[0].finish_reason]
    assert {end.index for end in ends} == {0, 1}
    assert text_of(chunks, 0)
    assert text_of(chunks, 1)


def test_logprobs_come_with_their_text(client):
    chunks = streamed(client, "Hello", logprobs=True, top_logprobs=1)
    tokens = [
        token
        for chunk in chunks
        if chunk.choices[0].logprobs
        for token in chunk.choices[0].logprobs.content
    ]
    spelled = b"".join(bytes(token.bytes) for token in tokens)
    assert spelled.decode() == text_of(chunks)


def test_first_chunk_comes_before_the_answer_is_whole(client):
    started = time.monotonic()
    with client.chat.completions.create(**said("slowly", SCRIPTED, stream=True)) as stream:
        first = next(chunk for chunk in stream if chunk.choices[0].delta.content)
    assert first.choices[0].delta.content == "word"
    assert time.monotonic() - started < 5  # the whole answer takes 10 s and more


def test_early_close_frees_the_slot(client):
    stream = client.chat.completions.create(**said("slowly", SCRIPTED, stream=True))
    for _, chunk in zip(range(3), stream, strict=False):
        assert chunk.choices
    assert busy() >= 1
    stream.close()
    assert becomes_idle()


def test_early_close_frees_the_slot_of_a_real_model(client):
    with client.chat.completions.create(**said("Write", **ENDLESS, stream=True)) as stream:
        next(stream)
        assert busy() == 1
    assert becomes_idle()


def test_timeout_reaches_the_caller_and_frees_the_slot(client):
    impatient = client.with_options(timeout=0.2)
    with pytest.raises(openai.APITimeoutError):
        impatient.chat.completions.create(**said("slowly", SCRIPTED))
    assert becomes_idle()


def test_timeout_counts_between_chunks_only(client):
    patient = client.with_options(timeout=1)
    request = said("slowly", SCRIPTED, stream=True, max_tokens=25)
    started = time.monotonic()
    chunks = list(patient.chat.completions.create(**request))
    assert len(chunks) == 27
    assert time.monotonic() - started > 1
