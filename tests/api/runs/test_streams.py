"""Streams of runs: the right events in the right order, whatever happens."""

import asyncio

from runs import WEATHER, House
from servers import in_process, scripted

BEGUN = ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
STEP = ["thread.run.step.created", "thread.run.step.in_progress"]
MESSAGE = [*STEP, "thread.message.created", "thread.message.in_progress"]
DELTA = "thread.message.delta"
CALL = {"name": "weather", "arguments": '{"city": "Rome"}'}


def names(events):
    return [event["event"] for event in events]


def of(events, name):
    return [event["data"] for event in events if event["event"] == name]


def text_of(events):
    deltas = of(events, DELTA)
    return "".join(d["delta"]["content"][0]["text"]["value"] for d in deltas)


async def test_new_thread_is_the_first_event(house):
    api = await house({"text": "Hi"})
    assistant = await api.assistant()
    message = {"role": "user", "content": "Hello"}

    events = await api.streamed(
        "/threads/runs", assistant_id=assistant, thread={"messages": [message]}
    )

    assert names(events)[:2] == ["thread.created", "thread.run.created"]
    thread = events[0]["data"]["id"]
    assert await api.get(f"/threads/{thread}") == events[0]["data"]


async def test_deltas_add_up_to_the_message_that_is_kept(house):
    api = await house({"text": "One two three, µ and 漢."})

    events = await api.stream_run("Hello")

    [message] = of(events, "thread.message.completed")
    assert text_of(events) == message["content"][0]["text"]["value"] == "One two three, µ and 漢."
    [kept] = [m for m in await api.messages(message["thread_id"]) if m["role"] == "assistant"]
    assert kept == message
    [run] = of(events, "thread.run.completed")
    assert await api.get(f"/threads/{run['thread_id']}/runs/{run['id']}") == run
    assert await api.steps(run) == of(events, "thread.run.step.completed")


async def test_words_before_calls_are_a_step_of_their_own(house):
    api = await house({"text": "Looking up.", "tool_calls": [CALL]}, {"text": "Sunny."})

    events = await api.stream_run("Rome?", tools=[WEATHER])

    assert names(events) == [
        *BEGUN,
        *MESSAGE,
        DELTA,
        DELTA,
        "thread.message.completed",
        "thread.run.step.completed",
        *STEP,
        *["thread.run.step.delta"] * 2,
        "thread.run.requires_action",
    ]
    [run] = of(events, "thread.run.requires_action")
    after = await api.stream_submit(run, "sun")
    assert names(after) == [
        "thread.run.step.completed",
        "thread.run.queued",
        "thread.run.in_progress",
        *MESSAGE,
        DELTA,
        "thread.message.completed",
        "thread.run.step.completed",
        "thread.run.completed",
    ]
    ended = of(after, "thread.run.completed")[0]
    used = [step["usage"]["total_tokens"] for step in await api.steps(ended)]
    assert sum(used) == ended["usage"]["total_tokens"]


async def test_deltas_of_calls_add_up_to_what_is_asked(house):
    api = await house({"tool_calls": [CALL, {"name": "weather", "arguments": "{}"}]})

    events = await api.stream_run("Rome?", tools=[WEATHER])

    calls = {}
    for delta in of(events, "thread.run.step.delta"):
        for piece in delta["delta"]["step_details"]["tool_calls"]:
            call = calls.setdefault(piece["index"], {"arguments": ""})
            call |= {k: v for k, v in piece.items() if k == "id"}
            function = piece["function"]
            call["name"] = function.get("name", call.get("name"))
            call["arguments"] += function.get("arguments", "")
    [run] = of(events, "thread.run.requires_action")
    asked = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in asked] == [
        (call["id"], call["name"], call["arguments"]) for call in calls.values()
    ]


async def test_failure_ends_message_step_and_run(house):
    api = await house({"text": "half", "error": {"status": 500, "message": "broken"}})

    events = await api.stream_run("Hello")

    assert names(events)[-4:] == [
        DELTA,
        "thread.message.incomplete",
        "thread.run.step.failed",
        "thread.run.failed",
    ]
    assert of(events, "thread.run.failed")[0]["last_error"]["message"] == "broken"


async def test_cut_answer_is_incomplete(house):
    api = await house({"text": "half", "reason": "length"})

    events = await api.stream_run("Hello")

    assert names(events)[-3:] == [
        "thread.message.incomplete",
        "thread.run.step.completed",
        "thread.run.incomplete",
    ]


async def test_cancelled_run_says_so_to_who_listens(house):
    api = await house({"text": "so far", "hang": True})
    assistant, thread = await api.assistant(), await api.thread("Hello")
    body = {"assistant_id": assistant, "stream": True}
    streaming = asyncio.create_task(api.streamed(f"/threads/{thread}/runs", **body))
    async with asyncio.timeout(10):
        while len(await api.messages(thread)) < 2:
            await asyncio.sleep(0.01)
    runs = (await api.get(f"/threads/{thread}/runs"))["data"]

    await api.cancel(runs[0])
    events = await streaming

    assert names(events)[-4:] == [
        "thread.run.cancelling",
        "thread.message.incomplete",
        "thread.run.step.cancelled",
        "thread.run.cancelled",
    ]


async def test_client_that_goes_away_does_not_stop_the_run(house):
    api = await house({"text": "one two three four five", "delay": 0.05})
    assistant, thread = await api.assistant(), await api.thread("Hello")
    streaming = asyncio.create_task(api.streamed(f"/threads/{thread}/runs", assistant_id=assistant))
    async with asyncio.timeout(10):
        while len(await api.messages(thread)) < 2:
            await asyncio.sleep(0.01)

    streaming.cancel()
    [run] = (await api.get(f"/threads/{thread}/runs"))["data"]

    assert (await api.settled(run))["status"] == "completed"
    assert await api.said(thread) == "one two three four five"


async def test_refusal_comes_before_the_stream(house):
    api = await house()
    assistant = await api.assistant()

    error = await api.refused("/threads/thread_none/runs", 404, assistant_id=assistant, stream=True)

    assert error["message"] == "No thread found with id 'thread_none'."


async def test_stopping_server_ends_the_stream_with_an_error(house):
    api = await house({"text": "so far", "hang": True})
    assistant, thread = await api.assistant(), await api.thread("Hello")
    streaming = asyncio.create_task(api.streamed(f"/threads/{thread}/runs", assistant_id=assistant))
    async with asyncio.timeout(10):
        while len(await api.messages(thread)) < 2:
            await asyncio.sleep(0.01)

    await api.server.server.stop()
    events = await streaming

    assert names(events)[-1] == "error"
    assert events[-1]["data"]["message"] == "The server is shutting down."


async def test_run_of_another_process_is_streamed_too(tmp_path):
    models = scripted({"text": "One two three"})
    async with (
        in_process(tmp_path, models=models) as worker,
        in_process(tmp_path, models=models, jobs={"worker": False}) as server,
    ):
        server.client.client.headers["Authorization"] = f"Bearer {worker.key}"
        events = await House(server).stream_run("Hello")

    assert names(events) == [
        *BEGUN,
        *MESSAGE,
        DELTA,
        "thread.message.completed",
        "thread.run.step.completed",
        "thread.run.completed",
    ]
    assert text_of(events) == "One two three"
