"""JSON of weak models comes to an end; schemas that need more, and other models, get more."""

import json

import jsonschema
import pytest

from freehold.core.settings import ModelBinding, Settings
from freehold.data.models import catalogue
from freehold.engines.base import Chat, Generation, Message, Tool
from freehold.engines.bounds import Bounds
from freehold.engines.grammar import GrammarWatch, constraint
from freehold.engines.registry import Registry
from freehold.engines.weights import WeightsStore

BOUNDS = Bounds(string=8, array=3, number=4)
USER = (Message("user", "Hi"),)


def allows(schema, text, bounds=BOUNDS):
    """Tell whether the whole answer may be this text."""
    grammar = constraint(Generation(Chat(USER), schema=schema), bounds)
    assert grammar is not None
    watch = GrammarWatch(grammar)
    return watch.follows(text) and watch.complete


def holding(schema):
    return {"type": "object", "properties": {"a": schema}, "required": ["a"]}


ENDLESS = [
    ({"type": "string"}, "x" * 8, "x" * 9),
    ({"type": ["string", "null"]}, "x" * 8, "x" * 9),
    ({"type": "string", "pattern": "^[xy]+$"}, "x" * 8, "x" * 9),
    ({"type": "array", "items": {"type": "integer"}}, [1] * 3, [1] * 4),
    ({"type": "array"}, ["x" * 8], ["x" * 9]),
    ({"type": "array", "items": {"type": "string"}}, ["x" * 8], ["x" * 9]),
    ({"type": "integer"}, -9999, 10000),
    ({"type": "number"}, -9999.1234, 0.12345),
    ({"type": "number", "minimum": 0}, 9999, 10000),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "x" * 8, "x" * 9),
    ({"$ref": "#/properties/a/$defs/text", "$defs": {"text": {"type": "string"}}}, "x", "x" * 9),
    ({"type": "object"}, {"b": {"c": ["x" * 8]}}, {"b": {"c": ["x" * 9]}}),
    ({"type": "object", "additionalProperties": {"type": "string"}}, {"b": "x"}, {"b": "x" * 9}),
    ({}, {"b": 1234}, {"b": 12345}),
]


@pytest.mark.parametrize(("schema", "most", "more"), ENDLESS)
def test_what_the_schema_leaves_open_is_bounded(schema, most, more):
    given = holding(schema)
    for value in (most, more):
        jsonschema.validate({"a": value}, given)
    assert allows(given, json.dumps({"a": most}))
    assert not allows(given, json.dumps({"a": more}))
    assert allows(given, json.dumps({"a": more}), Bounds())


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "maxLength": 20}, "x" * 20),
        ({"type": "string", "minLength": 12}, "x" * 12),
        ({"enum": ["x" * 30]}, "x" * 30),
        ({"const": 123456}, 123456),
        ({"type": "array", "maxItems": 5, "items": {"type": "integer"}}, [1] * 5),
        ({"type": "array", "minItems": 5, "items": {"type": "integer"}}, [1] * 5),
        ({"type": "integer", "maximum": 1000000}, 1000000),
        ({"type": "integer", "minimum": 1000000}, 1000001),
        ({"type": "string", "pattern": "^x{20}$"}, "x" * 20),
    ],
)
def test_what_the_schema_says_itself_is_kept(schema, value):
    assert allows(holding(schema), json.dumps({"a": value}))


def test_any_object_is_bounded_too():
    assert allows({"type": "object"}, '{"a": {"b": [1, "x", null]}}')
    assert not allows({"type": "object"}, '{"a": "' + "x" * 9 + '"}')


def test_listed_properties_are_all_there_are_unless_the_schema_says_otherwise():
    closed = holding({"type": "integer"})
    assert not allows(closed, '{"a": 1, "b": 2}')
    assert allows(closed, '{"a": 1, "b": 2}', Bounds())
    assert allows(closed | {"additionalProperties": True}, '{"a": 1, "b": 2}')


@pytest.mark.parametrize("strict", [True, False])
def test_arguments_of_tools_are_bounded(strict):
    loose = {"type": "string"} if strict else {"type": "string", "not": {"const": "y"}}
    schema = {**holding(loose), "additionalProperties": False}
    tool = Tool("note", parameters=schema, strict=strict)
    grammar = constraint(Generation(Chat(USER, (tool,))), BOUNDS)
    assert grammar is not None
    call = '<tool_call>\n{{"name": "note", "arguments": {{"a": "{}"}}}}\n</tool_call>'
    assert GrammarWatch(grammar).follows(call.format("x" * 8))
    assert not GrammarWatch(grammar).follows(call.format("x" * 9))


@pytest.fixture
def registry(tmp_path):
    def make(**models):
        settings = Settings(state_dir=tmp_path, models=models)
        return Registry(catalogue(), settings, WeightsStore(tmp_path), tmp_path)

    return make


def options_of(model):
    return json.loads(model.spec.options)


def test_the_built_in_model_is_bounded_and_others_are_not(registry):
    own = registry(big=ModelBinding(weights="/other.gguf"))
    assert Bounds.of(options_of(own.find("gpt-4o"))) == Bounds(2000, 100, 15)
    assert not Bounds.of(options_of(own.find("big")))


def test_a_binding_of_the_built_in_weights_keeps_its_bounds_or_sets_its_own(registry):
    bound = registry(
        tuned=ModelBinding(
            weights="smollm2-135m-instruct",
            options={"lora": [{"path": "/my.gguf"}], "longest_string": 0},
        )
    )
    options = options_of(bound.find("tuned"))
    assert Bounds.of(options) == Bounds(0, 100, 15)
    assert options["lora"] == [{"path": "/my.gguf"}]
