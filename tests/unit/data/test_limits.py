"""Documented limits hold, and each refusal is in OpenAI's words."""

from typing import Any

import pytest

from freehold.core.errors import BadRequestError
from freehold.data import document, limits

OPERATION = "createChatCompletion"


def fault_of(**fields: Any) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        limits.check(OPERATION, fields)
    return caught.value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 0),
        ("temperature", 2),
        ("top_p", 1.0),
        ("presence_penalty", -2),
        ("n", 128),
        ("top_logprobs", 20),
        ("seed", -(2**63)),
        ("stop", ["a"] * 4),
        ("stop", "a" * 1000),
        ("metadata", {"k" * 64: "v" * 512}),
        ("logit_bias", {"64": -100}),
        ("tools", [{}] * 128),
        ("temperature", None),
        ("temperature", "of another kind: the wire type's matter"),
        ("messages", [{"role": "user", "name": None}]),
    ],
)
def test_value_at_its_limit_passes(field, value):
    assert limits.check(OPERATION, {field: value}) is None


@pytest.mark.parametrize(
    ("field", "value", "code", "words"),
    [
        ("temperature", -0.5, "decimal_below_min_value", "a value >= 0, but got -0.5 instead."),
        ("temperature", 3, "decimal_above_max_value", "a value <= 2, but got 3 instead."),
        ("top_p", 1.1, "decimal_above_max_value", "a value <= 1, but got 1.1 instead."),
        ("frequency_penalty", -3, "decimal_below_min_value", "a value >= -2, but got -3 instead."),
        ("n", 0, "integer_below_min_value", "a value >= 1, but got 0 instead."),
        ("n", 129, "integer_above_max_value", "a value <= 128, but got 129 instead."),
        ("max_tokens", 0, "integer_below_min_value", "a value >= 1, but got 0 instead."),
        ("top_logprobs", 21, "integer_above_max_value", "a value <= 20, but got 21 instead."),
        ("messages", [], "empty_array", "minimum length 1, but got an empty array instead."),
        (
            "stop",
            ["a"] * 5,
            "array_above_max_length",
            "an array with maximum length 4, but got an array with length 5 instead.",
        ),
        (
            "tools",
            [{}] * 129,
            "array_above_max_length",
            "an array with maximum length 128, but got an array with length 129 instead.",
        ),
        (
            "metadata",
            {str(number): "" for number in range(17)},
            "object_above_max_properties",
            "an object with at most 16 properties, but got an object with 17 properties instead.",
        ),
        (
            "safety_identifier",
            "s" * 65,
            "string_above_max_length",
            "a string with maximum length 64, but got a string with length 65 instead.",
        ),
    ],
)
def test_value_beyond_its_limit_is_refused(field, value, code, words):
    fault = fault_of(**{field: value})
    assert (fault.status, fault.param, fault.code) == (400, field, code)
    assert fault.message.startswith(f"Invalid '{field}': ")
    assert fault.message.endswith(words)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"messages": [{}, {"content": []}]}, "messages[1].content", "empty_array"),
        ({"messages": [{"name": "a b"}]}, "messages[0].name", "invalid_value"),
        ({"tools": [{"function": {"name": ""}}]}, "tools[0].function.name", "empty_string"),
        ({"tools": [{"function": {"name": "a.b"}}]}, "tools[0].function.name", "invalid_value"),
        ({"tools": [{"function": {"name": "a\n"}}]}, "tools[0].function.name", "invalid_value"),
        ({"functions": [{"name": "f" * 65}]}, "functions[0].name", "string_above_max_length"),
        ({"metadata": {"a": "v" * 513}}, "metadata.a", "string_above_max_length"),
        ({"logit_bias": {"64": 101}}, "logit_bias.64", "decimal_above_max_value"),
        ({"logit_bias": {"a": 1}}, "logit_bias", "invalid_value"),
        (
            {"response_format": {"json_schema": {"name": "a b"}}},
            "response_format.json_schema.name",
            "invalid_value",
        ),
    ],
)
def test_limit_inside_a_value_names_its_path(fields, param, code):
    fault = fault_of(**fields)
    assert (fault.param, fault.code) == (param, code)


def test_long_property_name_is_told_shortened():
    fault = fault_of(metadata={"k" * 70: "v"})
    assert fault.message.startswith("Invalid property name in 'metadata': 'kkk...kkk' is too long.")
    assert fault.code == "property_name_above_max_length"


def test_operation_without_limits_passes():
    assert limits.check("listModels", {"anything": 1}) is None


def test_every_row_is_of_a_documented_field():
    for operation, rules in limits._rules().items():
        bodies = map(document.resolve, document.request_content(operation).values())
        fields = {name for body in bodies for name in body["properties"]}
        fields |= {parameter["name"] for parameter in document.parameters(operation)}
        assert {rule.steps[0] for rule in rules} <= fields


@pytest.mark.parametrize("operation", [OPERATION, "createCompletion"])
def test_numbers_of_the_document_are_those_of_the_table(operation):
    """Where the description bounds a number at the top, our row says the same."""
    fields = document.resolve(document.request_schema(operation))["properties"]
    rows = {rule.steps[0]: rule.limit for rule in limits._rules()[operation] if not rule.steps[1:]}
    bounded = {name: field for name, field in fields.items() if "maximum" in field}
    del bounded["seed"]  # rounded there to what JavaScript can hold
    assert bounded
    for name, field in bounded.items():
        assert (rows[name].min, rows[name].max) == (field["minimum"], field["maximum"])


def test_figures_are_positive():
    assert limits.json_body_bytes() > 100_000_000
    assert min(limits.rate_limits("gpt-4o")) > 0
    assert limits.figure("strict_schema", "depth") == 5
    with pytest.raises(KeyError):
        limits.figure("strict_schema", "width")
