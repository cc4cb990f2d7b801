import pytest

from freehold.resources.chat import strict


def schema(**properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def test_a_closed_schema_with_all_keys_required_is_strict():
    nested = schema(items={"type": "array", "items": schema(name={"type": ["string", "null"]})})
    assert strict.fault(nested) is None


def test_references_and_recursion_are_strict():
    tree = schema(children={"type": "array", "items": {"$ref": "#"}}) | {
        "$defs": {"leaf": schema(value={"type": "number"})}
    }
    assert strict.fault(tree) is None


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"type": "array", "items": {}}, "got 'type: \"array\"'"),
        ({"anyOf": [schema()]}, "got 'anyOf'"),
        (schema() | {"additionalProperties": True}, "'additionalProperties' is required"),
        (schema(a={"type": "string"}) | {"required": []}, "Missing 'a'"),
        (schema(a=schema() | {"required": ["b"]}), "('properties', 'a'), 'required' names 'b'"),
        (schema(a={"type": "array"}), "array schema missing items"),
        (schema(a={"allOf": [schema()], "type": "object"}), "'allOf' is not permitted"),
        (schema(a={}), "schema must have a 'type' key"),
        (schema(a=True), "is not a schema object"),
    ],
)
def test_what_openai_does_not_permit_is_named_with_its_place(given, reason):
    assert reason in (strict.fault(given) or "")


def test_a_schema_nests_at_most_five_levels():
    deep = schema(x={"type": "string"})
    for _ in range(5):
        deep = schema(x=deep)
    assert "at most 5 levels" in (strict.fault(deep) or "")


def test_a_schema_has_at_most_a_hundred_properties():
    wide = schema(**{f"p{i}": {"type": "string"} for i in range(101)})
    assert "at most 100 object properties" in (strict.fault(wide) or "")
