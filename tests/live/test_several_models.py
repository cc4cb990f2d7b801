"""Several models in one server: side by side, out of each other's way, within the memory given."""

import asyncio
import os
import subprocess

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from servers import TINY, freehold_command, live
from tiny_bert import write_tiny

MESSAGES = [{"role": "user", "content": "Go on."}]
# Without its end token the tiny model goes on to the last of its tokens.
ENDLESS = {"logit_bias": {"0": -100, "2": -100}, "max_tokens": 900}
# Each of the three engines takes about 50 to 70 MB, so two are too many.
SMALL_BUDGET = 80
# Room for the pinned one and another, not for three.
PINNED_BUDGET = 140


def config(folder, *, budget=None, pinned="false"):
    embedding = write_tiny(folder / "embedding")
    return f"""
default_model = "one"
{"" if budget is None else f"memory_budget_mb = {budget}"}

[models.one]
weights = "{TINY}"
context = 1024
slots = 1
threads = 1
pinned = {pinned}

[models.two]
weights = "{TINY}"
context = 512
slots = 1
threads = 1

[models.meaning]
kind = "embedding"
backend = "minilm"
weights = "{embedding}"
"""


@pytest.fixture(scope="module")
def roomy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("roomy")
    with live(folder, config(folder)) as server:
        yield server


@pytest.fixture
def narrow(tmp_path):
    with live(tmp_path, config(tmp_path, budget=SMALL_BUDGET)) as server:
        yield server


@pytest.fixture
def narrow_and_pinned(tmp_path):
    with live(tmp_path, config(tmp_path, budget=PINNED_BUDGET, pinned="true")) as server:
        yield server


def client(server):
    headers = {"Authorization": f"Bearer {server.key}"}
    return httpx.AsyncClient(base_url=server.base_url, headers=headers, timeout=60)


async def chat(http, model, **more):
    body = {"model": model, "messages": MESSAGES, "max_tokens": 3, **more}
    answer = await http.post("/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def embed(http):
    body = {"model": "meaning", "input": "the cat", "encoding_format": "float"}
    answer = await http.post("/embeddings", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"][0]["embedding"]


async def engines(server):
    """Return each id's figures as the server's metrics tell them."""
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"{server.url}/metrics")).text
    samples = [s for f in text_string_to_metric_families(text) for s in f.samples]
    names = {
        s.labels["id"]: s.labels["model"] for s in samples if s.name == "freehold_engine_serves"
    }
    return {model_id: figures_of(samples, name) for model_id, name in names.items()}


def figures_of(samples, name):
    own = [s for s in samples if s.labels.get("model") == name]
    figures = {s.name.removeprefix("freehold_engine_"): s.value for s in own}
    return figures | {"state": next(s.labels["state"] for s in own if "state" in s.labels)}


async def states(server):
    return {model_id: figures["state"] for model_id, figures in (await engines(server)).items()}


async def until(condition):
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_two_chat_models_and_an_embedding_model_answer_together(roomy):
    async with client(roomy) as http:
        one, two, vector = await asyncio.gather(chat(http, "one"), chat(http, "two"), embed(http))
    assert (one["model"], two["model"]) == ("one", "two")
    assert sum(value * value for value in vector) == pytest.approx(1)
    assert await states(roomy) == dict.fromkeys(("one", "two", "meaning"), "ready")
    assert all(found["resident_bytes"] > 1e6 for found in (await engines(roomy)).values())


async def test_each_model_has_its_own_window(roomy):
    async with client(roomy) as http:
        body = {"model": "two", "messages": [{"role": "user", "content": "word " * 600}]}
        refused = await http.post("/chat/completions", json=body)
        assert refused.json()["error"]["code"] == "context_length_exceeded"
        assert (await chat(http, "one", messages=body["messages"]))["usage"]["prompt_tokens"] > 512


async def test_a_line_in_front_of_one_model_does_not_delay_the_other(roomy):
    async with client(roomy) as http:
        crowd = [asyncio.create_task(chat(http, "one", **ENDLESS)) for _ in range(6)]

        async def waiting():
            return (await engines(roomy))["one"]["queued"] >= 4

        await until(waiting)
        await chat(http, "two")
        assert (await engines(roomy))["one"]["queued"] >= 3
        await embed(http)
        assert (await engines(roomy))["one"]["queued"] >= 2
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)


async def test_under_a_small_budget_models_take_turns_and_come_back(narrow):
    async with client(narrow) as http:
        first = await chat(http, "one", temperature=0)
        await chat(http, "two")

        async def swapped():
            return await states(narrow) == {"one": "unloaded", "two": "ready"}

        await until(swapped)
        again = await chat(http, "one", temperature=0)
        assert again["choices"] == first["choices"]
        assert await states(narrow) == {"one": "ready", "two": "unloaded"}


async def test_a_model_in_use_is_not_unloaded_for_another(narrow):
    async with client(narrow) as http:
        await chat(http, "two")
        await chat(http, "one")
        running = asyncio.create_task(chat(http, "one", **ENDLESS))

        async def busy():
            return (await engines(narrow))["one"]["busy"] == 1

        await until(busy)
        await chat(http, "two")
        assert running.done()
        assert running.result()["usage"]["completion_tokens"] == ENDLESS["max_tokens"]


async def test_ready_does_not_bring_an_unloaded_model_back(narrow):
    async with client(narrow) as http:
        await chat(http, "one")
        await chat(http, "two")
        assert (await http.get(f"{narrow.url}/ready")).status_code == 200
        await chat(http, "two")
        assert await states(narrow) == {"one": "unloaded", "two": "ready"}


async def test_a_pinned_model_stays_while_others_take_turns(narrow_and_pinned):
    async with client(narrow_and_pinned) as http:
        await chat(http, "one")
        await chat(http, "two")
        await embed(http)
    assert await states(narrow_and_pinned) == {
        "one": "ready",
        "two": "unloaded",
        "meaning": "ready",
    }


def show(server, model_id, *flags):
    environ = {k: v for k, v in os.environ.items() if not k.startswith("FREEHOLD_")}
    result = subprocess.run(
        [freehold_command(), "models", "show", model_id, *flags],
        cwd=server.state_dir.parent,
        env=environ | {"FREEHOLD_STATE_DIR": str(server.state_dir)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return dict(line.split(" = ", 1) for line in result.stdout.splitlines())


async def test_show_asks_the_running_server(roomy):
    async with client(roomy) as http:
        await chat(http, "gpt-4o", max_tokens=50)
    shown = await asyncio.to_thread(show, roomy, "gpt-4o", "--base-url", roomy.base_url)
    assert shown["engine"] == f"ready at {roomy.url}"
    assert shown["slots"] == "1, 0 busy"
    assert shown["queue"] == "0"
    assert int(shown["memory"].removesuffix(" MB")) > 10
    assert float(shown["tokens/s"]) > 1
    other = await asyncio.to_thread(show, roomy, "gpt-4", "--base-url", roomy.base_url)
    assert other["engine"] in (
        f"ready at {roomy.url}",
        f"not asked for yet by anyone at {roomy.url}",
    )
