"""Every way in which a run can end, and what it says of it."""

import asyncio

import pytest
from sqlalchemy import update

from freehold.core import clock
from freehold.data import limits
from freehold.storage.tables import jobs
from runs import WEATHER

CALL = {"name": "weather", "arguments": '{"city": "Rome"}'}


async def test_answer_at_its_limit_is_incomplete(house):
    api = await house({"text": "one two three", "reason": "length"})

    run = await api.run(max_completion_tokens=256)

    assert (run["status"], run["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_completion_tokens"},
    )
    message = (await api.messages(run["thread_id"]))[-1]
    assert (message["status"], message["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_tokens"},
    )
    assert api.engine().requests[-1].sampling.max_tokens == 256


async def test_prompt_beyond_its_limit_is_incomplete(house):
    api = await house({"text": "unused"})

    run = await api.run("word " * 300, max_prompt_tokens=256)

    assert (run["status"], run["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_prompt_tokens"},
    )
    assert api.engine().requests == []


async def test_messages_in_the_middle_are_left_out_to_fit(house):
    api = await house({"text": "ok"})
    said = ["first " * 20, *(f"middle{number} " * 50 for number in range(8)), "last " * 20]

    run = await api.run(*said, max_prompt_tokens=256)

    assert run["status"] == "completed"
    shown = [m.content.split()[0] for m in api.engine().requests[-1].prompt.messages]
    assert shown[0] == "first"
    assert shown[-1] == "last"
    assert shown[1:-1] == [f"middle{number}" for number in range(8)][-len(shown[1:-1]) :]
    assert run["usage"]["prompt_tokens"] <= 256


async def test_last_messages_are_all_that_is_shown(house):
    api = await house({"text": "ok"})
    strategy = {"type": "last_messages", "last_messages": 2}

    run = await api.run("one", "two", "three", truncation_strategy=strategy)

    assert [m.content for m in api.engine().requests[-1].prompt.messages] == ["two", "three"]
    assert run["truncation_strategy"] == strategy


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        ({"status": 429, "message": "slow down"}, "rate_limit_exceeded"),
        ({"status": 500, "message": "broken"}, "server_error"),
        ({"status": 400, "message": "bad"}, "invalid_prompt"),
    ],
)
async def test_fault_of_the_engine_is_the_last_error(house, failure, code):
    api = await house({"text": "half an", "error": failure})

    run = await api.run()

    assert (run["status"], run["last_error"]) == (
        "failed",
        {"code": code, "message": failure["message"]},
    )
    message = (await api.messages(run["thread_id"]))[-1]
    assert (message["status"], message["incomplete_details"]) == (
        "incomplete",
        {"reason": "run_failed"},
    )
    assert await api.said(run["thread_id"]) == "half an"
    assert [step["status"] for step in await api.steps(run)] == ["failed"]


async def test_arguments_that_are_no_json_fail_the_run(house):
    api = await house({"tool_calls": [{"name": "weather", "arguments": '{"city": '}]})

    run = await api.run(tools=[WEATHER])

    assert (run["status"], run["last_error"]["code"]) == ("failed", "server_error")
    assert "not valid JSON" in run["last_error"]["message"]


async def test_tool_that_was_not_offered_fails_the_run(house):
    api = await house({"tool_calls": [{"name": "launch"}]})

    run = await api.run(tools=[WEATHER])

    assert (run["status"], run["last_error"]["code"]) == ("failed", "server_error")
    assert "'launch'" in run["last_error"]["message"]


async def test_filtered_answer_fails_the_run(house):
    api = await house({"text": "I can", "reason": "content_filter"})

    run = await api.run()

    message = (await api.messages(run["thread_id"]))[-1]
    assert run["status"] == "failed"
    assert message["incomplete_details"] == {"reason": "content_filter"}


async def test_calls_cut_off_make_the_run_incomplete(house):
    api = await house({"tool_calls": [CALL], "reason": "length"})

    run = await api.run(tools=[WEATHER])

    assert (run["status"], run["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_completion_tokens"},
    )
    assert run["required_action"] is None


async def test_working_run_is_cancelled_with_what_it_wrote(house):
    api = await house({"text": "so far", "hang": True})
    begun = await api.begun()
    async with asyncio.timeout(10):
        while len(await api.messages(begun["thread_id"])) < 2:
            await asyncio.sleep(0.01)

    cancelling = await api.cancel(begun)
    run = await api.settled(begun)

    assert cancelling["status"] == "cancelling"
    assert run["status"] == "cancelled"
    assert run["cancelled_at"] >= run["created_at"]
    message = (await api.messages(run["thread_id"]))[-1]
    assert message["incomplete_details"] == {"reason": "run_cancelled"}
    assert [step["status"] for step in await api.steps(run)] == ["cancelled"]
    assert api.engine().cancelled == 1


async def test_waiting_run_is_cancelled_at_once(house):
    api = await house({"tool_calls": [CALL]})
    waiting = await api.run(tools=[WEATHER])

    run = await api.cancel(waiting)

    assert run["status"] == "cancelled"
    assert run["required_action"] is None
    assert [step["status"] for step in await api.steps(run)] == ["cancelled"]


async def test_outputs_that_nobody_submits_expire_the_run(house):
    api = await house({"tool_calls": [CALL]})
    waiting = await api.run(tools=[WEATHER])
    assert waiting["expires_at"] == waiting["created_at"] + 600

    services = api.server.server.api.services

    due = update(jobs).where(jobs.c.kind == "runs.expire").values(run_at=clock.now())
    await services.database.write(lambda connection: connection.execute(due).rowcount)
    services.jobs.wake()
    run = await api.settled(waiting, "expired")

    assert run["expires_at"] is None
    assert [step["status"] for step in await api.steps(run)] == ["expired"]
    await api.post(f"/threads/{run['thread_id']}/messages", role="user", content="free again")


async def test_run_that_takes_too_long_expires(house, monkeypatch):
    monkeypatch.setitem(limits._figures()["runs"], "lifetime_s", 1)
    api = await house({"text": "too slow", "hang": True})

    run = await api.run()

    assert run["status"] == "expired"
    message = (await api.messages(run["thread_id"]))[-1]
    assert message["incomplete_details"] == {"reason": "run_expired"}
    assert await api.said(run["thread_id"]) == "too slow"


async def test_thread_has_one_active_run(house):
    api = await house({"tool_calls": [CALL]}, {"text": "done"}, {"text": "again"})
    waiting = await api.run(tools=[WEATHER])
    thread, assistant = waiting["thread_id"], waiting["assistant_id"]

    refused = await api.refused(f"/threads/{thread}/runs", assistant_id=assistant)
    message = await api.refused(f"/threads/{thread}/messages", role="user", content="More")

    assert refused["message"] == f"Thread {thread} already has an active run {waiting['id']}."
    assert message["message"] == (
        f"Can't add messages to {thread} while a run {waiting['id']} is active."
    )
    await api.settled(await api.submit(waiting, "sun"), "completed")
    second = await api.post(f"/threads/{thread}/runs", assistant_id=assistant)
    assert (await api.settled(second))["status"] == "completed"


async def test_ended_run_takes_no_outputs_and_is_not_cancelled(house):
    api = await house({"text": "done"})
    run = await api.run()
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"

    outputs = await api.refused(f"{path}/submit_tool_outputs", tool_outputs=[])
    cancelled = await api.refused(f"{path}/cancel")

    assert outputs["message"] == 'Runs in status "completed" do not accept tool outputs.'
    assert cancelled["message"] == "Cannot cancel run with status 'completed'."


async def test_outputs_must_be_those_that_are_waited_for(house):
    api = await house({"tool_calls": [CALL]})
    run = await api.run(tools=[WEATHER])
    path = f"/threads/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs"
    [call] = run["required_action"]["submit_tool_outputs"]["tool_calls"]

    outputs = [{"tool_call_id": "call_other", "output": "x"}]
    refused = await api.refused(path, tool_outputs=outputs)

    assert refused["message"] == (
        f"Expected tool outputs for call_ids ['{call['id']}'], got ['call_other']"
    )
    assert (await api.settled(run))["status"] == "requires_action"
