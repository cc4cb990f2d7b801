"""Batches: what is accepted, what becomes of it, and how it ends."""

import asyncio
import json

import pytest
from sqlalchemy import select, update

from freehold.core import clock
from freehold.data import limits
from freehold.jobs.job import Failure
from freehold.resources.batches import lines, tasks
from freehold.storage.tables import jobs, projects, usage_events
from servers import scripted

URL = "/v1/chat/completions"
ONE_IS_QUICK = scripted({"when": "r0", "text": "quick"}, {"when": "r", "hang": True})


def request(custom_id, url=URL, **body):
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": custom_id}], **body}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


async def upload(api, *lines, purpose="batch"):
    data = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    files = {"file": ("input.jsonl", data.encode())}
    answer = await api.client.post("/v1/files", files=files, data={"purpose": purpose})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def create(api, *lines, endpoint=URL, **fields):
    file_id = await upload(api, *lines)
    body = {"input_file_id": file_id, "endpoint": endpoint, "completion_window": "24h", **fields}
    answer = await api.client.post("/v1/batches", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def retrieve(api, batch_id):
    answer = await api.client.get(f"/v1/batches/{batch_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until(api, batch_id, *statuses):
    async with asyncio.timeout(30):
        while (batch := await retrieve(api, batch_id))["status"] not in statuses:
            await asyncio.sleep(0.02)
    return batch


async def ended(api, *lines, **fields):
    batch = await create(api, *lines, **fields)
    return await until(api, batch["id"], "completed", "failed", "expired", "cancelled")


async def content(api, file_id):
    answer = await api.client.client.get(f"/v1/files/{file_id}/content")
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_batch_answers_every_line_once(api):
    batch = await ended(api, *(request(f"r{n}") for n in range(20)), metadata={"a": "b"})

    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": 20, "completed": 20, "failed": 0}
    assert batch["metadata"] == {"a": "b"}
    assert batch["error_file_id"] is None
    assert batch["errors"] is None
    assert batch["expires_at"] - batch["created_at"] == 24 * 60 * 60
    for time in ("in_progress_at", "finalizing_at", "completed_at"):
        assert batch["created_at"] <= batch[time] <= clock.now()
    answered = await content(api, batch["output_file_id"])
    assert sorted(line["custom_id"] for line in answered) == sorted(f"r{n}" for n in range(20))
    assert len({line["id"] for line in answered}) == 20
    for line in answered:
        assert line["id"].startswith("batch_req_")
        assert line["error"] is None
        assert line["response"]["status_code"] == 200
        assert line["response"]["request_id"].startswith("req_")
        assert line["response"]["body"]["choices"][0]["message"]["content"] == line["custom_id"]


async def test_output_is_a_file_like_any_other(api):
    batch = await ended(api, request("one"))

    answer = await api.client.get(f"/v1/files/{batch['output_file_id']}")
    assert answer.json()["purpose"] == "batch_output"
    assert answer.json()["filename"] == f"{batch['id']}_output.jsonl"


async def test_lines_that_fail_go_to_the_error_file(start):
    api = await start(models=scripted({"error": {"status": 500}}))
    batch = await ended(api, request("bad"))

    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": 1, "completed": 0, "failed": 1}
    assert batch["output_file_id"] is None
    (line,) = await content(api, batch["error_file_id"])
    assert line["custom_id"] == "bad"
    assert line["response"]["status_code"] == 500
    assert "error" in line["response"]["body"]


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


async def test_cancelled_batch_keeps_partial_results(start):
    api = await start(models=ONE_IS_QUICK)
    batch = await create(api, *(request(f"r{n}") for n in range(3)))
    while (await retrieve(api, batch["id"]))["request_counts"]["completed"] < 1:
        await asyncio.sleep(0.02)

    answer = await api.client.post(f"/v1/batches/{batch['id']}/cancel")
    assert answer.json()["status"] == "cancelling"
    async with asyncio.timeout(5):
        batch = await until(api, batch["id"], "cancelled")

    assert batch["cancelling_at"] <= batch["cancelled_at"]
    assert batch["request_counts"] == {"total": 3, "completed": 1, "failed": 0}
    assert len(await content(api, batch["output_file_id"])) == 1
    again = await api.client.post(f"/v1/batches/{batch['id']}/cancel", sends_invalid=True)
    assert again.status_code == 409


async def test_batch_beyond_its_window_keeps_what_was_answered(start, monkeypatch):
    monkeypatch.setattr("freehold.data.limits.figure", _figure_with_window(2))
    api = await start(models=ONE_IS_QUICK)

    batch = await ended(api, *(request(f"r{n}") for n in range(3)))

    assert batch["status"] == "expired"
    assert batch["expired_at"] >= batch["expires_at"]
    assert batch["request_counts"] == {"total": 3, "completed": 1, "failed": 2}
    assert len(await content(api, batch["output_file_id"])) == 1
    late = await content(api, batch["error_file_id"])
    assert {line["error"]["code"] for line in late} == {"batch_expired"}
    assert all(line["response"] is None for line in late)


def _figure_with_window(seconds):
    figure = limits.figure
    return lambda group, name: seconds if name == "completion_window_s" else figure(group, name)


async def test_restarted_server_resumes_and_runs_no_line_twice(start):
    slow = ONE_IS_QUICK
    api = await start(models=slow)
    batch = await create(api, *(request(f"r{n}") for n in range(5)))
    while (await retrieve(api, batch["id"]))["request_counts"]["completed"] < 1:
        await asyncio.sleep(0.02)
    await api.server.stop()

    again = await start(default_model="scripted", models=scripted())
    again.client.client.headers["Authorization"] = f"Bearer {api.key}"
    batch = await until(again, batch["id"], "completed")

    assert batch["request_counts"] == {"total": 5, "completed": 5, "failed": 0}
    answered = await content(again, batch["output_file_id"])
    assert sorted(line["custom_id"] for line in answered) == [f"r{n}" for n in range(5)]


async def test_batches_are_listed_newest_first_in_pages(start):
    api = await start()
    ids = [(await create(api, request("x")))["id"] for _ in range(3)]

    answer = (await api.client.get("/v1/batches?limit=2")).json()
    assert [one["id"] for one in answer["data"]] == [ids[2], ids[1]]
    assert answer["has_more"]
    answer = (await api.client.get(f"/v1/batches?after={ids[1]}")).json()
    assert [one["id"] for one in answer["data"]] == [ids[0]]
    assert not answer["has_more"]
    for path in ("/v1/batches/batch_none", "/v1/batches?after=batch_none"):
        assert (await api.client.get(path)).status_code == 404


async def test_legacy_completions_run_in_batches(shared):
    line = {**request("x", url="/v1/completions"), "body": {"model": "gpt-3.5-turbo-instruct"}}
    line["body"]["prompt"] = "Say it"
    batch = await ended(shared, line, endpoint="/v1/completions")

    assert batch["status"] == "completed", batch["errors"]
    assert batch["request_counts"]["completed"] == 1


async def test_live_requests_go_before_the_lines_of_a_batch(start):
    api = await start(models=scripted({"when": "r", "text": "a b c d", "delay": 0.25}, slots=1))
    batch = await create(api, *(request(f"r{n}") for n in range(4)))
    while (await retrieve(api, batch["id"]))["status"] != "in_progress":
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)

    started = asyncio.get_running_loop().time()
    await api.chat()
    took = asyncio.get_running_loop().time() - started

    assert took < 0.7
    assert (await until(api, batch["id"], "completed"))["request_counts"]["completed"] == 4


async def test_metrics_tell_of_jobs_and_usage_counts_as_that_of_a_batch(start):
    api = await start()
    await ended(api, request("one"), request("two"))
    await asyncio.sleep(0.1)

    told = (await api.client.get("/metrics")).text
    assert 'freehold_jobs_ended_total{kind="batches.run",state="done"} 1.0' in told
    query = select(usage_events.c.batch, usage_events.c.endpoint, usage_events.c.input_tokens)
    database = api.server.api.services.database
    rows = await database.read(lambda c: c.execute(query).all())
    assert [(row.batch, row.endpoint) for row in rows] == [(True, "createChatCompletion")] * 2
    assert all(row.input_tokens for row in rows)


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


async def test_batch_whose_input_was_deleted_fails_truthfully(start):
    api = await start(models=scripted({"when": "r", "hang": True}))
    batch = await create(api, request("r1"))
    await until(api, batch["id"], "in_progress")
    await api.client.delete(f"/v1/files/{batch['input_file_id']}")
    await api.server.stop()

    again = await start()
    again.client.client.headers["Authorization"] = f"Bearer {api.key}"
    batch = await until(again, batch["id"], "failed")
    assert batch["errors"]["data"][0]["code"] == "file_not_found"


async def test_batch_whose_job_is_given_up_keeps_what_was_answered(start):
    api = await start(models=ONE_IS_QUICK)
    batch = await create(api, request("r0"), request("r1"))
    while (await retrieve(api, batch["id"]))["request_counts"]["completed"] < 1:
        await asyncio.sleep(0.02)
    database = api.server.api.services.database

    reason = Failure("job_x", batch["id"], None, {}, "failed", "It took its worker down.")
    await database.write(lambda c: tasks.fail(c, reason))

    batch = await until(api, batch["id"], "failed")
    assert batch["errors"]["data"][0]["message"] == "It took its worker down."
    (line,) = await content(api, batch["output_file_id"])
    assert line["custom_id"] == "r0"


async def test_line_that_is_told_to_come_back_later_does(start):
    busy = {"error": {"status": 429, "retry_after": 0.05}}
    full = {"error": {"status": 503, "retry_after": 0.05}}
    api = await start(models=scripted(busy, full, {"text": "at last"}, slots=1))
    batch = await ended(api, request("patient"))

    assert batch["request_counts"] == {"total": 1, "completed": 1, "failed": 0}
    (line,) = await content(api, batch["output_file_id"])
    assert line["response"]["body"]["choices"][0]["message"]["content"] == "at last"


async def test_batch_runs_as_many_lines_at_once_as_the_engine_has_slots(start):
    api = await start(models=scripted({"when": "r", "hang": True}, slots=3))
    batch = await create(api, *(request(f"r{n}") for n in range(9)))
    engine = api.server.registry.find("gpt-4o").holder
    async with asyncio.timeout(10):
        while engine.busy < 3:
            await asyncio.sleep(0.01)

    await asyncio.sleep(0.1)
    assert engine.busy == 3
    assert engine.queued == 0
    await api.client.post(f"/v1/batches/{batch['id']}/cancel")
    await until(api, batch["id"], "cancelled")


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_lines_are_numbered_whatever_the_chunks(size):
    data = b"a\n\n  \nbb\r\nccc"

    async def chunks():
        for begin in range(0, len(data), size):
            yield data[begin : begin + size]

    assert [each async for each in lines.numbered(chunks())] == [(1, b"a"), (4, b"bb"), (5, b"ccc")]


async def test_model_that_can_not_be_loaded_is_the_reason_of_the_jobs_next_try(start):
    api = await start(models=scripted({"nonsense": 1}))
    batch = await create(api, request("r1"))
    database = api.server.api.services.database
    query = select(jobs.c.error).where(jobs.c.key == batch["id"])
    async with asyncio.timeout(10):
        while not (error := await database.read(lambda c: c.scalar(query))):
            await asyncio.sleep(0.02)

    assert error.startswith("The script of scripted is wrong")
    assert (await retrieve(api, batch["id"]))["status"] == "in_progress"


async def test_long_batch_makes_room_for_another(start, monkeypatch):
    monkeypatch.setattr("freehold.resources.batches.execution._SLICE_S", 0.1)
    slow = scripted({"when": "r", "text": "a b c d e f", "delay": 0.05}, slots=1)
    api = await start(models=slow, jobs={"at_once": 2})
    long = await create(api, *(request(f"r{n}") for n in range(30)))
    await until(api, long["id"], "in_progress")

    short = await ended(api, request("r"))

    assert short["status"] == "completed"
    assert (await retrieve(api, long["id"]))["status"] == "in_progress"
    await api.client.post(f"/v1/batches/{long['id']}/cancel")
    await until(api, long["id"], "cancelled")
