"""Models, and errors as the classes that the client has for them."""

import os

import openai
import pytest
from given import SCRIPTED, TOOLS, said


def test_list_names_models_that_can_be_retrieved(client):
    models = list(client.models.list())
    assert {"gpt-4o", "gpt-4o-2024-08-06", "tiny"} <= {model.id for model in models}
    for model in models[:3]:
        assert client.models.retrieve(model.id) == model
        assert model.object == "model"
        assert model.created > 0
        assert model.owned_by


def test_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no-such-model")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**said("Hello", "no-such-model"))
    assert caught.value.code == "model_not_found"
    assert caught.value.type == "invalid_request_error"


def test_wrong_key_is_an_authentication_error(client):
    with pytest.raises(openai.AuthenticationError) as caught:
        client.with_options(api_key="sk-wrong").models.list()
    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id


def test_admin_key_is_refused_outside_the_administration(client):
    with pytest.raises((openai.PermissionDeniedError, openai.AuthenticationError)):
        client.with_options(api_key=os.environ["TEST_ADMIN_KEY"]).models.list()


def test_another_organization_is_refused(client):
    with pytest.raises(openai.AuthenticationError) as caught:
        client.with_options(organization="org-somebody-else").models.list()
    assert caught.value.code == "mismatched_organization"


BAD = {
    "temperature": ({"temperature": 3}, "temperature"),
    "role": ({"messages": [{"role": "wizard", "content": "Hello"}]}, "messages"),
    "no messages": ({"messages": []}, "messages"),
    "type": ({"max_tokens": "many"}, "max_tokens"),
    "top_logprobs alone": ({"top_logprobs": 2}, "top_logprobs"),
    "stream_options alone": ({"stream_options": {"include_usage": True}}, "stream_options"),
    "tool_choice alone": ({"tool_choice": "auto"}, "tool_choice"),
    "json_object without the word": ({"response_format": {"type": "json_object"}}, "messages"),
}


@pytest.mark.parametrize(("fields", "param"), BAD.values(), ids=BAD)
def test_bad_request_names_its_parameter(client, fields, param):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**said("Hello") | fields)
    assert caught.value.param.startswith(param)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.body["message"]


def test_unknown_field_is_named(client):
    with pytest.raises(openai.BadRequestError, match="tempreature"):
        client.chat.completions.create(**said("Hello"), extra_body={"tempreature": 1})


def test_context_overflow_is_a_bad_request_with_its_code(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**said("word " * 5000))
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "messages"


def test_streamed_request_is_refused_before_the_stream(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**said("word " * 5000, stream=True))
    assert caught.value.code == "context_length_exceeded"


def test_schema_that_cannot_be_strict_is_refused(client):
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    wanted = {"name": "loose", "strict": True, "schema": schema}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            **said("Hello", response_format={"type": "json_schema", "json_schema": wanted})
        )
    assert caught.value.param.startswith("response_format")


def test_unknown_named_tool_is_refused(client):
    choice = {"type": "function", "function": {"name": "get_tide"}}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**said("Hello", tools=TOOLS, tool_choice=choice))
    assert caught.value.param.startswith("tool_choice")


def test_operation_that_is_not_built_is_asked_for_once(seen):
    with pytest.raises(openai.InternalServerError) as caught:
        seen.client.images.generate(prompt="A house by the sea")
    assert caught.value.status_code == 501
    assert caught.value.code == "not_implemented"
    assert len(seen.requests) == 1


def test_bad_request_is_not_tried_again(seen):
    with pytest.raises(openai.BadRequestError):
        seen.client.chat.completions.create(**said("Hello", top_p=2))
    assert len(seen.requests) == 1


def test_overload_is_tried_again_as_often_as_the_client_wants(seen):
    with pytest.raises(openai.InternalServerError) as caught:
        seen.client.chat.completions.create(**said("overloaded", SCRIPTED))
    assert caught.value.status_code == 503
    assert caught.value.response.headers["retry-after-ms"] == "10"
    assert len(seen.requests) == 3


def test_error_in_the_middle_of_a_stream_reaches_the_caller(client):
    stream = client.chat.completions.create(**said("broken", SCRIPTED, stream=True))
    texts = []
    with pytest.raises(openai.APIError) as caught:
        texts += (chunk.choices[0].delta.content for chunk in stream)
    assert caught.value.code == "broken"
    assert texts == ["", "Once", " upon"]


def test_unreachable_server_is_a_connection_error(client):
    nowhere = client.with_options(base_url="http://127.0.0.1:9/v1")
    with pytest.raises(openai.APIConnectionError):
        nowhere.chat.completions.create(**said("Hello"))
