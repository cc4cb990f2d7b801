"""However a batch ends, it keeps what was answered."""

import asyncio

from sqlalchemy import select, update

from batches import content, create, ended, request, retrieve, until
from freehold.data import limits
from freehold.jobs import store
from freehold.jobs.job import Failure
from freehold.resources.batches import service, tasks
from freehold.storage.tables import batches, jobs
from servers import scripted

FINISH = "batches.finish"
ONE_IS_QUICK = scripted({"when": "r0", "text": "quick"}, {"when": "r", "hang": True})


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


async def test_batch_whose_input_was_deleted_fails_truthfully_with_what_was_answered(start):
    api = await start(models=ONE_IS_QUICK)
    batch = await retrieve(api, await with_one_result(api))
    await api.client.delete(f"/v1/files/{batch['input_file_id']}")
    await api.server.stop()

    again = await start()
    again.client.client.headers["Authorization"] = f"Bearer {api.key}"
    batch = await until(again, batch["id"], "failed")
    assert batch["errors"]["data"][0]["code"] == "file_not_found"
    assert batch["request_counts"] == {"total": 2, "completed": 1, "failed": 0}
    assert [line["custom_id"] for line in await content(again, batch["output_file_id"])] == ["r0"]


async def give_up(api, batch_id, *kinds):
    """End the jobs of a batch, one after the other, as ones that took their workers down."""
    failure = Failure("job_x", batch_id, None, {}, "failed", "Its worker went down.")
    over = update(jobs).where(jobs.c.key == batch_id).values(state="failed")

    def unit(connection):
        for kind in kinds:
            connection.execute(over.where(jobs.c.kind == kind))
            {service.KIND: tasks.fail, FINISH: tasks.abandon}[kind](connection, failure)

    await api.server.api.services.database.write(unit)


async def with_one_result(api):
    """Return the id of a batch of two lines, one of which has its result."""
    batch = await create(api, request("r0"), request("r1"))
    while (await retrieve(api, batch["id"]))["request_counts"]["completed"] < 1:
        await asyncio.sleep(0.02)
    return batch["id"]


async def test_batch_whose_job_is_given_up_keeps_what_was_answered(start):
    api = await start(models=ONE_IS_QUICK)
    batch_id = await with_one_result(api)
    await give_up(api, batch_id, service.KIND)

    batch = await until(api, batch_id, "failed")
    assert batch["errors"]["data"][0]["message"] == "Its worker went down."
    (line,) = await content(api, batch["output_file_id"])
    assert line["custom_id"] == "r0"


async def test_results_that_could_not_be_written_are_there_once_that_is_retried(start):
    api = await start(models=ONE_IS_QUICK)
    batch_id = await with_one_result(api)
    await give_up(api, batch_id, service.KIND, FINISH)
    batch = await retrieve(api, batch_id)
    assert (batch["status"], batch["output_file_id"]) == ("failed", None)

    query = select(jobs.c.id).where(jobs.c.key == batch_id, jobs.c.kind == FINISH)
    database = api.server.api.services.database
    await database.write(lambda c: store.retry(c, c.scalars(query).one(), 1))
    async with asyncio.timeout(30):
        while not (batch := await retrieve(api, batch_id))["output_file_id"]:
            await asyncio.sleep(0.02)
    assert [line["custom_id"] for line in await content(api, batch["output_file_id"])] == ["r0"]
    assert batch["status"] == "failed"


async def test_batch_that_only_lacks_its_files_ends_as_it_was_going_to(start):
    api = await start(models=ONE_IS_QUICK)
    batch_id = await with_one_result(api)
    finalizing = {"status": "finalizing", "ends_as": "completed", "finalizing_at": 1}
    on = update(batches).where(batches.c.id == batch_id).values(**finalizing)
    await api.server.api.services.database.write(lambda c: c.execute(on).rowcount)

    await give_up(api, batch_id, service.KIND)

    batch = await until(api, batch_id, "completed")
    assert batch["errors"] is None
    assert len(await content(api, batch["output_file_id"])) == 1


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
