"""Tools and functions."""

import json
import re

import pytest
from given import CLOCK, FUNCTIONS, SCRIPTED, TOOLS, WEATHER, said

NAMED = {"type": "function", "function": {"name": "get_time"}}
QUESTION = "What is the weather in Paris?"


def city_of(call):
    arguments = json.loads(call.function.arguments)
    assert arguments.keys() == {"city"}
    return arguments["city"]


def only_choice(client, *args, **fields):
    return client.chat.completions.create(**said(*args, **fields)).choices[0]


def test_auto_calls_a_tool(client):
    choice = only_choice(client, QUESTION, tools=TOOLS, tool_choice="auto")
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    call = choice.message.tool_calls[0]
    assert re.fullmatch(r"call_\w{24}", call.id)
    assert call.type == "function"
    assert call.function.name in {"get_weather", "get_time"}
    assert city_of(call)


def test_required_calls_a_tool(client):
    choice = only_choice(client, "Hello", tools=TOOLS, tool_choice="required")
    assert choice.finish_reason == "tool_calls"
    assert city_of(choice.message.tool_calls[0])


def test_named_tool_is_called(client):
    choice = only_choice(client, QUESTION, tools=TOOLS, tool_choice=NAMED)
    assert choice.finish_reason == "stop"
    assert [call.function.name for call in choice.message.tool_calls] == ["get_time"]


def test_none_calls_no_tool(client):
    choice = only_choice(client, QUESTION, tools=TOOLS, tool_choice="none")
    assert choice.message.tool_calls is None
    assert choice.finish_reason == "stop"


def test_tools_that_are_not_strict_get_an_object(client):
    loose = {"type": "function", "function": {"name": "get_tide"}}
    choice = only_choice(client, QUESTION, tools=[loose], tool_choice="required")
    call = choice.message.tool_calls[0]
    assert call.function.name == "get_tide"
    assert choice.finish_reason == "length" or isinstance(json.loads(call.function.arguments), dict)


def test_two_calls_have_ids_of_their_own(client):
    choice = only_choice(client, "two tools", SCRIPTED, tools=TOOLS)
    first, second = choice.message.tool_calls
    assert (first.function.name, second.function.name) == ("get_weather", "get_time")
    assert first.id != second.id
    assert choice.message.content == "Looking."


def test_parallel_calls_can_be_forbidden(client):
    choice = only_choice(client, "two tools", SCRIPTED, tools=TOOLS, parallel_tool_calls=False)
    assert len(choice.message.tool_calls) == 1
    choice = only_choice(
        client, QUESTION, tools=TOOLS, tool_choice="required", parallel_tool_calls=False
    )
    assert len(choice.message.tool_calls) == 1


def test_result_of_a_tool_can_be_sent_back(client):
    request = said(QUESTION, tools=TOOLS, tool_choice="required")
    message = client.chat.completions.create(**request).choices[0].message
    request["messages"].append(message)
    request["messages"] += [
        {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 21}'}
        for call in message.tool_calls
    ]
    choice = client.chat.completions.create(**request | {"tool_choice": "none"}).choices[0]
    assert choice.message.content
    assert choice.finish_reason == "stop"


def deltas_of(client, *args, **fields):
    """Return each streamed call as its first delta and its joined arguments, and all reasons."""
    first, arguments, reasons = {}, {}, []
    for chunk in client.chat.completions.create(**said(*args, **fields, stream=True)):
        choice = chunk.choices[0]
        reasons.append(choice.finish_reason)
        for delta in choice.delta.tool_calls or ():
            if delta.index not in first:
                first[delta.index] = delta
            else:
                assert delta.id is delta.type is delta.function.name is None
            arguments[delta.index] = arguments.get(delta.index, "") + delta.function.arguments
    return first, arguments, reasons


@pytest.mark.parametrize("choice", ["auto", "required", NAMED], ids=["auto", "required", "named"])
def test_streamed_call_joins_to_json(client, choice):
    first, arguments, reasons = deltas_of(client, QUESTION, tools=TOOLS, tool_choice=choice)
    assert list(first) == [0]
    assert re.fullmatch(r"call_\w{24}", first[0].id)
    assert first[0].type == "function"
    assert first[0].function.name in {"get_weather", "get_time"}
    assert json.loads(arguments[0]).keys() == {"city"}
    assert reasons[:-1] == [None] * (len(reasons) - 1)
    assert reasons[-1] == ("stop" if choice is NAMED else "tool_calls")


def test_streamed_calls_have_an_index_each(client):
    first, arguments, _ = deltas_of(client, "two tools", SCRIPTED, tools=TOOLS)
    assert [first[index].function.name for index in (0, 1)] == ["get_weather", "get_time"]
    assert first[0].id != first[1].id
    assert [json.loads(arguments[i])["city"] for i in (0, 1)] == ["Paris", "Tokyo"]


def test_streamed_none_calls_no_tool(client):
    first, _, reasons = deltas_of(client, QUESTION, tools=TOOLS, tool_choice="none")
    assert first == {}
    assert reasons[-1] == "stop"


def test_tools_go_with_a_schema(client):
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "e", "strict": True, "schema": schema}}
    choice = only_choice(client, "Hello", tools=[WEATHER, CLOCK], response_format=wanted)
    calls = choice.message.tool_calls
    assert city_of(calls[0]) is not None if calls else json.loads(choice.message.content) == {}


def test_functions_work_as_they_used_to(client):
    choice = only_choice(
        client, QUESTION, functions=FUNCTIONS, function_call={"name": "get_weather"}
    )
    assert choice.message.function_call.name == "get_weather"
    assert choice.message.tool_calls is None
    assert choice.finish_reason in ("stop", "function_call")
    assert isinstance(json.loads(choice.message.function_call.arguments), dict)


def test_function_result_can_be_sent_back(client):
    choice = only_choice(client, "two tools", SCRIPTED, functions=FUNCTIONS)
    assert choice.finish_reason == "function_call"
    call = choice.message.function_call
    request = said("two tools", functions=FUNCTIONS, function_call="none")
    request["messages"] += [
        {"role": "assistant", "content": None, "function_call": call.model_dump()},
        {"role": "function", "name": call.name, "content": "Sunny"},
    ]
    answer = client.chat.completions.create(**request).choices[0]
    assert answer.message.function_call is None
    assert answer.message.content


def test_streamed_function_call_joins_to_json(client):
    request = said(QUESTION, functions=FUNCTIONS, function_call={"name": "get_time"}, stream=True)
    deltas = [
        chunk.choices[0].delta.function_call for chunk in client.chat.completions.create(**request)
    ]
    calls = [delta for delta in deltas if delta]
    assert calls[0].name == "get_time"
    assert all(call.name is None for call in calls[1:])
    assert isinstance(json.loads("".join(call.arguments for call in calls)), dict)
