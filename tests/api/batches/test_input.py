"""What a batch accepts, and what is told of the rest."""

import pytest
from sqlalchemy import insert, literal, select, update

from batches import URL, create, ended, request, until, upload
from freehold.data import limits
from freehold.resources.batches import lines
from freehold.storage.tables import project_rate_limits, projects
from servers import scripted


@pytest.mark.parametrize(
    ("line", "code", "param"),
    [
        ("{nonsense", "invalid_json_line", None),
        ("[1]", "invalid_json_line", None),
        ({**request("x"), "custom_id": None}, "missing_required_parameter", "custom_id"),
        ({**request("x"), "body": None}, "missing_required_parameter", "body"),
        ({**request("x"), "custom_id": 7}, "invalid_type", "custom_id"),
        ({**request("x"), "method": "GET"}, "invalid_method", "method"),
        (request("first"), "duplicate_custom_id", "custom_id"),
        (request("x", url="/v1/embeddings"), "invalid_url", "url"),
        (request("x", stream=True), "streaming_unsupported", "body.stream"),
        (request("x", temperature=9), "decimal_above_max_value", "body.temperature"),
        (request("x", messages=None), "missing_required_parameter", "body.messages"),
        (request("x", model="gpt-4o-mini"), "mismatched_model", "body.model"),
    ],
)
async def test_wrong_input_fails_the_batch_and_names_the_line(shared, line, code, param):
    batch = await ended(shared, request("first"), "", line)

    assert batch["status"] == "failed"
    assert batch["failed_at"] >= batch["created_at"]
    assert batch["output_file_id"] is None
    (fault,) = batch["errors"]["data"]
    assert fault["line"] == 3
    assert fault["message"]
    if code != "missing_required_parameter" or param != "body.messages":
        assert fault["code"] == code
    assert fault["param"] == param


async def test_unknown_model_and_empty_file_fail_the_batch(shared):
    batch = await ended(shared, request("x", model="no-such-model"))
    assert batch["errors"]["data"][0]["code"] == "model_not_found"

    batch = await ended(shared, "", "  ")
    assert batch["errors"]["data"][0]["code"] == "empty_file"
    assert batch["errors"]["data"][0]["line"] is None


async def test_line_larger_than_a_live_request_is_refused(shared, monkeypatch):
    monkeypatch.setattr(limits, "json_body_bytes", lambda: 2**20)
    fits, exceeds = ("hi " * (thousands * 1000) for thousands in (300, 400))
    long = {"messages": [{"role": "user", "content": exceeds}]}
    batch = await ended(shared, request("x"), request("y", **long), request("z", user=fits))

    (fault,) = batch["errors"]["data"]
    assert (fault["code"], fault["line"]) == ("request_too_large", 2)


async def test_create_refuses_what_can_never_run(shared):
    body = {"endpoint": URL, "completion_window": "24h"}

    async def refused(**fields):
        answer = await shared.client.post(
            "/v1/batches", json={**body, **fields}, sends_invalid=True
        )
        return answer.status_code, answer.json()["error"]["param"]

    assert await refused(input_file_id="file-nothere") == (404, "input_file_id")
    assert await refused(input_file_id=7) == (400, "input_file_id")
    other = await upload(shared, request("x"), purpose="assistants")
    assert await refused(input_file_id=other) == (400, "input_file_id")
    good = await upload(shared, request("x"))
    assert await refused(input_file_id=good, endpoint="/v1/files") == (400, "endpoint")
    assert await refused(input_file_id=good, completion_window="1h") == (400, "completion_window")


@pytest.mark.parametrize(
    ("expiry", "param"),
    [
        ({"anchor": "created_at", "seconds": 3599}, "output_expires_after.seconds"),
        ({"anchor": "created_at", "seconds": 2_592_001}, "output_expires_after.seconds"),
        ({"anchor": "last_active_at", "seconds": 3600}, "output_expires_after.anchor"),
        ({"anchor": "created_at"}, "output_expires_after.seconds"),
    ],
)
async def test_wrong_expiry_of_the_output_is_refused(shared, expiry, param):
    body = {"endpoint": URL, "completion_window": "24h", "output_expires_after": expiry}
    body["input_file_id"] = await upload(shared, request("x"))
    answer = await shared.client.post("/v1/batches", json=body, sends_invalid=True)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_tokens_beyond_what_the_project_may_enqueue_fail_the_batch(start):
    api = await start(models=scripted({"when": "r", "hang": True}))
    database = api.server.api.services.database
    limit = {"id": "rl-x", "model": "gpt-4o-2024-08-06", "batch_1_day_max_input_tokens": 10}
    query = insert(project_rate_limits).from_select(
        ["project_id", *limit], select(projects.c.id, *map(literal, limit.values()))
    )
    await database.write(lambda c: c.execute(query).rowcount)
    first = await create(api, request("r" * 32))
    await until(api, first["id"], "in_progress")

    refused = await ended(api, request("r" * 12))
    assert refused["status"] == "failed"
    (fault,) = refused["errors"]["data"]
    assert (fault["code"], fault["line"], fault["param"]) == ("token_limit_exceeded", None, None)
    assert "Limit: 10 enqueued tokens" in fault["message"]

    await api.client.post(f"/v1/batches/{first['id']}/cancel")
    await until(api, first["id"], "cancelled")
    again = await create(api, request("r" * 12))
    await until(api, again["id"], "in_progress")
    await api.client.post(f"/v1/batches/{again['id']}/cancel")


async def test_project_without_retention_is_refused_batches(start):
    api = await start()
    file_id = await upload(api, request("one"))
    database = api.server.api.services.database
    on = update(projects).values(zero_data_retention=True)
    await database.write(lambda c: c.execute(on).rowcount)
    api.server.api.keys._known.clear()

    body = {"input_file_id": file_id, "endpoint": URL, "completion_window": "24h"}
    answer = await api.client.post("/v1/batches", json=body)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "zero_data_retention"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_lines_are_numbered_whatever_the_chunks(size):
    data = b"a\n\n  \nbb\r\nccc"

    async def chunks():
        for begin in range(0, len(data), size):
            yield data[begin : begin + size]

    assert [each async for each in lines.numbered(chunks())] == [(1, b"a"), (4, b"bb"), (5, b"ccc")]
