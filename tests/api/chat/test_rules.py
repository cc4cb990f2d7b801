"""Requests that are refused, and in which words."""

import pytest

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
USER = {"role": "user", "content": "Hello"}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ],
}


def schema_format(schema, **more):
    return {"type": "json_schema", "json_schema": {"name": "s", "schema": schema, **more}}


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"messages": None}, "messages", ""),
        ({"messages": []}, "messages", "empty array"),
        ({"temperature": 3}, "temperature", "<= 2"),
        ({"temperature": "hot"}, "temperature", "Invalid type"),
        ({"n": 0}, "n", ">= 1"),
        ({"n": True}, "n", "Invalid type"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "maximum length 4"),
        ({"top_logprobs": 2}, "top_logprobs", "'logprobs' is enabled"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "<= 20"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "'stream' is enabled"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens", "at the same time"),
        ({"max_tokens": 0}, "max_tokens", ">= 1"),
        ({"max_tokens": 99_999}, "max_tokens", "at most 16384"),
        ({"tool_choice": "auto"}, "tool_choice", "'tools' are specified"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls", "'tools' are specified"),
        ({"tools": []}, "tools", "empty array"),
        ({"tools": [TOOL] * 129}, "tools", "128"),
        ({"tools": [TOOL, TOOL]}, "tools[1].function.name", "twice"),
        (
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "tools[0].function.name",
            "pattern",
        ),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}},
            "tool_choice",
            "'g' not found",
        ),
        ({"functions": [{"name": "f"}], "function_call": {"name": "g"}}, "function_call", "'g'"),
        ({"functions": [{"name": "f"}], "tools": [TOOL]}, "functions", "use 'tools'"),
        ({"response_format": {"type": "json_object"}}, "messages", "'json'"),
        (
            {"response_format": schema_format({"type": "array"}, strict=True)},
            "response_format",
            "object",
        ),
        (
            {
                "response_format": schema_format(
                    {"type": "object", "properties": {"a": {"not": {}}}}
                )
            },
            "response_format",
            "not",
        ),
        (
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {"name": "f", "strict": True, "parameters": {"type": "object"}},
                    }
                ]
            },
            "tools[0].function.parameters",
            "additionalProperties",
        ),
        ({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, None, ""),
        ({"reasoning_effort": "low"}, "reasoning_effort", "not supported with this model"),
        ({"logit_bias": {"a": 1}}, "logit_bias", ""),
        ({"logit_bias": {"1": 101}}, "logit_bias.1", "<= 100"),
        ({"metadata": {str(i): "x" for i in range(17)}}, "metadata", "16"),
        ({"web_search_options": {}}, "web_search_options", ""),
        ({"messages": [{"role": "pirate", "content": "x"}]}, "messages[0].role", "'assistant'"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "Missing"),
        (
            {"messages": [{"role": "user", "content": "x", "mood": 1}]},
            "messages[0].mood",
            "Unknown",
        ),
        ({"messages": [{"role": "assistant"}]}, "messages[0].content", "null"),
        (
            {"messages": [USER, {"role": "tool", "content": "x", "tool_call_id": "c"}]},
            "messages[1].tool_call_id",
            "preceding",
        ),
        ({"messages": [USER, CALL, USER]}, "messages[1]", "call_1"),
        ({"messages": [USER, CALL]}, "messages[1]", "call_1"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "input_audio",
                                "input_audio": {"data": "AA==", "format": "wav"},
                            }
                        ],
                    }
                ]
            },
            "messages[0].content[0].type",
            "input_audio",
        ),
    ],
)
async def test_a_request_that_breaks_a_rule_is_told_what_to_change(shared, fields, param, words):
    error = await shared.refused(**fields)
    assert error["type"] == "invalid_request_error"
    assert param is None or error["param"] == param
    assert words in error["message"]


async def test_unknown_fields_are_named(shared):
    assert (await shared.refused(colour=1))[
        "message"
    ] == "Unrecognized request argument supplied: colour"
    both = await shared.refused(colour=1, taste=2)
    assert both["message"] == "Unrecognized request arguments supplied: colour, taste"


async def test_a_missing_model_is_missing_and_an_unknown_one_not_found(shared):
    error = await shared.refused(model=None)
    assert error["param"] == "model"
    error = await shared.refused(404, model="gpt-17")
    assert error["code"] == "model_not_found"
    assert error["message"] == (
        "The model `gpt-17` does not exist or you do not have access to it."
    )


async def test_a_model_of_another_kind_is_refused_with_where_it_belongs(shared):
    error = await shared.refused(404, model="gpt-3.5-turbo-instruct")
    assert "v1/completions" in error["message"]
    assert "v1/embeddings" in (await shared.refused(404, model="text-embedding-3-small"))["message"]


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        ("o1", {"temperature": 0.5}, "temperature"),
        ("o1", {"max_tokens": 5}, "max_tokens"),
        ("o1-mini", {"tools": [TOOL]}, "tools"),
        ("o1-mini", {"messages": [{"role": "system", "content": "x"}, USER]}, "messages[0].role"),
        ("o1-preview", {"logprobs": True}, "logprobs"),
        ("o1-preview", {"n": 2}, "n"),
    ],
)
async def test_reasoning_models_refuse_what_they_do_not_take(shared, model, fields, param):
    error = await shared.refused(model=model, **fields)
    assert error["param"] == param
    assert error["code"] in {"unsupported_value", "unsupported_parameter"}


@pytest.mark.parametrize(
    "fields",
    [
        {"user": "u", "service_tier": "auto", "seed": 1, "metadata": {"a": "b"}, "store": True},
        {"safety_identifier": "s", "prompt_cache_key": "k"},
        {"temperature": None, "stop": None, "tools": None, "n": None, "stream": None},
        {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
        {"modalities": ["text"], "response_format": {"type": "text"}},
        {"model": "o1", "reasoning_effort": "low", "max_completion_tokens": 10},
        {
            "messages": [
                {"role": "developer", "content": [{"type": "text", "text": "a"}]},
                {"role": "system", "content": "b", "name": "sys"},
                {"role": "user", "content": [{"type": "text", "text": "c"}], "name": "ann"},
                CALL,
                {
                    "role": "tool",
                    "tool_call_id": "call_1",
                    "content": [{"type": "text", "text": "d"}],
                },
                {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
                {
                    "role": "assistant",
                    "content": None,
                    "function_call": {"name": "f", "arguments": "{}"},
                },
                {"role": "function", "name": "f", "content": "1"},
                {"role": "assistant", "content": "", "refusal": None, "tool_calls": []},
                USER,
            ]
        },
    ],
)
async def test_what_openai_accepts_is_accepted(shared, fields):
    body = {"model": "gpt-4o", "messages": [USER], **fields}
    answer = await shared.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
