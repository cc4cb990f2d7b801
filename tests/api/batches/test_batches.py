"""What becomes of the lines of a batch, and beside which others they run."""

import asyncio

from sqlalchemy import select

from batches import content, create, ended, request, retrieve, until
from freehold.core import clock
from freehold.storage.tables import usage_events
from servers import scripted


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


async def test_output_and_error_files_expire_as_asked_for(start):
    api = await start(models=scripted({"when": "bad", "error": {"status": 500}}, {"text": "fine"}))
    expiry = {"anchor": "created_at", "seconds": 7200}
    batch = await ended(api, request("good"), request("bad"), output_expires_after=expiry)

    for field in ("output_file_id", "error_file_id"):
        file = (await api.client.get(f"/v1/files/{batch[field]}")).json()
        assert file["expires_at"] == file["created_at"] + 7200
    given = (await api.client.get(f"/v1/files/{batch['input_file_id']}")).json()
    assert "expires_at" not in given


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


async def test_moderations_run_in_batches(start):
    words = {"backend": "api.moderations.words:WordsEngine", "kind": "moderation"}
    api = await start(models={**scripted(), "omni-moderation-2024-09-26": words})
    url = "/v1/moderations"
    texts = {"a": "violence=0.9", "b": ["fine", "hate=0.7"]}
    lines = [{**request(each, url=url), "body": {"input": text}} for each, text in texts.items()]
    batch = await ended(api, *lines, endpoint=url)

    assert batch["status"] == "completed", batch["errors"]
    answered = await content(api, batch["output_file_id"])
    flagged = {
        line["custom_id"]: [each["flagged"] for each in line["response"]["body"]["results"]]
        for line in answered
    }
    assert flagged == {"a": [True], "b": [False, True]}


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
