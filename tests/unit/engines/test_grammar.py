import json

import llguidance
import pytest

from freehold.core.errors import BadRequestError
from freehold.engines.base import Chat, Generation, Message, Tool, ToolCall
from freehold.engines.grammar import GrammarWatch, check_schema, constraint, ending

WEATHER = Tool(
    "get_weather",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"$ref": "#/$defs/Days"}},
        "required": ["city"],
        "$defs": {"Days": {"type": "integer"}},
    },
)
CLOCK = Tool("clock")
USER = (Message("user", "What is the weather?"),)


def call(name="get_weather", arguments='{"city": "Rome", "days": 3}'):
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def chat(*tools, **fields):
    return Generation(Chat(USER, tools, **fields))


def allows(request, text, *, whole=True):
    """Tell whether the answer may be this text, or may begin with it."""
    grammar = constraint(request)
    assert grammar is not None
    watch = GrammarWatch(grammar)
    return watch.follows(text) and (not whole or watch.complete)


def test_plain_chat_has_no_grammar():
    assert constraint(Generation(Chat(USER))) is None
    assert constraint(Generation("text")) is None


@pytest.mark.parametrize(
    "text", ["Sunny.", "", "a <b> <tool> </tool_call>", call(), "Wait.\n" + call()]
)
def test_auto_allows_words_calls_and_both(text):
    assert allows(chat(WEATHER, CLOCK), text)


@pytest.mark.parametrize(
    "text",
    [
        "Hm <tool_call>no",
        call("unknown", "{}"),
        call(arguments='{"town": "Rome"}'),
        call(arguments='{"city": "Rome", "more": 1}'),
        call() + "and more",
    ],
)
def test_auto_refuses_calls_of_unknown_tools_or_with_wrong_arguments(text):
    assert not allows(chat(WEATHER, CLOCK), text)


def test_forced_call_allows_nothing_else():
    request = chat(WEATHER, CLOCK, tool_choice="required")
    assert allows(request, call())
    assert allows(request, call("clock", "{}"))
    assert not allows(request, "Sunny.", whole=False)
    assert not allows(request, "")


def test_named_tool_is_the_only_one():
    request = chat(WEATHER, CLOCK, tool_choice="clock")
    assert allows(request, call("clock", "{}"))
    assert not allows(request, call())


def test_a_model_may_call_several_tools_unless_parallel_is_off():
    two = call() + "\n" + call("clock", "{}")
    assert allows(chat(WEATHER, CLOCK), two)
    assert not allows(chat(WEATHER, CLOCK, parallel_tool_calls=False), two)


@pytest.mark.parametrize("choice", ["required", "get_weather"])
def test_forced_call_is_one_call(choice):
    assert not allows(chat(WEATHER, tool_choice=choice), call() + "\n" + call())


def test_schema_beside_tools_allows_an_answer_or_a_call():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    request = Generation(Chat(USER, (WEATHER,)), schema={**schema, "additionalProperties": False})
    assert allows(request, '{"a": 3}')
    assert allows(request, call())
    assert not allows(request, "words", whole=False)


def test_any_object_is_compact_json():
    request = Generation(Chat(USER), schema={"type": "object"})
    assert allows(request, '{"a": [1, {"b": null}]}')
    assert not allows(request, "{   ", whole=False)
    assert not allows(request, "[1]")


def test_old_calls_do_not_tempt_a_model_without_tools():
    turn = Message("assistant", "", tool_calls=(ToolCall("1", "clock", "{}"),))
    request = Generation(Chat((*USER, turn, Message("tool", "12:00", tool_call_id="1"))))
    assert allows(request, "It is noon.")
    assert not allows(request, call("clock", "{}"))


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "object", "not": {}}, "not"),
        ({"type": "string", "pattern": "^(?=a)b$"}, "look-around"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"$ref": "#/nope"}, "/nope"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf"),
        ({"type": "string", "format": "weird"}, "weird"),
    ],
)
def test_schema_that_cannot_be_enforced_says_why(schema, reason):
    fault = check_schema(schema)
    assert fault is not None
    assert reason in fault
    assert "%llguidance" not in fault
    with pytest.raises(BadRequestError) as refusal:
        constraint(Generation(Chat(USER), schema=schema))
    assert refusal.value.code == "invalid_json_schema"


def test_strict_tool_that_cannot_be_enforced_is_refused():
    loose = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    with pytest.raises(BadRequestError, match=r"function 'f'.*uniqueItems"):
        constraint(chat(Tool("f", parameters=loose, strict=True)))


def test_loose_tool_keeps_what_can_be_enforced():
    loose = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}},
        "required": ["a"],
    }
    request = chat(Tool("f", parameters=loose))
    assert allows(request, call("f", '{"a": [1, 1]}'))
    assert not allows(request, call("f", '{"a": ["x"]}'))


def test_hopeless_tool_takes_any_object():
    hopeless = {"type": "object", "properties": {"a": {"type": "no-such-type"}}}
    assert allows(chat(Tool("f", parameters=hopeless)), call("f", '{"b": 1}'))


def test_options_in_a_callers_schema_do_not_loosen_the_grammar():
    schema = {"oneOf": [{"type": "integer"}, {"type": "number"}]}
    assert check_schema({**schema, "x-guidance": {"coerce_one_of": True}}) is not None


def test_names_with_quotes_stay_inside_their_string():
    tool = Tool('a"b', parameters={"type": "object", "properties": {}})
    assert allows(chat(tool), call(json.dumps('a"b')[1:-1], "{}"))


def test_calls_may_end_with_the_token_that_the_model_ends_turns_with():
    grammar, end = constraint(chat(CLOCK)), 3
    assert grammar is not None
    for told, taken in ((ending(grammar, end), 1), (ending(grammar, None), 0)):
        matcher = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), told)
        text = call("clock", "{}").encode()
        assert matcher.try_consume_tokens(list(text)) == len(text)
        assert matcher.is_accepting()
        assert matcher.try_consume_tokens([end]) == taken
