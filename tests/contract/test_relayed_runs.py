"""A run that another process works on is streamed as one of the own process is."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from freehold.resources.threads import run_follow, run_relay
from freehold.storage import migrations
from runs import WEATHER, House
from servers import in_process, scripted

BEGUN = ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
STEP = ["thread.run.step.created", "thread.run.step.in_progress"]
MESSAGE = [*STEP, "thread.message.created", "thread.message.in_progress"]
ENDED = ["thread.message.completed", "thread.run.step.completed", "thread.run.completed"]
DELTA, CALL_DELTA = "thread.message.delta", "thread.run.step.delta"
CALL = {"name": "weather", "arguments": '{"city": "Rome"}'}
SLOW = {"text": " ".join(map(str, range(100))), "delay": 0.02}
SEARCH = {"name": "file_search", "arguments": json.dumps({"queries": ["x"]})}


@asynccontextmanager
async def elsewhere(tmp_path, url, *script, **settings):
    """Give a server whose runs another process works on, and that process's."""
    given = {"models": scripted(*script), "database_url": url, **settings}
    jobs = {"worker": False}
    async with (
        in_process(tmp_path / "worker", **given) as worker,
        in_process(tmp_path / "server", **given, jobs=jobs) as server,
    ):
        server.client.client.headers["Authorization"] = f"Bearer {worker.key}"
        services = server.server.api.services
        async with asyncio.timeout(20):
            while url.startswith("postgres") and services.events.address is None:
                await asyncio.sleep(0.01)
        yield House(server), House(worker)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.external)])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/freehold.db"
    return request.getfixturevalue("shared")


@pytest.fixture
def shared(postgres_url):
    migrations.upgrade(postgres_url)
    return postgres_url


def names(events):
    """Return the names of events, of deltas that follow each other one."""
    told = [event["event"] for event in events]
    pairs = zip(told, [None, *told], strict=False)
    return [name for name, before in pairs if name != before or not name.endswith(".delta")]


def of(events, name):
    return [event["data"] for event in events if event["event"] == name]


def text_of(events):
    deltas = of(events, DELTA)
    return "".join(d["delta"]["content"][0]["text"].get("value", "") for d in deltas)


async def test_words_and_states_are_told(tmp_path, url):
    async with elsewhere(tmp_path, url, {"text": "One two three, µ and 漢."}) as (api, _):
        events = await api.stream_run("Hello")

        assert names(events) == [*BEGUN, *MESSAGE, DELTA, *ENDED]
        assert text_of(events) == "One two three, µ and 漢."
        [run] = of(events, "thread.run.completed")
        assert await api.get(f"/threads/{run['thread_id']}/runs/{run['id']}") == run
        assert await api.steps(run) == of(events, "thread.run.step.completed")


async def test_calls_are_told_and_nothing_twice_once_they_are_answered(tmp_path, url):
    script = [{"text": "Looking up.", "tool_calls": [CALL]}, {"text": "Sunny."}]
    async with elsewhere(tmp_path, url, *script) as (api, _):
        events = await api.stream_run("Rome?", tools=[WEATHER])
        [run] = of(events, "thread.run.requires_action")
        after = await api.stream_submit(run, "sun")

    assert names(events) == [
        *[*BEGUN, *MESSAGE, DELTA, *ENDED[:2]],
        *[*STEP, CALL_DELTA, "thread.run.requires_action"],
    ]
    told = of(events, CALL_DELTA)
    pieces = [d["delta"]["step_details"]["tool_calls"][0]["function"] for d in told]
    assert "".join(piece.get("arguments", "") for piece in pieces) == CALL["arguments"]
    assert names(after) == [
        "thread.run.step.completed",
        *[*BEGUN[1:], *MESSAGE, DELTA, *ENDED],
    ]


async def test_searches_of_ours_are_told(tmp_path, url):
    script = [{"tool_calls": [SEARCH]}, {"text": "Nothing."}]
    async with elsewhere(tmp_path, url, *script) as (api, _):
        events = await api.stream_run("Find it", tools=[{"type": "file_search"}])

    searched = [*STEP, CALL_DELTA, "thread.run.step.completed"]
    assert names(events) == [*BEGUN, *searched, *MESSAGE, DELTA, *ENDED]


async def test_cancelled_run_says_so(tmp_path, url):
    async with elsewhere(tmp_path, url, {"text": "so far", "hang": True}) as (api, _):
        assistant, thread = await api.assistant(), await api.thread("Hello")
        path = f"/threads/{thread}/runs"
        streaming = asyncio.create_task(api.streamed(path, assistant_id=assistant))
        async with asyncio.timeout(30):
            while len(await api.messages(thread)) < 2:
                await asyncio.sleep(0.02)
        [run] = (await api.get(path))["data"]
        await api.cancel(run)
        events = await streaming

    assert [name for name in names(events) if name != DELTA][-4:] == [
        "thread.run.cancelling",
        "thread.message.incomplete",
        "thread.run.step.cancelled",
        "thread.run.cancelled",
    ]


@pytest.mark.external
async def test_words_come_as_they_are_written_at_most_twenty_times_a_second(tmp_path, shared):
    loop = asyncio.get_running_loop()
    async with elsewhere(tmp_path, shared, SLOW) as (api, _):
        began = loop.time()
        events = await api.stream_run("Hello")
        took = loop.time() - began

    deltas = of(events, DELTA)
    assert text_of(events) == SLOW["text"]
    assert 5 <= len(deltas) <= 20 * took + 1


@pytest.mark.external
async def test_news_wake_who_follows(tmp_path, shared, monkeypatch):
    monkeypatch.setattr(run_follow, "_LOOK_ANYWAY_S", 60)
    async with elsewhere(tmp_path, shared, {"text": "Hi"}) as (api, _):
        async with asyncio.timeout(30):
            events = await api.stream_run("Hello")

    assert names(events) == [*BEGUN, *MESSAGE, DELTA, *ENDED]


@pytest.mark.external
async def test_news_that_are_lost_are_read_in_the_rows(tmp_path, shared, monkeypatch):
    sent = run_relay.notify.send
    count = iter(range(10_000))

    def lossy(connection, address, topic, item=b""):
        if next(count) % 3:
            sent(connection, address, topic, item)

    monkeypatch.setattr(run_relay.notify, "send", lossy)
    async with elsewhere(tmp_path, shared, SLOW) as (api, _):
        events = await api.stream_run("Hello")

    assert names(events) == [*BEGUN, *MESSAGE, DELTA, *ENDED]
    assert text_of(events) == SLOW["text"]


@pytest.mark.external
async def test_delta_that_is_too_long_to_send_is_read_in_the_rows(tmp_path, shared):
    words = ["short ", "µ" * 5_000, " and", " more"]
    async with elsewhere(tmp_path, shared, {"text": words, "delay": 0.1}) as (api, _):
        events = await api.stream_run("Hello")

    assert names(events) == [*BEGUN, *MESSAGE, DELTA, *ENDED]
    assert text_of(events) == "".join(words)


@pytest.mark.external
async def test_stopping_server_ends_the_stream_and_not_the_run(tmp_path, shared):
    async with elsewhere(tmp_path, shared, {"text": "so far", "hang": True}) as (api, worker):
        assistant, thread = await api.assistant(), await api.thread("Hello")
        path = f"/threads/{thread}/runs"
        streaming = asyncio.create_task(api.streamed(path, assistant_id=assistant))
        worker.server.client.client.headers["Authorization"] = api.server.client.client.headers[
            "Authorization"
        ]
        async with asyncio.timeout(30):
            while len(await worker.messages(thread)) < 2:
                await asyncio.sleep(0.02)

        await api.server.server.stop()
        events = await streaming
        [run] = (await worker.get(path))["data"]
        worker.engine().resume.set()

        assert events[-1]["event"] == "error"
        assert (await worker.settled(run))["status"] == "completed"
