"""What clients send in practice is taken as it is."""

from typing import Any

import pytest

from freehold.wire.chat import CompletionCreateParams

USER = {"role": "user", "content": "Hi"}
SOUND = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def taken(**fields: Any) -> CompletionCreateParams:
    return CompletionCreateParams.model_validate({"model": "m", "messages": [USER], **fields})


@pytest.mark.parametrize(
    "message",
    [
        {"role": "developer", "content": "Be brief."},
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}], "name": "boss"},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}}],
        },
        {
            "role": "user",
            "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "assistant", "content": "", "refusal": None, "audio": None, "function_call": None},
        {"role": "assistant", "content": "x", "tool_calls": None, "name": None},
        {"role": "assistant", "audio": {"id": "audio_1"}},
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "tool", "content": [{"type": "text", "text": "1"}], "tool_call_id": "call_1"},
        {"role": "function", "content": None, "name": "f"},
    ],
)
def test_message_of_any_documented_shape_is_taken(message):
    assert taken(messages=[message]).messages[0].role == message["role"]


OPTIONAL = sorted(set(CompletionCreateParams.model_fields) - {"model", "messages"})


@pytest.mark.parametrize("field", OPTIONAL)
def test_null_at_the_top_counts_as_left_out(field):
    assert getattr(taken(**{field: None}), field) is None


def test_integers_are_numbers():
    assert taken(temperature=1, logit_bias={"64": 5}).temperature == 1


def test_schema_of_a_response_format_keeps_its_name():
    wanted = {"name": "answer", "schema": {"type": "object"}, "strict": True}
    sent = taken(response_format={"type": "json_schema", "json_schema": wanted})
    assert sent.model_dump(by_alias=True, exclude_unset=True)["response_format"] == {
        "type": "json_schema",
        "json_schema": wanted,
    }
