"""What the newest client has and that of December 2024 has not."""

from typing import Literal

import openai
from given import said
from pydantic import BaseModel


class Person(BaseModel):
    name: Literal["Anna", "Ben"]
    age: Literal[30, 40]


def test_answer_is_parsed_into_the_model(client):
    answer = client.chat.completions.parse(**said("Who?"), response_format=Person)
    assert isinstance(answer.choices[0].message.parsed, Person)


def test_stream_helper_parses_the_model(client):
    with client.chat.completions.stream(**said("Who?"), response_format=Person) as stream:
        events = list(stream)
    done = next(event for event in events if event.type == "content.done")
    assert isinstance(done.parsed, Person)


async def test_async_helpers_parse_the_model(async_client):
    answer = await async_client.chat.completions.parse(**said("Who?"), response_format=Person)
    assert isinstance(answer.choices[0].message.parsed, Person)
    async with async_client.chat.completions.stream(
        **said("Who?"), response_format=Person
    ) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.parsed == answer.choices[0].message.parsed


def test_arguments_are_parsed_into_the_model(client):
    answer = client.chat.completions.parse(
        **said("Who?"), tools=[openai.pydantic_function_tool(Person)], tool_choice="required"
    )
    assert isinstance(answer.choices[0].message.tool_calls[0].function.parsed_arguments, Person)


def test_fields_of_newer_clients_are_taken(client):
    answer = client.chat.completions.create(
        **said("Hello"), prompt_cache_key="greeting", safety_identifier="anna"
    )
    assert answer.choices[0].message.content
