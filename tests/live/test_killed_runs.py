"""A server that is killed while runs are at work completes them after its next start."""

import random
import signal
import time

import httpx
import pytest

from servers import live

# So slow that a kill falls into any of its steps.
CONFIG = """
default_model = "scripted"

[models.scripted]
backend = "scripted"
slots = 16
script = [{ when = "word", text = "one two three four five six", delay = 0.02 }]
"""
KILLS = 3
RUNS = 6
NEXT = {"role": "user", "content": "Thanks"}
ENDED = ("completed", "failed", "incomplete", "expired", "cancelled")


def client(server, key):
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=server.base_url, headers=headers, timeout=60, trust_env=False)


def begun(http):
    """Return runs that have just been created."""
    assistant = http.post("/assistants", json={"model": "gpt-4o"}).json()["id"]
    thread = {"messages": [{"role": "user", "content": "A word, please"}]}
    body = {"assistant_id": assistant, "thread": thread}
    return [http.post("/threads/runs", json=body).json() for _ in range(RUNS)]


def settled(http, run):
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"
    until = time.monotonic() + 60
    while (now := http.get(path).json())["status"] not in ENDED:
        assert time.monotonic() < until, now
        time.sleep(0.05)
    return now


@pytest.mark.timeout(300)
def test_killed_runs_are_completed_once(tmp_path):
    moments = random.Random(7)  # noqa: S311 - the same moments each time
    key, runs = "", []
    for _ in range(KILLS):
        with live(tmp_path, CONFIG) as server:
            key = key or server.key
            with client(server, key) as http:
                runs += begun(http)
                time.sleep(moments.uniform(0, 0.2))
                server.process.send_signal(signal.SIGKILL)
    with live(tmp_path, CONFIG) as server, client(server, key) as http:
        for run in runs:
            assert settled(http, run)["status"] == "completed"
            thread = f"/threads/{run['thread_id']}"
            messages = http.get(f"{thread}/messages?order=asc").json()["data"]
            said = [message["content"][0]["text"]["value"] for message in messages]
            assert said == ["A word, please", "one two three four five six"]
            steps = http.get(f"{thread}/runs/{run['id']}/steps").json()["data"]
            assert [step["status"] for step in steps] == ["completed"]
            assert http.post(f"{thread}/messages", json=NEXT).status_code == 200
