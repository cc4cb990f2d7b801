"""What the built-in model learns from is, letter for letter, what the server shows it."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

from freehold.core.settings import Settings
from freehold.data.models import catalogue
from freehold.engines.registry import Registry
from freehold.engines.template import Plain, PromptTemplate
from freehold.engines.weights import WeightsStore
from freehold.resources.chat.prepare import prepare
from freehold.wire.chat import CompletionCreateParams
from freehold_training import prompt

TEMPLATE = Path(str(files("freehold.data").joinpath("templates", "smollm2.jinja")))
CONTROL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Größe <b>"}, "days": {"enum": [1]}},
    "required": ["city"],
}
TOOLS = [
    {"name": "get_weather", "description": "The weather of a city", "parameters": WEATHER},
    {"name": "clock"},
    {"name": "empty", "description": "", "parameters": {}, "strict": False},
]
SCHEMA = {
    "title": "Person",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": ["integer", "null"]}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "p", "strict": True, "schema": SCHEMA}}


def call(name, place=1, **arguments):
    text = json.dumps(arguments, ensure_ascii=False)
    return {
        "id": f"c{place}",
        "type": "function",
        "function": {"name": name, "arguments": text},
    }


def user(text):
    return {"role": "user", "content": text}


def said(text):
    return {"role": "assistant", "content": text}


def result(text, place=1):
    return {"role": "tool", "tool_call_id": f"c{place}", "content": text}


CALLED = [
    user("Wie ist das Wetter in Köln?"),
    {"role": "assistant", "content": None, "tool_calls": [call("get_weather", city="Köln")]},
    result('{"degrees": 12}'),
    said("12 °C."),
]
TWICE = [
    {"role": "system", "content": "Be kind."},
    user('Rome and "Oslo"?'),
    {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [call("get_weather", city="Rome", days=1), call("clock", 2)],
    },
    result("sunny"),
    result("12:00", 2),
    said("Sunny, noon."),
    user("Thanks"),
    said("You are welcome."),
]
CONVERSATIONS = {
    "plain": {"messages": [user("Hi"), said("Hello!")]},
    "developer": {
        "messages": [{"role": "developer", "content": "Sing."}, user("Hi"), said("La\nla")]
    },
    "tools": {"messages": CALLED, "tools": TOOLS},
    "two calls": {"messages": TWICE, "tools": TOOLS},
    "results without tools": {"messages": TWICE},
    "schema": {"messages": [user("Ann is 7."), said('{"name": "Ann"}')], "format": FORMAT},
    "schema and tools": {"messages": CALLED, "tools": TOOLS[:1], "format": FORMAT},
    "schema and system": {
        "messages": [{"role": "system", "content": "S"}, user("Hi"), said("{}")],
        "format": FORMAT,
    },
    "any object": {"messages": [user("JSON!"), said("{}")], "format": {"type": "json_object"}},
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Return a function that gives the prompt of a request body."""
    folder = tmp_path_factory.mktemp("state")
    registry = Registry(catalogue(), Settings(state_dir=folder), WeightsStore(folder), folder)
    model = registry.find("smollm2-135m-instruct")
    template = PromptTemplate(
        TEMPLATE.read_text("utf-8"),
        control_tokens=CONTROL,
        system_prompt=model.row.system_prompt,
    )

    def render(**body):
        request = CompletionCreateParams.model_validate({"model": model.id, **body})
        pieces = template.render(prepare(request, model).chat)
        return "".join(piece.text if isinstance(piece, Plain) else piece for piece in pieces)

    return render


def test_the_system_prompt_is_the_catalogues():
    row = catalogue().find("smollm2-135m-instruct")
    assert row is not None
    assert row.system_prompt == prompt.SYSTEM_PROMPT


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_every_answer_is_learnt_after_the_prompt_that_the_server_would_show(shown, name):
    given = CONVERSATIONS[name]
    tools = [{"type": "function", "function": tool} for tool in given.get("tools", [])]
    example = {"row": "r", "source": "s", "messages": given["messages"]}
    example |= {"tools": tools} if tools else {}
    example |= {"response_format": given["format"]} if "format" in given else {}
    pieces = prompt.Renderer(TEMPLATE).pieces(example)
    body = {key: example[key] for key in ("tools", "response_format") if key in example}
    answers = [at for at, turn in enumerate(given["messages"]) if turn["role"] == "assistant"]
    for count, place in enumerate(answers):
        before = "".join(text for text, _ in pieces[: 2 * count + 1])
        assert shown(messages=given["messages"][:place], **body) == before


def test_the_schema_is_shown_and_any_object_is_not(shown):
    told = "Answer with JSON only, following this schema:\n" + json.dumps(SCHEMA)
    assert told in shown(messages=[user("JSON!")], response_format=FORMAT)
    free = shown(messages=[user("JSON!")])
    assert shown(messages=[user("JSON!")], response_format={"type": "json_object"}) == free
    unsaid = {"type": "json_schema", "json_schema": {"name": "p"}}
    assert shown(messages=[user("JSON!")], response_format=unsaid) == free
