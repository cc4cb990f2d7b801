"""Legacy completions that are refused, and in which words."""

import pytest

from servers import scripted
from texts import MODEL, PATH, refused, texts


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"prompt": []}, "prompt", "empty array"),
        ({"prompt": [[]]}, "prompt[0]", "empty array"),
        ({"prompt": 5}, "prompt", "array of integers"),
        ({"prompt": {"a": 1}}, "prompt", "but got an object"),
        ({"prompt": ["a", 1]}, "prompt[1]", "expected a string"),
        ({"prompt": [1, "a"]}, "prompt[1]", "expected an integer"),
        ({"prompt": [[1], [1.5]]}, "prompt[1][0]", "expected an integer"),
        ({"prompt": [100_300]}, "prompt", "100300 is not a token ID"),
        ({"prompt": [[5], [-1]]}, "prompt", "-1 is not a token ID"),
        ({"model": "scripted", "prompt": [-1]}, "prompt", "-1 is not a token ID"),
        ({"prompt": ["a"] * 2049}, "prompt", "2049 completions"),
        ({"prompt": ["a"] * 1025, "n": 2}, "prompt", "2050 completions"),
        ({"n": 0}, "n", ">= 1"),
        ({"n": 129}, "n", "<= 128"),
        ({"best_of": 21}, "best_of", "<= 20"),
        ({"best_of": -1}, "best_of", ">= 0"),
        ({"best_of": 0}, "best_of", "'best_of' (currently 0)"),
        ({"best_of": 2, "n": 3}, "best_of", "at most 'best_of' (currently 2)"),
        ({"best_of": 3, "n": 2, "stream": True}, "best_of", "streamed"),
        ({"logprobs": 6}, "logprobs", "<= 5"),
        ({"logprobs": -1}, "logprobs", ">= 0"),
        ({"logprobs": True}, "logprobs", "expected an integer"),
        ({"max_tokens": -1}, "max_tokens", ">= 0"),
        ({"echo": "yes"}, "echo", "expected a boolean"),
        ({"temperature": 2.1}, "temperature", "<= 2"),
        ({"top_p": -0.1}, "top_p", ">= 0"),
        ({"presence_penalty": 3}, "presence_penalty", "<= 2"),
        ({"frequency_penalty": -3}, "frequency_penalty", ">= -2"),
        ({"seed": 2**63}, "seed", "<= "),
        ({"stop": []}, "stop", "empty array"),
        ({"stop": ["a"] * 5}, "stop", "maximum length 4"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "'stream' is enabled"),
        ({"logit_bias": {"a": 1}}, "logit_bias", "pattern"),
        ({"logit_bias": {"1": 101}}, "logit_bias.1", "<= 100"),
        ({"logit_bias": {"100300": 1}}, "logit_bias", "no such token ID"),
        ({"suffix": "the end"}, "suffix", "does not support insertion"),
        ({"suffix": 5}, "suffix", "expected a string"),
        ({"model": None}, "model", "expected a string"),
        ({"messages": []}, None, "Unrecognized request argument supplied: messages"),
    ],
)
async def test_a_request_that_breaks_a_rule_is_told_what_to_change(shared, fields, param, words):
    error = await refused(shared, **fields)
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert words in error["message"]


async def test_chat_models_are_refused_in_openais_words(shared):
    error = await refused(shared, status=404, model="gpt-4o")
    assert error["message"] == (
        "This is a chat model and not supported in the v1/completions endpoint. "
        "Did you mean to use v1/chat/completions?"
    )
    assert error["param"] == "model"


async def test_models_of_other_kinds_are_told_where_they_belong(shared):
    error = await refused(shared, model="text-embedding-3-small")
    assert "v1/embeddings" in error["message"]
    assert (await refused(shared, status=404, model="gpt-17"))["code"] == "model_not_found"


async def test_an_insertion_is_refused_before_a_stream_begins(shared):
    error = await refused(shared, suffix="the end", stream=True, echo=True)
    assert error["param"] == "suffix"


async def test_an_empty_suffix_is_none(shared):
    assert await texts(shared, suffix="") == ["one two three"]


async def test_a_prompt_and_its_answer_must_fit_the_documented_window(start):
    api = await start(models=scripted(context=100_000))
    error = await refused(api, "word " * 4000, max_tokens=97)
    assert error["message"] == (
        "This model's maximum context length is 4096 tokens, however you requested 4098 tokens "
        "(4001 in your prompt; 97 for the completion). Please reduce your prompt; or completion "
        "length."
    )
    assert (error["code"], error["param"]) == ("context_length_exceeded", "prompt")
    assert len((await texts(api, "word " * 4000, max_tokens=95))[0].split()) == 95


async def test_an_engine_smaller_than_documented_must_hold_the_prompt(start):
    api = await start(models=scripted(context=64))
    assert await texts(api, "word " * 50, max_tokens=4000)
    error = await refused(api, "word " * 80)
    assert error["code"] == "context_length_exceeded"
    assert "64 tokens" in error["message"]


async def test_own_models_have_the_engines_window(start):
    api = await start(models=scripted(context=64))
    error = await refused(api, "word " * 40, model="scripted", max_tokens=60)
    assert "maximum context length is 64 tokens" in error["message"]
    assert "101 tokens (41 in your prompt; 60 for the completion)" in error["message"]


async def test_one_prompt_of_many_that_does_not_fit_refuses_all(start):
    api = await start(models=scripted(context=64))
    assert (await refused(api, ["a", "word " * 80]))["code"] == "context_length_exceeded"
    assert (await api.server.registry.find(MODEL).text.ensure_loaded()).requests == []


async def test_an_engines_error_comes_out_as_an_error(start):
    failure = {"status": 503, "message": "The engine is restarting.", "retry_after": 2}
    api = await start(models=scripted({"error": failure}))
    answer = await api.client.post(PATH, json={"model": MODEL, "prompt": "x"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
