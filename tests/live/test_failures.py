"""What a live server survives: clients that hang up, engines that die, its own end."""

import asyncio
import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import httpx
import pytest

from servers import TINY_CONFIG, live

LONG = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Go on."}], "max_tokens": 900}
# The tiny model would end early: without its end token it goes on to the last of its tokens.
ENDLESS = LONG | {"model": "tiny", "logit_bias": {"2": -100}}


def client(server, **options):
    headers = {"Authorization": f"Bearer {server.key}"}
    return httpx.AsyncClient(base_url=server.base_url, headers=headers, timeout=30, **options)


async def metric(server, name):
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"{server.url}/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith(name + "{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


async def until(condition, seconds=10):
    """Wait until an awaited condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


async def idle(server):
    return await metric(server, "freehold_engine_busy") == 0


def children(pid):
    return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_a_client_that_leaves_a_stream_frees_its_slot(live_server):
    async with client(live_server) as http:
        body = ENDLESS | {"stream": True}
        async with http.stream("POST", "/chat/completions", json=body) as answer:
            async for line in answer.aiter_lines():
                if '"content":"' in line:
                    break
            assert not await idle(live_server)
    left = time.monotonic()
    await until(lambda: idle(live_server))
    assert time.monotonic() - left < 1


async def test_a_client_that_leaves_before_its_answer_frees_its_slot(live_server):
    async with client(live_server) as http:
        request = asyncio.create_task(http.post("/chat/completions", json=ENDLESS))

        async def busy():
            return not await idle(live_server)

        await until(busy)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
    await until(lambda: idle(live_server))


@pytest.fixture
def own_server(tmp_path):
    """Return a live server of this test alone."""
    with live(tmp_path, TINY_CONFIG) as server:
        yield server


async def test_a_killed_engine_fails_what_it_held_and_comes_back(own_server):
    async with client(own_server) as http:
        body = ENDLESS | {"stream": True}
        async with http.stream("POST", "/chat/completions", json=body) as answer:
            lines = answer.aiter_lines()
            async for line in lines:
                if '"content":"' in line:
                    break
            whole = asyncio.create_task(http.post("/chat/completions", json=ENDLESS))

            async def both_inside():
                return await metric(own_server, "freehold_engine_busy") == 2

            await until(both_inside)
            for child in children(own_server.process.pid):
                os.kill(child, signal.SIGKILL)
            events = [line async for line in lines if line.startswith("data: ")]
        assert json.loads(events[-1].removeprefix("data: "))["error"]["type"] == "server_error"
        failed = await whole
        assert failed.status_code in {500, 503}
        assert failed.json()["error"]["type"] == "server_error"

        async def answers():
            return (await http.post("/chat/completions", json=LONG)).status_code == 200

        await until(answers)
    assert await metric(own_server, "freehold_engine_restarts") >= 1
    assert own_server.process.poll() is None


async def test_a_stop_lets_requests_finish_and_loses_no_usage(own_server):
    async with client(own_server) as http:
        request = asyncio.create_task(
            http.post("/chat/completions", json=LONG | {"max_tokens": 40})
        )

        async def seen():
            return request.done() or not await idle(own_server)

        await until(seen)
        own_server.process.terminate()
        assert (await request).status_code == 200
    assert await asyncio.to_thread(own_server.process.wait, 20) == 0
    with sqlite3.connect(own_server.state_dir / "freehold.db") as database:
        assert database.execute("SELECT count(*) FROM usage_events").fetchone() == (1,)
    database.close()


async def test_a_stop_ends_what_outlasts_the_grace_with_an_error(tmp_path):
    config = "shutdown_grace_s = 0.2\n" + TINY_CONFIG
    with live(tmp_path, config) as server:
        async with client(server) as http:
            body = ENDLESS | {"stream": True, "n": 4}
            async with http.stream("POST", "/chat/completions", json=body) as answer:
                lines = answer.aiter_lines()
                async for line in lines:
                    if '"content":"' in line:
                        break
                server.process.terminate()
                events = [line async for line in lines if line.startswith("data: ")]
        last = json.loads(events[-1].removeprefix("data: "))
        assert last["error"]["type"] == "server_error"
        assert await asyncio.to_thread(server.process.wait, 20) == 0


async def test_a_killed_server_loses_at_most_a_second_of_usage(own_server):
    async with client(own_server) as http:
        body = LONG | {"max_tokens": 1}
        assert (await http.post("/chat/completions", json=body)).status_code == 200
        await asyncio.sleep(1)  # the promise that is tested
    engines = children(own_server.process.pid)
    own_server.process.kill()
    await asyncio.to_thread(own_server.process.wait)
    with sqlite3.connect(own_server.state_dir / "freehold.db") as database:
        assert database.execute("SELECT count(*) FROM usage_events").fetchone() == (1,)
    database.close()

    async def gone():
        return not any(
            Path(f"/proc/{pid}/cmdline").read_bytes()
            for pid in engines
            if Path(f"/proc/{pid}").exists()
        )

    await until(gone)


async def test_a_second_start_keeps_the_keys_and_prints_none(tmp_path):
    with live(tmp_path, TINY_CONFIG) as first:
        key = first.key
    with live(tmp_path, TINY_CONFIG) as second:
        assert second.key == ""
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=second.base_url, headers=headers) as http:
            assert (await http.get("/models")).status_code == 200


async def test_no_prompt_and_no_answer_is_ever_logged(tmp_path):
    config = 'log_level = "debug"\n' + TINY_CONFIG
    canary = "xylophonecanary"
    with live(tmp_path, config) as server:
        async with client(server) as http:
            for body in (
                LONG | {"max_tokens": 5},
                LONG | {"max_tokens": 5, "stream": True},
                LONG | {"max_tokens": -1},
                LONG | {"response_format": {"type": canary}},
                LONG | {canary: 1},
            ):
                said = {"messages": [{"role": "user", "content": f"Say {canary}."}]}
                await http.post("/chat/completions", json=body | said)
            await http.post("/chat/completions", content=b'{"messages": "' + canary.encode())
    log = (tmp_path / "log.jsonl").read_text()
    assert "/v1/chat/completions" in log
    assert canary not in log


@pytest.mark.parametrize("zero", [True, False])
async def test_zero_data_retention_leaves_no_byte_of_a_request(tmp_path, zero):
    canary = "xylophonecanary"
    with live(tmp_path, TINY_CONFIG) as server:
        with sqlite3.connect(server.state_dir / "freehold.db") as database:
            database.execute("UPDATE projects SET zero_data_retention = ?", (zero,))
        database.close()
        body = LONG | {
            "max_tokens": 5,
            "store": True,
            "messages": [{"role": "user", "content": f"Say {canary}."}],
        }
        async with client(server) as http:
            assert (await http.post("/chat/completions", json=body)).status_code == 200
            streamed = await http.post("/chat/completions", json=body | {"stream": True})
            assert streamed.status_code == 200
    found = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and canary.encode() in path.read_bytes()
    ]
    assert bool(found) is not zero


async def test_no_port_is_open_but_our_own(live_server):
    pids = {live_server.process.pid, *children(live_server.process.pid)}
    sockets = {str(fd.readlink()) for pid in pids for fd in Path(f"/proc/{pid}/fd").iterdir()}
    listening = 0
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            is_listening = fields[3] == "0A" or table.startswith("udp")
            listening += is_listening and f"socket:[{fields[9]}]" in sockets
    assert listening == 1
