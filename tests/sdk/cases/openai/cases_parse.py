"""The helpers that parse answers into types, where both clients have them: in ``beta``."""

from typing import Literal

import openai
import pytest
from given import SCRIPTED, said
from pydantic import BaseModel


class Person(BaseModel):
    name: Literal["Anna", "Ben"]
    age: Literal[30, 40]


class GetWeather(BaseModel):
    city: Literal["Paris", "Tokyo"]


def test_answer_is_parsed_into_the_model(client):
    answer = client.beta.chat.completions.parse(**said("Who?"), response_format=Person)
    message = answer.choices[0].message
    assert isinstance(message.parsed, Person)
    assert message.refusal is None


def test_arguments_are_parsed_into_the_model(client):
    answer = client.beta.chat.completions.parse(
        **said("What is the weather in Paris?"),
        tools=[openai.pydantic_function_tool(GetWeather)],
        tool_choice="required",
    )
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "GetWeather"
    assert isinstance(call.function.parsed_arguments, GetWeather)


def test_cut_answer_is_not_parsed(client):
    with pytest.raises(openai.LengthFinishReasonError):
        client.beta.chat.completions.parse(
            **said("Who?") | {"max_tokens": 2}, response_format=Person
        )


def test_filtered_answer_is_not_parsed(client):
    with pytest.raises(openai.ContentFilterFinishReasonError):
        client.beta.chat.completions.parse(**said("filtered", SCRIPTED), response_format=Person)


def test_stream_helper_tells_events_and_the_end(client):
    with client.beta.chat.completions.stream(**said("Hello")) as stream:
        events = list(stream)
    deltas = [event for event in events if event.type == "content.delta"]
    done = next(event for event in events if event.type == "content.done")
    whole = stream.get_final_completion().choices[0]
    assert "".join(delta.delta for delta in deltas) == done.content == whole.message.content
    assert deltas[-1].snapshot == done.content
    assert whole.finish_reason == "stop"


def test_stream_helper_parses_the_model(client):
    with client.beta.chat.completions.stream(**said("Who?"), response_format=Person) as stream:
        done = [event for event in stream if event.type == "content.done"]
    assert isinstance(done[0].parsed, Person)
    assert stream.get_final_completion().choices[0].message.parsed == done[0].parsed


def test_stream_helper_parses_arguments(client):
    tools = [openai.pydantic_function_tool(GetWeather)]
    request = said("The weather in Paris?", tools=tools, tool_choice="required")
    with client.beta.chat.completions.stream(**request) as stream:
        done = [e for e in stream if e.type == "tool_calls.function.arguments.done"]
    assert isinstance(done[0].parsed_arguments, GetWeather)
    assert done[0].index == 0


def test_stream_helper_has_usage_where_asked_for(client):
    request = said("Hello", stream_options={"include_usage": True})
    with client.beta.chat.completions.stream(**request) as stream:
        usage = stream.get_final_completion().usage
    assert usage.completion_tokens > 0


def test_stream_helper_tells_logprobs(client):
    with client.beta.chat.completions.stream(**said("Hello", logprobs=True)) as stream:
        done = [event for event in stream if event.type == "logprobs.content.done"]
        final = stream.get_final_completion()
    assert done[0].content == final.choices[0].logprobs.content


# Newer clients warn when they write what they have parsed themselves.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
def test_parsed_answer_can_be_sent_back(client):
    request = said("Who?")
    answer = client.beta.chat.completions.parse(**request, response_format=Person)
    request["messages"] += [answer.choices[0].message, {"role": "user", "content": "Sure?"}]
    again = client.beta.chat.completions.parse(**request, response_format=Person)
    assert isinstance(again.choices[0].message.parsed, Person)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
def test_parsed_call_can_be_sent_back(client):
    tools = [openai.pydantic_function_tool(GetWeather)]
    request = said("The weather in Paris?", tools=tools, tool_choice="required")
    message = client.beta.chat.completions.parse(**request).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Sunny"}
    request["messages"] += [message, result]
    again = client.beta.chat.completions.parse(**request)
    assert isinstance(again.choices[0].message.tool_calls[0].function.parsed_arguments, GetWeather)


def test_streamed_answer_and_call_can_be_sent_back(client):
    tools = [openai.pydantic_function_tool(GetWeather)]
    request = said("The weather in Paris?", tools=tools, tool_choice="required")
    with client.beta.chat.completions.stream(**request) as stream:
        message = stream.get_final_completion().choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Sunny"}
    request["messages"] += [message, result]
    with client.beta.chat.completions.stream(**request | {"tool_choice": "none"}) as stream:
        assert stream.get_final_completion().choices[0].finish_reason == "stop"
