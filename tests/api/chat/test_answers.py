"""Answers, whole: what OpenAI's contract promises whatever the engine says."""

import json

import pytest

from chats import CALLS, LOOSE, TOOL, asked
from servers import scripted

SEVERAL_HERE = {"several words": "1029", "part of a character": "1024"}  # of o200k


async def only(api, **body):
    """Return the one choice of an answer."""
    return (await api.chat(**body))["choices"][0]


async def engine(api):
    return await api.server.registry.find("gpt-4o").text.ensure_loaded()


async def test_an_answer_names_its_snapshot_and_counts_what_it_used(shared):
    answer = await shared.chat(messages=asked("one two three"))
    assert answer["id"].startswith("chatcmpl-")
    assert answer["model"] == "gpt-4o-2024-08-06"
    assert answer["system_fingerprint"].startswith("fp_")
    assert "service_tier" not in answer
    choice = answer["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "one two three", "refusal": None}
    assert (choice["finish_reason"], choice["logprobs"]) == ("stop", None)
    usage = answer["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (3, 3, 6)
    assert usage["prompt_tokens_details"] == {"cached_tokens": 0, "audio_tokens": 0}
    assert set(usage["completion_tokens_details"].values()) == {0}


async def test_the_service_tier_is_told_where_it_was_asked_for(shared):
    assert (await shared.chat(service_tier="auto"))["service_tier"] == "default"


async def test_n_answers_are_numbered_and_the_prompt_is_counted_once(shared):
    answer = await shared.chat(messages=asked("one two"), n=3)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert answer["usage"]["prompt_tokens"] == 2
    assert answer["usage"]["completion_tokens"] == 6


async def test_a_stop_string_across_tokens_is_cut_and_ends_the_work(start):
    api = await start(models=scripted({"text": ["one t", "wo th", "ree", " four"]}))
    choice = await only(api, stop=["two three"])
    assert choice["message"]["content"] == "one "
    assert choice["finish_reason"] == "stop"
    assert (await engine(api)).cancelled == 1


async def test_usage_of_a_cut_answer_counts_the_tokens_that_were_made(start):
    api = await start(models=scripted({"text": "one two three four"}))
    answer = await api.chat(messages=asked("hello there"), stop=" two")
    assert answer["usage"]["prompt_tokens"] == 2
    assert answer["usage"]["completion_tokens"] == 2


async def test_max_tokens_ends_with_length(shared):
    choice = await only(shared, messages=asked("one two three"), max_completion_tokens=2)
    assert (choice["message"]["content"], choice["finish_reason"]) == ("one two", "length")


@pytest.mark.parametrize("alternatives", [None, 0, 2])
async def test_logprobs_have_tokens_bytes_and_alternatives(shared, alternatives):
    more = {} if alternatives is None else {"top_logprobs": alternatives}
    choice = await only(shared, messages=asked("one zwölf"), logprobs=True, **more)
    items = choice["logprobs"]["content"]
    assert choice["logprobs"]["refusal"] is None
    assert "".join(item["token"] for item in items) == "one zwölf"
    assert b"".join(bytes(item["bytes"]) for item in items).decode() == "one zwölf"
    assert all(item["logprob"] <= 0 for item in items)
    assert {len(item["top_logprobs"]) for item in items} == {alternatives or 0}


async def test_calls_have_ids_and_arguments_and_no_content(start):
    api = await start(models=scripted({"tool_calls": CALLS}))
    choice = await only(api, tools=[TOOL])
    calls = choice["message"]["tool_calls"]
    assert choice["message"]["content"] is None
    assert choice["finish_reason"] == "tool_calls"
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [{"a": 1}, {"a": 2}]
    assert all(call["id"].startswith("call_") and call["type"] == "function" for call in calls)
    assert calls[0]["id"] != calls[1]["id"]


async def test_one_call_is_all_where_parallel_calls_are_off(start):
    api = await start(models=scripted({"tool_calls": CALLS}))
    choice = await only(api, tools=[TOOL], parallel_tool_calls=False)
    assert len(choice["message"]["tool_calls"]) == 1
    assert choice["finish_reason"] == "tool_calls"


async def test_tool_choice_none_offers_no_tools(start):
    api = await start(models=scripted({"text": "prose"}))
    choice = await only(api, tools=[TOOL], tool_choice="none")
    assert (choice["message"]["content"], choice["finish_reason"]) == ("prose", "stop")
    assert (await engine(api)).requests[0].prompt.tools == ()


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "g"}}])
async def test_a_forced_call_that_the_engine_does_not_make_is_no_success(start, choice):
    api = await start(models=scripted({"text": "prose"}))
    body = {"model": "gpt-4o", "messages": asked("x"), "tools": [LOOSE], "tool_choice": choice}
    answer = await api.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "invalid_model_output"


async def test_a_named_call_ends_with_stop_as_at_openai(shared):
    named = {"type": "function", "function": {"name": "g"}}
    choice = await only(shared, tools=[LOOSE], tool_choice=named)
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "g"
    assert choice["finish_reason"] == "stop"


async def test_strict_arguments_that_break_their_schema_are_no_success_under_auto(start):
    api = await start(models=scripted({"tool_calls": [{"name": "f", "arguments": '{"a": "x"}'}]}))
    body = {"model": "gpt-4o", "messages": asked("x"), "tools": [TOOL]}
    assert (await api.client.post("/v1/chat/completions", json=body)).status_code == 500


async def test_json_that_breaks_its_schema_is_no_success(start):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    api = await start(models=scripted({"text": '{"a": "x"}'}, {"text": '{"a": 1}'}))
    body = {"model": "gpt-4o", "messages": asked("x"), "response_format": wanted}
    assert (await api.client.post("/v1/chat/completions", json=body)).status_code == 500
    assert (await only(api, **body))["message"]["content"] == '{"a": 1}'


async def test_deprecated_functions_answer_with_a_function_call(start):
    api = await start(models=scripted({"tool_calls": CALLS[:1]}))
    function = {"name": "f", "parameters": {"type": "object"}}
    choice = await only(api, functions=[function])
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a": 1}'}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"
    named = await only(api, functions=[function], function_call={"name": "f"})
    assert named["message"]["function_call"]["name"] == "f"


async def test_a_prediction_is_counted_against_the_answer(start):
    api = await start(models=scripted({"text": "one two three four"}))
    prediction = {"type": "content", "content": "one two five four"}
    usage = (await api.chat(prediction=prediction))["usage"]["completion_tokens_details"]
    assert usage["accepted_prediction_tokens"] == 3
    assert usage["rejected_prediction_tokens"] == 1


async def test_every_field_reaches_the_engine(start):
    api = await start()
    await api.chat(
        messages=[
            {"role": "developer", "content": "be brief"},
            {
                "role": "user",
                "name": "ann",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            },
        ],
        temperature=0.5,
        top_p=0.9,
        presence_penalty=1,
        frequency_penalty=-1,
        seed=7,
        max_tokens=9,
        stop="x",
    )
    request = (await engine(api)).requests[0]
    assert [(m.role, m.content, m.name) for m in request.prompt.messages] == [
        ("system", "be brief", None),
        ("user", "ab", "ann"),
    ]
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.seed) == (0.5, 0.9, 7)
    assert (sampling.presence_penalty, sampling.frequency_penalty) == (1, -1)
    assert (sampling.max_tokens, request.stop) == (9, ("x",))


async def test_a_seed_gives_each_choice_its_own(start):
    api = await start()
    await api.chat(seed=7, n=2)
    assert sorted(r.sampling.seed for r in (await engine(api)).requests) == [7, 8]


async def test_an_openai_token_is_biased_where_the_engine_has_it_as_one(start):
    api = await start()
    await api.chat(logit_bias={"24912": -100})  # "hello" in o200k
    bias = (await engine(api)).requests[0].sampling.logit_bias
    assert list(bias.values()) == [-100]
    assert await (await engine(api)).detokenize(list(bias)) == "hello"
    assert (await api.refused(logit_bias={"999999999": 1}))["param"] == "logit_bias"


@pytest.mark.parametrize("token", SEVERAL_HERE.values(), ids=SEVERAL_HERE)
async def test_a_token_that_is_not_one_here_may_be_disfavoured_only(start, token):
    api = await start()
    await api.chat(logit_bias={token: -100, "24912": -1})
    assert list((await engine(api)).requests[0].sampling.logit_bias.values()) == [-1]
    error = await api.refused(logit_bias={token: 1})
    assert (error["param"], error["code"]) == ("logit_bias", "invalid_value")
    assert "is not a single token" in error["message"]


async def test_own_ids_are_biased_by_native_token_ids(start):
    api = await start()
    await api.chat(model="scripted", logit_bias={"5": 10})
    assert (await engine(api)).requests[0].sampling.logit_bias == {5: 10}


async def test_a_prompt_beyond_the_window_is_refused_with_the_counts(start):
    api = await start(models=scripted(context=64))
    error = await api.refused(messages=asked("word" + " word" * 64))
    assert error["code"] == "context_length_exceeded"
    assert error["param"] == "messages"
    assert "64 tokens" in error["message"]
    assert "65 tokens" in error["message"]


async def test_the_catalogues_window_holds_on_an_engine_that_has_a_larger_one(start):
    api = await start(models=scripted(context=100_000))
    error = await api.refused(model="gpt-4", messages=asked("word " * 8192))
    assert error["code"] == "context_length_exceeded"
    assert "8192 tokens" in error["message"]
    choice = await only(api, model="gpt-4", messages=asked("word " * 8190))
    assert choice["finish_reason"] == "length"


async def test_an_engines_error_comes_out_as_an_error(start):
    failure = {"status": 503, "message": "The engine is restarting.", "retry_after": 2}
    api = await start(models=scripted({"error": failure}))
    answer = await api.client.post(
        "/v1/chat/completions", json={"model": "gpt-4o", "messages": asked("x")}
    )
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["error"]["message"] == "The engine is restarting."
