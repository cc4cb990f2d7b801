"""Instructor on top of the official client."""

from typing import Literal

import instructor
import openai
import pytest
from given import MODEL, SCRIPTED
from pydantic import BaseModel, Field


class Person(BaseModel):
    name: Literal["Anna", "Ben"]
    age: int = Field(ge=0, le=120)


REQUEST = {
    "messages": [{"role": "user", "content": "Who is Anna? She is 30."}],
    "response_model": Person,
    "max_tokens": 200,
    "temperature": 0,
}


@pytest.mark.parametrize("mode", ["TOOLS", "JSON", "JSON_SCHEMA"])
def test_every_mode_makes_the_model(client, mode):
    patched = instructor.from_openai(client, mode=instructor.Mode[mode])
    name = SCRIPTED if mode == "JSON" else MODEL  # JSON mode alone holds to no schema
    person = patched.chat.completions.create(model=name, max_retries=1, **REQUEST)
    assert isinstance(person, Person)


async def test_async_makes_the_model(async_client):
    patched = instructor.from_openai(async_client, mode=instructor.Mode.TOOLS)
    assert isinstance(await patched.chat.completions.create(model=MODEL, **REQUEST), Person)


def test_completion_comes_with_the_model(client):
    patched = instructor.from_openai(client, mode=instructor.Mode.TOOLS)
    person, raw = patched.chat.completions.create_with_completion(model=MODEL, **REQUEST)
    assert isinstance(person, Person)
    assert isinstance(raw, openai.types.chat.ChatCompletion)


def test_partial_models_are_streamed(client):
    patched = instructor.from_openai(client, mode=instructor.Mode.TOOLS)
    parts = list(patched.chat.completions.create_partial(model=MODEL, **REQUEST))
    assert parts[-1].name in ("Anna", "Ben")
