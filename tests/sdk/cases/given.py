"""What the cases ask, and how they look at the server from outside."""

import json
import os
import re
import time
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import openai

MODEL = "gpt-4o"  # answered by the tiny model
SCRIPTED = "scripted"  # answered by the script in tests/sdk/server.py
# The tiny model under its own id, where token ids are its own; it may never say 2, its end.
ENDLESS: dict[str, Any] = {"model": "tiny", "logit_bias": {"2": -100}, "max_tokens": 1020}


@dataclass
class Seen:
    """A client and the requests that it sent."""

    requests: list[Any] = field(default_factory=list)
    client: openai.OpenAI = field(init=False)


def said(text, /, model=MODEL, **more):
    """Return the arguments of a chat that begins with ``text``; the likeliest answer is wanted."""
    messages = [{"role": "user", "content": text}]
    return {"model": model, "messages": messages, "temperature": 0, "max_tokens": 200} | more


def tool(name, *, strict=True):
    """Return a tool that takes a city."""
    parameters = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    described = f"{name.replace('_', ' ')} of a city"
    function = {"name": name, "description": described, "parameters": parameters}
    return {"type": "function", "function": {**function, "strict": strict}}


WEATHER, CLOCK = tool("get_weather"), tool("get_time")
TOOLS = [WEATHER, CLOCK]
FUNCTIONS = [
    {key: value for key, value in each["function"].items() if key != "strict"} for each in TOOLS
]
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "enum": ["Anna", "Ben"]},
        "age": {"type": "integer", "enum": [30, 40]},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


def is_person(text):
    """Return whether the text is JSON that fits ``PERSON``."""
    person = json.loads(text)
    return person.keys() == {"name", "age"} and person["age"] in (30, 40)


def busy():
    """Return how many generations run in the server now."""
    address = os.environ["OPENAI_BASE_URL"].removesuffix("/v1") + "/metrics"
    with urllib.request.urlopen(address) as answer:  # noqa: S310 - the server under test
        figures = answer.read().decode()
    return sum(map(float, re.findall(r"^freehold_engine_busy\{.*\} (\S+)$", figures, re.MULTILINE)))


def becomes_idle():
    """Return whether no generation runs any more, shortly."""
    return _soon(lambda: not busy())


def becomes_busy():
    """Return whether a generation runs, shortly."""
    return _soon(busy)


def _soon(holds, within=5.0):
    """The server tells its figures only when asked: ask until it ``holds``."""
    until = time.monotonic() + within
    while not (held := holds()) and time.monotonic() < until:
        time.sleep(0.02)
    return bool(held)
