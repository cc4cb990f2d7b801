"""LangChain's chat model on top of the official client."""

from typing import Literal

import openai
import pytest
from given import MODEL, SCRIPTED
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


@tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"Sunny in {city}"


class Person(BaseModel):
    """Somebody."""

    name: Literal["Anna", "Ben"]
    age: Literal[30, 40]


def model(name=MODEL, **more):
    return ChatOpenAI(model=name, temperature=0, max_retries=0, max_tokens=200, **more)


def test_invoke_answers():
    answer = model().invoke([SystemMessage("Be short."), HumanMessage("Hello")])
    assert isinstance(answer, AIMessage)
    assert answer.content
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata["total_tokens"] > 0


def test_stream_joins_to_the_whole_answer():
    chunks = list(model(stream_usage=True).stream("Hello"))
    assert "".join(chunk.content for chunk in chunks) == model().invoke("Hello").content
    assert sum(chunk.usage_metadata["total_tokens"] for chunk in chunks if chunk.usage_metadata)


async def test_async_answers_and_streams():
    whole = await model().ainvoke("Hello")
    assert "".join([chunk.content async for chunk in model().astream("Hello")]) == whole.content


def test_batch_answers_each():
    answers = model().batch(["Hello", "Hello", "Who are you?"])
    assert answers[0].content == answers[1].content
    assert all(answer.content for answer in answers)


@pytest.mark.parametrize("strict", [True, False])
def test_bound_tool_is_called_and_its_result_taken(strict):
    bound = model().bind_tools([get_weather], tool_choice="any", strict=strict)
    question = HumanMessage("What is the weather in Paris?")
    asked = bound.invoke([question])
    (call,) = asked.tool_calls
    assert call["name"] == "get_weather"
    result = get_weather.invoke(call)
    assert isinstance(result, ToolMessage)
    assert isinstance(model().invoke([question, asked, result]).content, str)


def test_streamed_calls_join():
    bound = model(SCRIPTED).bind_tools([get_weather])
    chunks = iter(bound.stream("two tools"))
    whole = next(chunks)
    for chunk in chunks:
        whole += chunk
    assert [call["args"] for call in whole.tool_calls] == [{"city": "Paris"}, {"city": "Tokyo"}]


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output_is_the_model(method):
    structured = model().with_structured_output(Person, method=method, strict=True)
    assert isinstance(structured.invoke("Who is Anna?"), Person)


def test_structured_output_in_json_mode_is_an_object():
    structured = model(SCRIPTED).with_structured_output(Person, method="json_mode")
    assert structured.invoke("Anna, as json") == Person(name="Anna", age=30)


def test_errors_are_the_clients():
    with pytest.raises(openai.NotFoundError):
        model("no-such-model").invoke("Hello")
