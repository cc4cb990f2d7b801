"""A chat request that does not fit is answered in OpenAI's words, with the path of the fault."""

from typing import Any

import pytest
from pydantic import ValidationError

from freehold.core.errors import BadRequestError
from freehold.wire.assistants import AssistantCreateParams
from freehold.wire.batches import BatchCreateParams
from freehold.wire.chat import CompletionCreateParams
from freehold.wire.errors import bad_request
from freehold.wire.messages import MessageCreateParams
from freehold.wire.runs import RunCreateParams
from freehold.wire.vector_stores import FileBatchCreateParams, VectorStoreCreateParams

ROLES = "'developer', 'system', 'user', 'assistant', 'tool', and 'function'"
USER = {"role": "user", "content": "Hi"}


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [USER], **fields}


def said(content: Any, role: str = "user") -> dict[str, Any]:
    return body(messages=[{"role": role, "content": content}])


def fault_of(sent: Any) -> BadRequestError:
    with pytest.raises(ValidationError) as caught:
        CompletionCreateParams.model_validate(sent)
    return bad_request(caught.value, sent)


def tool(**function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", **function}}


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"model": "gpt-4o"}, "messages"),
        ({"messages": [USER]}, "model"),
        (body(messages=[{"content": "Hi"}]), "messages[0].role"),
        (body(messages=[{"role": "user"}]), "messages[0].content"),
        (said([{"text": "Hi"}]), "messages[0].content[0].type"),
        (said([{"type": "text"}]), "messages[0].content[0].text"),
        (said([{"type": "image_url", "image_url": {}}]), "messages[0].content[0].image_url.url"),
        (said([{"type": "input_audio"}]), "messages[0].content[0].input_audio"),
        (body(messages=[{"role": "tool", "content": "1"}]), "messages[0].tool_call_id"),
        (body(tools=[{"type": "function"}]), "tools[0].function"),
        (body(tools=[{"type": "function", "function": {}}]), "tools[0].function.name"),
        (body(tool_choice={"type": "function"}), "tool_choice.function"),
        (body(response_format={}), "response_format.type"),
        (body(response_format={"type": "json_schema"}), "response_format.json_schema"),
        (body(functions=[{}]), "functions[0].name"),
        (body(function_call={}), "function_call.name"),
    ],
)
def test_missing_parameter_is_named(sent, param):
    fault = fault_of(sent)
    assert fault.message == f"Missing required parameter: '{param}'."
    assert (fault.param, fault.code) == (param, "missing_required_parameter")


@pytest.mark.parametrize(
    ("sent", "param", "expected", "got"),
    [
        (body(temperature="hot"), "temperature", "a decimal", "a string"),
        (body(temperature=True), "temperature", "a decimal", "a boolean"),
        (body(top_p=[]), "top_p", "a decimal", "an array"),
        (body(n="2"), "n", "an integer", "a string"),
        (body(n=True), "n", "an integer", "a boolean"),
        (body(seed=1.5), "seed", "an integer", "a decimal number"),
        (body(store="yes"), "store", "a boolean", "a string"),
        (body(stream=1), "stream", "a boolean", "an integer"),
        (body(user={"a": 1}), "user", "a string", "an object"),
        (body(model=None), "model", "a string", "null"),
        (body(messages="Hi"), "messages", "an array of objects", "a string"),
        (body(messages=["Hi"]), "messages[0]", "an object", "a string"),
        (body(messages=[None]), "messages[0]", "an object", "null"),
        (body(messages=[{"role": 7}]), "messages[0].role", None, "an integer"),
        (said(7), "messages[0].content", "one of a string or array of objects", "an integer"),
        (said(None), "messages[0].content", "one of a string or array of objects", "null"),
        (said(["Hi"]), "messages[0].content[0]", "an object", "a string"),
        (said([{"type": "text", "text": 1}]), "messages[0].content[0].text", "a string", None),
        (body(stop=5), "stop", "one of a string or array of strings", "an integer"),
        (body(stop=["a", 4]), "stop[1]", "a string", "an integer"),
        (body(tools="none"), "tools", "an array of objects", "a string"),
        (body(tools=[tool(parameters=[])]), "tools[0].function.parameters", "an object", None),
        (body(tool_choice=7), "tool_choice", "one of a string or object", "an integer"),
        (body(response_format="json"), "response_format", "an object", "a string"),
        (body(metadata={"a": 5}), "metadata.a", "a string", "an integer"),
        (body(logit_bias={"5": "x"}), "logit_bias.5", "a decimal", "a string"),
        (
            body(reasoning_effort=4),
            "reasoning_effort",
            "one of 'low', 'medium', or 'high'",
            "an integer",
        ),
    ],
)
def test_wrong_type_is_named(sent, param, expected, got):
    fault = fault_of(sent)
    assert (fault.param, fault.code) == (param, "invalid_type")
    assert fault.message.startswith(f"Invalid type for '{param}': expected {expected or ''}")
    assert fault.message.endswith(f"but got {got or 'a'} instead.") or got is None


@pytest.mark.parametrize(
    ("sent", "param", "message"),
    [
        (
            body(tool_choice="maybe"),
            "tool_choice",
            "Invalid value: 'maybe'. Supported values are: 'none', 'auto', and 'required'.",
        ),
        (
            body(modalities=["smell"]),
            "modalities[0]",
            "Invalid value: 'smell'. Supported values are: 'text' and 'audio'.",
        ),
        (
            body(tools=[{"type": "custom", "function": {"name": "f"}}]),
            "tools[0].type",
            "Invalid value: 'custom'. Supported values are: 'function'.",
        ),
        (
            said([{"type": "image_url", "image_url": {}}], role="system"),
            "messages[0].content[0].type",
            "Invalid value: 'image_url'. Supported values are: 'text'.",
        ),
        (
            body(response_format={"type": "xml"}),
            "response_format.type",
            "Invalid value: 'xml'. Supported values are: 'text', 'json_object', and 'json_schema'.",
        ),
        (
            body(messages=[{"role": "robot"}]),
            "messages[0].role",
            f"Invalid value: 'robot'. Supported values are: {ROLES}.",
        ),
    ],
)
def test_unknown_value_comes_with_those_that_are_known(sent, param, message):
    fault = fault_of(sent)
    assert (fault.message, fault.param, fault.code) == (message, param, "invalid_value")


def test_unknown_field_at_the_top_is_unrecognized():
    fault = fault_of(body(foo=1))
    assert fault.body()["error"] == {
        "message": "Unrecognized request argument supplied: foo",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


def test_several_unknown_fields_are_told_together():
    fault = fault_of(body(foo=1, bar=None))
    assert fault.message == "Unrecognized request arguments supplied: foo, bar"


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        (body(messages=[USER | {"foo": 1}]), "messages[0].foo"),
        (body(messages=[USER | {"<user>": 1}]), "messages[0].<user>"),
        (body(tools=[tool(strictness=1)]), "tools[0].function.strictness"),
        (body(stream_options={"foo": 1}), "stream_options.foo"),
    ],
)
def test_unknown_field_inside_is_named(sent, param):
    fault = fault_of(sent)
    assert fault.message == f"Unknown parameter: '{param}'."
    assert (fault.param, fault.code) == (param, "unknown_parameter")


def test_what_is_missing_comes_before_what_is_unknown():
    assert fault_of({"model": "gpt-4o", "foo": 1}).param == "messages"


def test_what_is_unknown_comes_before_what_is_wrong():
    assert "foo" in fault_of(body(n="2", foo=1)).message


@pytest.mark.parametrize("sent", [[], "Hi", None, 5])
def test_a_body_that_is_no_object_is_refused_as_such(sent):
    fault = fault_of(sent)
    assert fault.message.startswith("Invalid type for the request body: expected an object")
    assert (fault.param, fault.code) == (None, "invalid_type")


NUL = "file-a\0"
MESSAGE = {"role": "user", "content": "Hi"}
PICTURE = {"type": "image_file", "image_file": {"file_id": NUL}}


@pytest.mark.parametrize(
    ("wire", "sent", "param"),
    [
        (RunCreateParams, {"assistant_id": NUL}, "assistant_id"),
        (
            BatchCreateParams,
            {"input_file_id": NUL, "endpoint": "/v1/embeddings", "completion_window": "24h"},
            "input_file_id",
        ),
        (
            AssistantCreateParams,
            {"model": "m", "tool_resources": {"file_search": {"vector_store_ids": [NUL]}}},
            "tool_resources.file_search.vector_store_ids[0]",
        ),
        (
            MessageCreateParams,
            {**MESSAGE, "attachments": [{"file_id": NUL}]},
            "attachments[0].file_id",
        ),
        (MessageCreateParams, {**MESSAGE, "content": [PICTURE]}, "content[0].image_file.file_id"),
        (VectorStoreCreateParams, {"file_ids": ["a", NUL]}, "file_ids[1]"),
        (FileBatchCreateParams, {"files": [{"file_id": NUL}]}, "files[0].file_id"),
    ],
)
def test_id_with_a_nul_never_reaches_the_database(wire, sent, param):
    with pytest.raises(ValidationError) as caught:
        wire.model_validate(sent)
    refused = bad_request(caught.value, sent)
    assert (refused.param, refused.code) == (param, "invalid_value")
    assert refused.message.startswith(f"Invalid '{param}': string does not match pattern.")
