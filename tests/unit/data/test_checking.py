"""The checker fails where an exchange leaves the description, else it guards nothing."""

import json
from typing import Any

import httpx
import pytest

from amendments import AMENDMENTS
from checking import (
    JSON,
    CheckedClient,
    MismatchError,
    check_event,
    check_request,
    check_response,
    events_of,
    parse_events,
)
from freehold.data import document

CHAT = document.operation("createChatCompletion")
MODEL = document.operation("retrieveModel")
ERROR = {"error": {"message": "no", "type": "server_error", "param": None, "code": None}}


def request(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], **fields}


def message(**fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "Hi", "refusal": None, **fields}


def choice(**fields: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": "stop", "logprobs": None, "message": message()} | fields


def completion(**fields: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "choices": [choice()],
        **fields,
    }


def chunk(**fields: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}],
        **fields,
    }


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


def usage(**details: int) -> dict[str, Any]:
    return {
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "total_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 0, **details},
    }


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"x": 1}, "strict": None}}


@pytest.mark.parametrize(
    "body",
    [
        request(),
        request(temperature=1, stop="a", tools=[TOOL], tool_choice="required"),
        request(user=None, temperature=None),
        request(service_tier="flex", prompt_cache_key="k", safety_identifier="s"),
        request(stream=True, stream_options={"include_usage": True, "include_obfuscation": False}),
        request(response_format={"type": "json_schema", "json_schema": {"name": "a"}}),
        request(messages=[{"role": "assistant", "content": None}]),
    ],
)
def test_documented_request_passes(body):
    check_request(CHAT, body)


@pytest.mark.parametrize(
    "body",
    [
        without(request(), "model"),
        request(messages=[]),
        request(foo=1),
        request(temperature="1"),
        request(temperature=3),
        request(n=True),
        request(service_tier="gold"),
        request(messages=[{"role": "robot", "content": "Hi"}]),
        request(messages=[{"role": "user", "content": "Hi", "foo": 1}]),
        request(messages=[{"role": "user"}]),
        request(stream_options={"include_usage": None}),
        [],
    ],
)
def test_undocumented_request_fails(body):
    with pytest.raises(MismatchError):
        check_request(CHAT, body)


@pytest.mark.parametrize(
    "body",
    [
        completion(),
        completion(usage=usage(audio_tokens=0), service_tier=None, system_fingerprint="fp"),
        completion(choices=[choice(message=message(content=None))]),
    ],
)
def test_documented_answer_passes(body):
    check_response(CHAT, 200, JSON, body)


@pytest.mark.parametrize(
    "body",
    [
        without(completion(), "created"),
        completion(extra=1),
        completion(object="chat.completion.chunk"),
        completion(created="now"),
        completion(system_fingerprint=None),
        completion(choices=[choice(finish_reason=None)]),
        completion(choices=[choice(message=message(reasoning="hm"))]),
        completion(choices=[without(choice(), "logprobs")]),
        completion(usage=usage(image_tokens=1)),
    ],
)
def test_undocumented_answer_fails(body):
    with pytest.raises(MismatchError):
        check_response(CHAT, 200, JSON, body)


def test_closed_composition_refuses_more_than_its_parts_define():
    operation = document.operation("getChatCompletionMessages")
    item = message(id="chatcmpl-1-0", content_parts=None)
    page = {"object": "list", "data": [item], "first_id": "a", "last_id": "a", "has_more": False}
    check_response(operation, 200, JSON, page)
    with pytest.raises(MismatchError):
        check_response(operation, 200, JSON, page | {"data": [item | {"extra": 1}]})


@pytest.mark.parametrize("status", [201, 302])
def test_undocumented_status_fails(status):
    with pytest.raises(MismatchError, match="not documented"):
        check_response(CHAT, status, JSON, completion())


def test_undocumented_content_type_fails():
    with pytest.raises(MismatchError, match="content type"):
        check_response(CHAT, 200, "text/plain", completion())


def test_error_in_its_shape_passes_with_any_status():
    for status in (400, 404, 429, 500, 501):
        check_response(CHAT, status, JSON, ERROR)


@pytest.mark.parametrize(
    "body",
    [
        {"detail": "Not Found"},
        {"error": "no"},
        {"error": without(ERROR["error"], "code")},
        {"error": ERROR["error"] | {"code": 404}},
        {"error": ERROR["error"] | {"trace": "..."}},
        ERROR | {"status": 404},
    ],
)
def test_error_in_another_shape_fails(body):
    with pytest.raises(MismatchError):
        check_response(CHAT, 404, JSON, body)


@pytest.mark.parametrize(
    "event", [chunk(), chunk(choices=[], usage=usage()), chunk(usage=None), ERROR]
)
def test_documented_event_passes(event):
    check_event(CHAT, event)


@pytest.mark.parametrize(
    "event",
    [
        chunk(object="chat.completion"),
        chunk(choices=[{"index": 0, "delta": {"content": "Hi"}}]),
        chunk(choices=[{"index": 0, "delta": {"text": "Hi"}, "finish_reason": None}]),
        chunk(usage={"prompt_tokens": 1}),
        {"error": "no"},
    ],
)
def test_undocumented_event_fails(event):
    with pytest.raises(MismatchError):
        check_event(CHAT, event)


def test_stream_of_an_operation_without_one_fails():
    with pytest.raises(MismatchError, match="no stream"):
        check_event(MODEL, chunk())


def test_comments_are_not_events():
    assert parse_events(': ping\n\ndata: {"a"\n\n:\n\ndata: [DONE]\n\n') == ['{"a"', "[DONE]"]


def test_a_line_that_is_no_field_fails():
    with pytest.raises(MismatchError):
        parse_events("{}\n\n")


def test_every_amendment_points_into_the_document():
    for amendment in AMENDMENTS:
        node = document.schema(amendment.schema)
        for step in amendment.path:
            node = node[step]
        assert node != node | dict(amendment.keywords), amendment.reason


def test_an_amendment_is_what_counts():
    operation = document.operation("listBatches")
    page = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    check_response(operation, 200, JSON, page)
    with pytest.raises(MismatchError):
        check_response(operation, 200, JSON, page | {"has_more": None})


def answering(body: Any, status: int = 200, content_type: str = JSON) -> CheckedClient:
    text = body if isinstance(body, str) else json.dumps(body)
    headers = {"content-type": content_type}
    transport = httpx.MockTransport(
        lambda _: httpx.Response(status, content=text.encode(), headers=headers)
    )
    return CheckedClient(httpx.AsyncClient(transport=transport, base_url="http://test"))


def streamed(*events: Any) -> str:
    data = (event if isinstance(event, str) else json.dumps(event) for event in events)
    return ": ping\n\n" + "".join(f"data: {item}\n\n" for item in data)


def streaming(*events: Any) -> CheckedClient:
    return answering(streamed(*events), content_type="text/event-stream; charset=utf-8")


async def test_client_returns_an_exchange_that_fits():
    async with answering(completion()) as client:
        response = await client.post("/v1/chat/completions", json=request())
    assert response.json()["id"] == "chatcmpl-1"


async def test_client_fails_on_an_answer_that_does_not_fit():
    async with answering(completion(extra=1)) as client:
        with pytest.raises(MismatchError, match="extra"):
            await client.post("/v1/chat/completions", json=request())


async def test_client_fails_on_a_request_that_does_not_fit():
    async with answering(completion()) as client:
        with pytest.raises(MismatchError, match="request of"):
            await client.post("/v1/chat/completions", json=request(foo=1))


async def test_invalid_request_must_be_refused():
    async with answering(completion()) as client:
        with pytest.raises(MismatchError, match="invalid request got 200"):
            await client.post("/v1/chat/completions", json=request(foo=1), sends_invalid=True)


async def test_invalid_request_that_is_refused_passes():
    async with answering(ERROR, 400) as client:
        response = await client.post(
            "/v1/chat/completions", json=request(foo=1), sends_invalid=True
        )
    assert response.status_code == 400


async def test_undocumented_path_may_only_fail():
    async with answering({}) as client:
        with pytest.raises(MismatchError, match="not documented"):
            await client.get("/v1/engines")
    async with answering(ERROR, 404) as client:
        assert (await client.get("/v1/engines")).status_code == 404


async def test_paths_outside_the_api_are_not_checked():
    async with answering({"status": "ok"}) as client:
        assert (await client.get("/health")).json() == {"status": "ok"}


async def test_client_checks_streams_read_whole():
    async with streaming(chunk(), "[DONE]") as client:
        response = await client.post("/v1/chat/completions", json=request(stream=True))
    assert events_of(response) == [chunk()]


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ((chunk(),), "without"),
        (("[DONE]", chunk()), "after"),
        ((chunk(model=None), "[DONE]"), "model"),
    ],
)
async def test_client_fails_on_a_stream_that_does_not_fit(events, told):
    async with streaming(*events) as client:
        with pytest.raises(MismatchError, match=told):
            await client.post("/v1/chat/completions", json=request(stream=True))


async def test_a_stream_may_end_with_an_error():
    async with streaming(chunk(), ERROR) as client:
        response = await client.post("/v1/chat/completions", json=request(stream=True))
    assert events_of(response)[-1] == ERROR


async def test_open_stream_yields_each_checked_event():
    async with (
        streaming(chunk(), "[DONE]") as client,
        client.stream("POST", "/v1/chat/completions", json=request(stream=True)) as stream,
    ):
        assert [event async for event in stream] == [chunk()]
        assert stream.comments == 1


async def test_open_stream_fails_on_an_event_that_does_not_fit():
    async with (
        streaming(chunk(), chunk(model=None)) as client,
        client.stream("POST", "/v1/chat/completions", json=request(stream=True)) as stream,
    ):
        with pytest.raises(MismatchError, match="model"):
            assert [event async for event in stream]


async def test_opening_a_stream_fails_where_there_is_none():
    async with answering(ERROR, 400) as client:
        with pytest.raises(MismatchError, match="no stream: 400"):
            async with client.stream("POST", "/v1/chat/completions", json=request()):
                raise AssertionError("a refusal is no stream")
