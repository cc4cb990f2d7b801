"""LlamaIndex's clients for servers that are like OpenAI's."""

import math
import os

import openai
import pytest
from given import MODEL, SCRIPTED
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

HELLO = [ChatMessage(role="system", content="Be short."), ChatMessage(role="user", content="Hello")]


def model(name=MODEL, **more):
    return OpenAILike(
        model=name,
        api_base=os.environ["OPENAI_BASE_URL"],
        api_key=os.environ["OPENAI_API_KEY"],
        temperature=0,
        max_tokens=100,
        max_retries=0,
        **{"context_window": 1024, "is_chat_model": True, **more},
    )


def embeddings():
    return OpenAILikeEmbedding(
        model_name="text-embedding-3-small",
        api_base=os.environ["OPENAI_BASE_URL"],
        api_key=os.environ["OPENAI_API_KEY"],
        max_retries=0,
    )


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"Sunny in {city}"


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


def test_chat_answers():
    answer = model().chat(HELLO)
    assert answer.message.role == "assistant"
    assert answer.message.content
    assert answer.raw.usage.total_tokens > 0


def test_streamed_chat_joins_to_the_whole_answer():
    chunks = list(model().stream_chat(HELLO))
    whole = model().chat(HELLO).message.content
    assert "".join(chunk.delta for chunk in chunks) == whole
    assert chunks[-1].message.content == whole


async def test_async_chat_answers_and_streams():
    async with openai.DefaultAsyncHttpxClient() as http:
        llm = model(async_http_client=http)
        whole = (await llm.achat(HELLO)).message.content
        chunks = await llm.astream_chat(HELLO)
        assert "".join([chunk.delta async for chunk in chunks]) == whole


@pytest.mark.parametrize("is_chat_model", [True, False])
def test_completion_answers_and_streams(is_chat_model):
    name = MODEL if is_chat_model else "gpt-3.5-turbo-instruct"
    llm = model(name, is_chat_model=is_chat_model)
    whole = llm.complete("Once upon a time").text
    assert whole
    assert "".join(chunk.delta for chunk in llm.stream_complete("Once upon a time")) == whole


def test_tool_is_called():
    llm = model(is_function_calling_model=True)
    tools = [FunctionTool.from_defaults(get_weather)]
    answer = llm.chat_with_tools(tools, "What is the weather in Paris?", tool_required=True)
    (call,) = llm.get_tool_calls_from_response(answer)
    assert call.tool_name == "get_weather"
    assert call.tool_kwargs.keys() == {"city"}


def test_streamed_calls_join():
    llm = model(SCRIPTED, is_function_calling_model=True)
    tools = [FunctionTool.from_defaults(get_weather)]
    *_, last = llm.stream_chat_with_tools(tools, "two tools", allow_parallel_tool_calls=True)
    calls = llm.get_tool_calls_from_response(last)
    assert [call.tool_kwargs for call in calls] == [{"city": "Paris"}, {"city": "Tokyo"}]


def test_structured_answer_is_the_model():
    structured = model(should_use_structured_outputs=True).as_structured_llm(Person)
    person = structured.chat(HELLO).raw
    assert isinstance(person, Person)


def test_errors_are_the_clients():
    with pytest.raises(openai.NotFoundError):
        model("no-such-model").chat(HELLO)


def test_query_and_texts_are_embedded_alike():
    embedder = embeddings()
    query = embedder.get_query_embedding("The cat sat.")
    assert len(query) == 1536
    assert math.hypot(*query) == pytest.approx(1, abs=1e-6)
    first, second = embedder.get_text_embedding_batch(["The cat sat.", "A dog ate."])
    assert first == pytest.approx(query, abs=1e-5)
    assert second != pytest.approx(query, abs=1e-5)
