"""What holds for every answer: headers, errors in one shape, keys, unbuilt operations."""

import re

import httpx
import pytest

from checking import check_error
from freehold.data import document

SIX = [
    f"x-ratelimit-{kind}-{of}"
    for kind in ("limit", "remaining", "reset")
    for of in ("requests", "tokens")
]
OPERATIONS = [pytest.param(o, id=o.id) for o in document.operations()]


def concrete(operation):
    return "/v1" + re.sub(r"\{\w+\}", "x", operation.path)


async def send(api, method, path, key=None, **options):
    transport = httpx.ASGITransport(app=api.server.asgi)
    headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {key}"} if key else {})
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        return await client.request(method, path, headers=headers, **options)


def error(answer, status):
    assert answer.status_code == status, answer.text
    check_error(str(answer.request.url), answer.json())
    return answer.json()["error"]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_no_operation_answers_without_the_right_key(shared, operation):
    path = concrete(operation)
    for key in (None, "sk-wrong-key-0123456789", "x"):
        refused = error(await send(shared, operation.method, path, key), 401)
        assert refused["type"] == "invalid_request_error"
        assert refused["code"] == (None if key is None else "invalid_api_key")
        assert key is None or "0123456789" not in refused["message"]
    wrong_kind = shared.key if path.startswith("/v1/organization") else shared.admin_key
    error(await send(shared, operation.method, path, wrong_kind), 403)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_operation_is_bound_or_says_that_it_is_not_built(shared, operation):
    route = next(r for r in shared.server.api.router.routes if r.operation_id == operation.id)
    key = shared.admin_key if route.path.startswith("/v1/organization") else shared.key
    answer = await send(shared, operation.method, concrete(operation), key, json={})
    if route.bound:
        assert answer.status_code != 501
        return
    refused = error(answer, 501)
    assert operation.id in refused["message"]
    assert answer.headers["x-should-retry"] == "false"


async def test_only_health_and_metrics_are_public(shared):
    for path in ("/health", "/ready", "/metrics"):
        assert (await send(shared, "GET", path)).status_code == 200
    answer = await send(shared, "POST", "/health")
    error(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"


async def test_every_answer_carries_the_standing_headers(shared):
    answers = [
        await send(shared, "GET", "/v1/models", shared.key),
        await send(shared, "GET", "/v1/models/none", shared.key),
        await send(shared, "POST", "/v1/batches", shared.key, json={}),
        await send(shared, "POST", "/v1/chat/completions", shared.key, content=b"{"),
    ]
    for answer in answers:
        assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])
        assert answer.headers["openai-version"] == "2020-10-01"
        assert int(answer.headers["openai-processing-ms"]) >= 0
        assert answer.headers["openai-organization"].startswith("org-")
        assert all(name in answer.headers for name in SIX)
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)


async def test_unknown_routes_and_methods_get_errors_in_openais_shape(shared):
    assert (
        "Invalid URL" in error(await send(shared, "GET", "/v1/nothing", shared.key), 404)["message"]
    )
    error(await send(shared, "GET", "/", shared.key), 404)
    answer = await send(shared, "PUT", "/v1/files/file-x", shared.key)
    assert "PUT" in error(answer, 405)["message"]
    assert sorted(answer.headers["allow"].split(", ")) == ["DELETE", "GET"]


async def test_bodies_that_are_no_json_get_errors_in_openais_shape(shared):
    path = "/v1/chat/completions"
    for broken in (b"", b"{", b"\xff\xfe", b'{"model": NaN}', b"[" * 100_000):
        assert (
            "parse"
            in error(await send(shared, "POST", path, shared.key, content=broken), 400)["message"]
        )
    for valid in (b"[]", b"null", b'"text"', b"1"):
        error(await send(shared, "POST", path, shared.key, content=valid), 400)
    headers = {"Content-Type": "text/plain"}
    error(await send(shared, "POST", path, shared.key, content=b"{}", headers=headers), 415)


async def test_a_body_beyond_the_cap_is_413(shared, monkeypatch):
    monkeypatch.setattr(shared.server.api, "body_cap", 100)
    path = "/v1/chat/completions"
    error(await send(shared, "POST", path, shared.key, content=b" " * 101), 413)

    async def chunks():
        for _ in range(11):
            yield b" " * 10

    headers = {"Content-Type": "application/json"}
    refused = await send(shared, "POST", path, shared.key, content=chunks(), headers=headers)
    assert error(refused, 413)["code"] == "request_too_large"


async def test_headers_that_name_somebody_else_are_refused(shared):
    models = "/v1/models"
    for header, code in (
        ("OpenAI-Organization", "mismatched_organization"),
        ("OpenAI-Project", "mismatched_project"),
    ):
        refused = await send(shared, "GET", models, shared.key, headers={header: "other"})
        assert error(refused, 401)["code"] == code
    mine = (await send(shared, "GET", models, shared.key)).headers["openai-organization"]
    headers = {"OpenAI-Organization": mine}
    assert (await send(shared, "GET", models, shared.key, headers=headers)).status_code == 200


async def test_an_unknown_exception_is_a_500_without_detail(shared, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("the secret prompt")

    monkeypatch.setattr(shared.server.registry, "models", fail)
    refused = error(await send(shared, "GET", "/v1/models", shared.key), 500)
    assert "secret" not in refused["message"]
    assert "secret" not in caplog.text
    assert "RuntimeError" in caplog.text
    assert "req_" in refused["message"]


async def test_cors_is_off_until_an_origin_is_set(start, shared):
    headers = {"Origin": "https://app.example"}
    closed = await send(shared, "GET", "/v1/models", shared.key, headers=headers)
    assert "access-control-allow-origin" not in closed.headers
    server = await start(cors_origins=["https://app.example"])
    opened = await send(server, "GET", "/v1/models", server.key, headers=headers)
    assert opened.headers["access-control-allow-origin"] == "https://app.example"


async def test_metrics_count_requests_and_show_engines(api):
    await api.chat()
    text = (await send(api, "GET", "/metrics")).text
    assert 'freehold_requests_total{operation="createChatCompletion",status="200"} 1.0' in text
    assert "freehold_engine_slots" in text
    assert "freehold_tokens_total" in text
