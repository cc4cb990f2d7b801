"""Headers, raw bodies and bodies read as they come."""

import json

import openai
import pytest
from given import said

HEADERS = [
    "x-request-id",
    "openai-processing-ms",
    "openai-version",
    "openai-organization",
    *(f"x-ratelimit-{what}-requests" for what in ("limit", "remaining", "reset")),
    *(f"x-ratelimit-{what}-tokens" for what in ("limit", "remaining", "reset")),
]


def test_headers_are_there(client):
    raw = client.chat.completions.with_raw_response.create(**said("Hello"))
    assert [name for name in HEADERS if not raw.headers.get(name)] == []
    assert raw.headers["x-request-id"].startswith("req_")
    remaining = int(raw.headers["x-ratelimit-remaining-requests"])
    assert remaining < int(raw.headers["x-ratelimit-limit-requests"])
    assert raw.parse().choices[0].message.content


def test_headers_come_with_a_stream(client):
    raw = client.chat.completions.with_raw_response.create(**said("Hello", stream=True))
    assert [name for name in HEADERS if not raw.headers.get(name)] == []
    assert raw.headers["content-type"].startswith("text/event-stream")
    assert list(raw.parse())[-1].choices[0].finish_reason == "stop"


def test_request_id_is_on_answers_and_errors(client):
    answer = client.chat.completions.create(**said("Hello"))
    assert answer._request_id.startswith("req_")
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**said("Hello", n=0))
    assert caught.value.request_id.startswith("req_")
    assert caught.value.request_id != answer._request_id


def test_body_can_be_read_as_it_comes(client):
    with client.chat.completions.with_streaming_response.create(**said("Hello")) as response:
        body = json.loads("".join(response.iter_text()))
    assert body["object"] == "chat.completion"


def test_stream_ends_with_done(client):
    create = client.chat.completions.with_streaming_response.create
    with create(**said("Hello", stream=True)) as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith("data: {") for line in lines[:-1])


def test_any_route_can_be_asked_with_the_clients_own_means(client):
    answer = client.get("/models/gpt-4o", cast_to=openai.types.Model)
    assert answer.id == "gpt-4o"


def test_extra_headers_and_query_do_no_harm(client):
    answer = client.chat.completions.create(
        **said("Hello"), extra_headers={"X-Team": "green"}, extra_query={"trace": "1"}
    )
    assert answer.choices
