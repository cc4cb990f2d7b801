"""Runs: how they are created, what they answer, and how they end."""

from runs import DATE, WEATHER


async def test_plain_run_is_completed(house):
    api = await house({"text": "Hi there"})

    created = await api.begun("Hello")
    run = await api.settled(created)

    assert created["status"] == "queued"
    assert created["usage"] is None
    assert run["status"] == "completed"
    assert run["usage"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert await api.said(run["thread_id"]) == "Hi there"
    [step] = await api.steps(run)
    assert (step["type"], step["status"]) == ("message_creation", "completed")
    assert step["usage"] == run["usage"]


async def test_stream_tells_each_state_in_order(house):
    api = await house({"text": "Hi there"})

    events = await api.stream_run("Hello")

    assert [event["event"] for event in events] == [
        "thread.run.created",
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.message.created",
        "thread.message.in_progress",
        "thread.message.delta",
        "thread.message.delta",
        "thread.message.completed",
        "thread.run.step.completed",
        "thread.run.completed",
    ]


async def test_calls_wait_for_their_outputs(house):
    call = {"name": "weather", "arguments": '{"city": "Rome"}'}
    api = await house({"tool_calls": [call, {"name": "date"}]}, {"text": "Sunny"})

    run = await api.run("How is Rome?", tools=[WEATHER, DATE])
    assert run["status"] == "requires_action"
    run = await api.settled(await api.submit(run, "sun", "today"))

    assert run["status"] == "completed"
    assert await api.said(run["thread_id"]) == "Sunny"
    calls, message = await api.steps(run)
    assert [c["function"]["output"] for c in calls["step_details"]["tool_calls"]] == [
        "sun",
        "today",
    ]
    assert message["type"] == "message_creation"
