"""Answers, streamed: the same promises, chunk by chunk."""

import json

from chats import CALLS, LOOSE, TOOL, asked
from servers import chat_body, scripted


def deltas(events, index=0):
    """Return the deltas of one choice, in order."""
    return [c["delta"] for e in events for c in e["choices"] if c["index"] == index]


def finish_reasons(events, index=0):
    return [c["finish_reason"] for e in events for c in e["choices"] if c["index"] == index]


def text(events, index=0):
    return "".join(delta.get("content") or "" for delta in deltas(events, index))


async def test_chunks_add_up_to_the_answer_and_only_the_last_says_why_it_ended(shared):
    events = await shared.stream(messages=asked("one two three"))
    assert text(events) == "one two three"
    assert deltas(events)[0] == {"role": "assistant", "content": "", "refusal": None}
    assert all("role" not in delta for delta in deltas(events)[1:])
    assert finish_reasons(events) == [None] * (len(events) - 1) + ["stop"]
    assert len({(e["id"], e["created"], e["model"], e["system_fingerprint"]) for e in events}) == 1
    assert all("usage" not in event for event in events)


async def test_no_chunk_but_the_first_and_last_is_empty(shared):
    events = await shared.stream(messages=asked("one two"))
    assert all(delta["content"] for delta in deltas(events)[1:-1])


async def test_usage_comes_in_one_last_chunk_where_asked_for(shared):
    events = await shared.stream(messages=asked("one two"), stream_options={"include_usage": True})
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["total_tokens"] == 4
    assert all(event["usage"] is None for event in events[:-1])


async def test_a_stop_string_leaks_nothing(start):
    api = await start(models=scripted({"text": ["one t", "wo th", "ree", " four"]}))
    events = await api.stream(stop=["two three"])
    assert text(events) == "one "
    assert finish_reasons(events)[-1] == "stop"
    assert all(delta.get("content") != "" for delta in deltas(events)[1:])


async def test_choices_are_streamed_side_by_side(shared):
    events = await shared.stream(messages=asked("one two"), n=2)
    for index in (0, 1):
        assert text(events, index) == "one two"
        assert deltas(events, index)[0]["role"] == "assistant"
        assert finish_reasons(events, index)[-1] == "stop"


async def test_calls_have_their_id_and_name_in_their_first_delta_only(start):
    api = await start(models=scripted({"text": "well", "tool_calls": CALLS}))
    events = await api.stream(tools=[TOOL])
    pieces = [piece for delta in deltas(events) for piece in delta.get("tool_calls", [])]
    assert {piece["index"] for piece in pieces} == {0, 1}
    for index in (0, 1):
        mine = [piece for piece in pieces if piece["index"] == index]
        assert mine[0]["id"].startswith("call_")
        assert (mine[0]["type"], mine[0]["function"]["name"]) == ("function", "f")
        assert all(not {"id", "type"} & set(piece) for piece in mine[1:])
        assert all("name" not in piece["function"] for piece in mine[1:])
        arguments = "".join(piece["function"]["arguments"] for piece in mine)
        assert json.loads(arguments) == {"a": index + 1}
    assert text(events) == "well"
    assert finish_reasons(events)[-1] == "tool_calls"


async def test_a_stream_that_begins_with_a_call_has_null_content(start):
    api = await start(models=scripted({"tool_calls": CALLS[:1]}))
    events = await api.stream(tools=[TOOL])
    assert deltas(events)[0] == {"role": "assistant", "content": None, "refusal": None}


async def test_deprecated_functions_stream_a_function_call(start):
    api = await start(models=scripted({"tool_calls": CALLS[:1]}))
    events = await api.stream(functions=[{"name": "f"}])
    pieces = [delta["function_call"] for delta in deltas(events) if "function_call" in delta]
    assert pieces[0]["name"] == "f"
    assert "".join(piece["arguments"] for piece in pieces) == '{"a": 1}'
    assert finish_reasons(events)[-1] == "function_call"


async def test_logprobs_travel_with_their_tokens(shared):
    events = await shared.stream(messages=asked("one two"), logprobs=True, top_logprobs=1)
    items = [c["logprobs"]["content"] for e in events for c in e["choices"] if c["logprobs"]]
    assert [item["token"] for content in items for item in content] == ["one", " two"]


async def post(api, **body):
    return await api.client.post("/v1/chat/completions", json=chat_body(stream=True, **body))


async def test_an_error_before_the_first_token_is_an_http_error(start):
    api = await start(models=scripted({"error": {"status": 503}}))
    answer = await post(api)
    assert answer.status_code == 503
    assert answer.json()["error"]["type"] == "server_error"


async def test_an_error_in_the_middle_is_an_event_and_the_end(start):
    api = await start(models=scripted({"text": "one two", "error": {"status": 500}}))
    answer = await post(api)
    assert answer.status_code == 200
    last = json.loads(answer.text.rstrip().rpartition("data: ")[2])
    assert last["error"]["message"] == "The scripted engine fails here."
    assert "[DONE]" not in answer.text


async def test_a_forced_call_that_is_not_made_ends_with_an_error_event(start):
    api = await start(models=scripted({"text": "prose"}))
    answer = await post(api, tools=[LOOSE], tool_choice="required")
    assert '"code":"invalid_model_output"' in answer.text
    assert "[DONE]" not in answer.text


async def test_a_silent_stream_gets_comments(start):
    api = await start(models=scripted({"text": "slow", "delay": 0.2}), stream_ping_s=0.05)
    answer = await post(api)
    assert answer.text.count(": ping") >= 2
    assert "slow" in answer.text
