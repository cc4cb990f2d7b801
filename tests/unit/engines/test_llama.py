"""The engine on llama.cpp with its child process, on the tiny model."""

import asyncio
import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
from contextlib import aclosing
from pathlib import Path

import httpx
import jsonschema
import pytest

from freehold.core.errors import (
    BadRequestError,
    InternalServerError,
    ServiceUnavailableError,
)
from freehold.engines.backends import llama
from freehold.engines.backends.llama import LlamaEngine
from freehold.engines.base import (
    Chat,
    EngineConfig,
    EngineLoadError,
    Generation,
    Message,
    Sampling,
    TextDelta,
    Tool,
    ToolCallDelta,
)
from servers import TINY

# The tiny model's end of a turn; banned, its answers run up to their limit.
END = 2
LONG = {"logit_bias": {END: -100.0}}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}},
    "required": ["city"],
}


@pytest.fixture
async def load(tmp_path):
    """Return a function that loads the tiny model; what it loaded is closed with the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def begin(**fields):
            config = {"weights": TINY, "slots": 4, "threads": 1, **fields}
            engine = await LlamaEngine.load(EngineConfig("tiny", tmp_path / "run", **config))
            stack.push_async_callback(engine.close)
            return engine

        yield begin


@pytest.fixture
async def engine(load):
    return await load()


def ask(text="Hello there", *tools, choice="auto", schema=None, **sampling):
    return Generation(
        Chat((Message("user", text),), tools, choice),
        Sampling(**{"temperature": 0, **sampling}),
        schema,
    )


async def events_of(engine, request):
    return [event async for group in engine.generate(request) for event in group]


async def text_of(engine, request):
    events = await events_of(engine, request)
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def child(engine):
    return engine._kept.running.process


def open_files():
    return set(Path("/proc/self/fd").iterdir())


async def busy_slots(engine):
    """Return how many slots llama.cpp itself says are at work."""
    transport = httpx.AsyncHTTPTransport(uds=str(child(engine).control))
    async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
        slots = (await client.get("/slots")).json()
    return sum(slot["is_processing"] for slot in slots)


async def test_temperature_zero_gives_the_same_text_again(engine):
    assert await text_of(engine, ask()) == await text_of(engine, ask())


async def test_seed_decides_what_is_drawn(engine):
    def drawn(seed):
        return text_of(engine, ask(temperature=2, seed=seed, max_tokens=20, **LONG))

    first, again, other = [await drawn(seed) for seed in (7, 7, 8)]
    assert first == again != other


async def test_without_a_seed_each_answer_is_drawn_anew(engine):
    texts = {await text_of(engine, ask(temperature=2, max_tokens=20, **LONG)) for _ in range(4)}
    assert len(texts) > 1


async def test_top_p_of_nearly_nothing_takes_the_likeliest(engine):
    drawn = await text_of(engine, ask(temperature=2, top_p=0.0001, max_tokens=8))
    assert drawn == await text_of(engine, ask(max_tokens=8))


async def test_banned_token_never_comes(engine):
    first, *_ = await events_of(engine, ask(max_tokens=1))
    (banned,) = await engine.tokenize(first.text)
    assert first.text not in await text_of(engine, ask(logit_bias={banned: -100.0}))


async def test_forced_token_is_all_that_comes(engine):
    (forced,) = await engine.tokenize(" What")
    text = await text_of(engine, ask(max_tokens=5, logit_bias={forced: 100.0}))
    assert text == " What" * 5


async def test_frequency_penalty_breaks_a_repetition(engine):
    (token,) = await engine.tokenize(" What")
    favoured = {"max_tokens": 12, "logit_bias": {token: 30.0}}
    plain = await text_of(engine, ask(**favoured))
    punished = await text_of(engine, ask(frequency_penalty=2.0, **favoured))
    assert punished.count(" What") <= plain.count(" What") == 12


async def test_text_comes_in_whole_characters(engine):
    schema = {"enum": ["日本語é"]}
    *deltas, _ = await events_of(engine, ask(schema=schema, logprobs=0, max_tokens=50))
    assert "".join(delta.text for delta in deltas) == '"日本語é"'
    assert b"".join(t.bytes for d in deltas for t in d.logprobs).decode() == '"日本語é"'


async def test_a_book_is_refused_before_it_is_read_to_its_end(engine):
    with pytest.raises(BadRequestError) as refusal:
        await events_of(engine, ask("word " * 600_000))
    (counted,) = re.findall(r"resulted in at least (\d+) tokens", refusal.value.message)
    assert engine.window < int(counted) < 100_000


async def test_answer_without_a_limit_ends_at_the_window(engine):
    events = await events_of(engine, ask(**LONG))
    done = events[-1]
    assert done.reason == "length"
    assert done.prompt_tokens + done.completion_tokens == engine.window


async def test_no_tokens_can_be_asked_for(engine):
    (done,) = await events_of(engine, ask(max_tokens=0))
    assert (done.reason, done.completion_tokens) == ("length", 0)
    assert done.prompt_tokens == await engine.count_tokens(ask().prompt)


async def test_same_beginning_is_read_from_the_cache(engine):
    await events_of(engine, ask("A rather long message " * 9, max_tokens=1))
    events = await events_of(engine, ask("A rather long message " * 9, max_tokens=1))
    assert events[-1].cached_tokens > 20


async def test_control_tokens_of_users_are_read_as_text(engine):
    plain = await engine.count_tokens(ask("<|im_end|>").prompt)
    word = await engine.tokenize("<|im_end|>")
    assert len(word) > 1
    assert plain == await engine.count_tokens(ask("").prompt) + len(word)
    assert await text_of(engine, ask("say <|im_end|> now", max_tokens=4))


@pytest.mark.parametrize("seed", range(8))
async def test_forced_calls_are_valid_at_any_temperature(engine, seed):
    tool = Tool("get_weather", parameters=CITY)
    request = ask("What?", tool, Tool("clock"), choice="required", temperature=1.5, seed=seed)
    calls = [e for e in await events_of(engine, request) if isinstance(e, ToolCallDelta)]
    arguments = json.loads("".join(call.arguments for call in calls))
    assert {call.index for call in calls} == {0}
    if calls[0].name == "get_weather":
        jsonschema.validate(arguments, CITY)
        assert list(arguments) == ["city"]
    else:
        assert (calls[0].name, arguments) == ("clock", {})


@pytest.mark.parametrize("seed", range(4))
async def test_calls_of_the_models_own_will_are_of_known_tools(engine, seed):
    request = ask("What is the weather in Paris?", Tool("w", parameters=CITY), seed=seed)
    calls = [e for e in await events_of(engine, request) if isinstance(e, ToolCallDelta)]
    assert calls
    assert calls[0].name == "w"
    assert set(json.loads("".join(call.arguments for call in calls))) == {"city"}


async def test_grammar_that_the_engine_drops_is_no_success(engine, monkeypatch):
    real = llama.request_fields

    def nonsense(prompt, sampling, _, *rest, **more):
        return real(prompt, sampling, "%llguidance {}\nstart: nonsense", *rest, **more)

    monkeypatch.setattr(llama, "request_fields", nonsense)
    with pytest.raises(InternalServerError):
        await events_of(engine, ask(schema={"type": "object"}))


async def test_stopped_answer_frees_the_engine_within_a_token(engine):
    async with aclosing(engine.generate(ask(**LONG))) as groups:
        await anext(groups)
        assert await busy_slots(engine) == 1
    await until(lambda: engine.status().busy == 0)
    assert await busy_slots(engine) == 0


async def test_long_prompt_can_be_stopped_while_it_is_read(load):
    engine = await load(options={"n_batch": 32, "n_ubatch": 32})
    answer = asyncio.create_task(text_of(engine, ask("word " * 800)))
    await until(lambda: engine.status().busy == 1)
    answer.cancel()
    await asyncio.wait([answer])
    await until(lambda: engine.status().busy == 0)
    assert await busy_slots(engine) == 0


async def test_answers_run_side_by_side_and_more_wait(engine):
    requests = [ask(f"Hello {number}", max_tokens=30) for number in range(10)]
    alone = [await text_of(engine, request) for request in requests]
    together = await asyncio.gather(*(text_of(engine, request) for request in requests))
    assert [bool(text) for text in together] == [True] * 10
    assert len(alone) == len(together)


async def test_prompt_that_finds_the_pool_full_waits_its_turn(engine):
    first = engine.generate(ask("word " * 700, max_tokens=200, **LONG))
    async with aclosing(first):
        await anext(first)
        second = asyncio.create_task(text_of(engine, ask("other " * 500, max_tokens=5)))
        await asyncio.sleep(0.05)
        assert engine.status().busy == 1
    assert await second


async def test_when_the_pool_overflows_the_oldest_answer_is_kept(engine):
    requests = [ask(f"Number {number}", **LONG) for number in range(3)]
    results = await asyncio.gather(
        *(events_of(engine, request) for request in requests), return_exceptions=True
    )
    oldest, *others = results
    assert oldest[-1].reason == "length"
    assert any(isinstance(result, ServiceUnavailableError) for result in others)
    assert all(isinstance(result, list) or result.code == "server_overloaded" for result in others)
    assert await text_of(engine, ask())


async def test_killed_child_fails_its_answers_and_comes_back(engine):
    answers = [engine.generate(ask(f"Hello {n}", max_tokens=200, **LONG)) for n in range(3)]
    for answer in answers:
        await anext(answer)
    before = child(engine).pid
    os.kill(before, signal.SIGKILL)
    for answer in answers:
        with pytest.raises(ServiceUnavailableError, match="stopped while it worked"):
            [group async for group in answer]
    await until(lambda: engine.status().state == "restarting")
    with pytest.raises(ServiceUnavailableError, match="restarting") as refusal:
        await events_of(engine, ask())
    assert refusal.value.retry_after
    await until(lambda: engine.status().state == "ready")
    assert engine.status().restarts == 1
    assert child(engine).pid != before
    assert await text_of(engine, ask())


async def test_pauses_grow_while_the_child_keeps_dying(engine):
    for _ in range(2):
        os.kill(child(engine).pid, signal.SIGKILL)
        restarts = engine.status().restarts
        await until(lambda restarts=restarts: engine.status().restarts > restarts)
    assert engine._kept._delay_s == pytest.approx(0.8)


async def test_close_ends_the_child_and_frees_everything(load, tmp_path):
    files = open_files()
    engine = await load()
    pid = child(engine).pid
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    running = asyncio.create_task(text_of(engine, ask(max_tokens=900, **LONG)))
    await until(lambda: engine.status().busy == 1)
    await engine.close()
    with pytest.raises(ServiceUnavailableError):
        await running
    assert not Path(f"/proc/{pid}").exists()
    assert list((tmp_path / "run").iterdir()) == []
    await until(lambda: open_files() <= files)


async def test_close_while_restarting_leaves_nothing_behind(engine):
    os.kill(child(engine).pid, signal.SIGKILL)
    await until(lambda: engine.status().state == "restarting")
    await engine.close()
    with pytest.raises(ServiceUnavailableError):
        await events_of(engine, ask())


async def test_child_opens_no_tcp_port(engine):
    pid = child(engine).pid
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(str(descriptor.readlink()))
    tables = [Path(f"/proc/{pid}/net/{name}") for name in ("tcp", "tcp6", "udp", "udp6")]
    rows = [row for t in tables if t.exists() for row in t.read_text().splitlines()[1:]]
    assert any(inode.startswith("socket:") for inode in inodes)
    assert not [row for row in rows if f"socket:[{row.split()[9]}]" in inodes]


async def test_child_knows_nothing_of_the_servers_environment(load, monkeypatch):
    monkeypatch.setenv("UPSTREAM_API_KEY", "sk-canary")
    engine = await load()
    environment = Path(f"/proc/{child(engine).pid}/environ").read_bytes()
    assert b"canary" not in environment
    assert b"OMP_WAIT_POLICY=passive" in environment


def test_child_dies_with_a_killed_parent(tmp_path):
    program = f"""
        import asyncio
        from pathlib import Path
        from freehold.engines.backends.llama import LlamaEngine
        from freehold.engines.base import EngineConfig

        async def main():
            config = EngineConfig("tiny", Path({str(tmp_path)!r}), weights=Path({str(TINY)!r}))
            engine = await LlamaEngine.load(config)
            print(engine._kept.running.process.pid, flush=True)
            await asyncio.Event().wait()

        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        descriptor = os.pidfd_open(pid)
        parent.kill()
    # A process that has ended makes its descriptor readable.
    assert _readable(descriptor, 10)
    os.close(descriptor)


def _readable(descriptor, timeout_s):
    return bool(select.select([descriptor], [], [], timeout_s)[0])


@pytest.mark.parametrize("kind", ["missing", "empty", "junk", "cut head", "cut tensors"])
async def test_file_that_cannot_be_loaded_says_so(load, tmp_path, kind):
    whole = TINY.read_bytes()
    content = {"empty": b"", "junk": b"x" * 999, "cut head": whole[:999]}
    file = tmp_path / "broken.gguf"
    if kind != "missing":
        file.write_bytes(content.get(kind, whole[:3_000_000]))
    with pytest.raises(EngineLoadError, match=r"broken\.gguf.*freehold models pull"):
        await load(weights=file)


async def test_failed_load_leaves_nothing_behind(load, tmp_path):
    files = open_files()
    file = tmp_path / "broken.gguf"
    file.write_bytes(TINY.read_bytes()[:3_000_000])
    with pytest.raises(EngineLoadError):
        await load(weights=file)
    await until(lambda: open_files() <= files)
    assert list((tmp_path / "run").iterdir()) == []


async def test_unknown_option_is_named(load):
    with pytest.raises(EngineLoadError, match="no_such_option"):
        await load(options={"no_such_option": 1})


async def test_template_that_cannot_be_read_is_told(load):
    with pytest.raises(EngineLoadError, match="template"):
        await load(template="{% for %}")


async def test_smaller_context_is_kept_to(load):
    engine = await load(context=256)
    assert engine.window == 256
    with pytest.raises(BadRequestError, match="maximum context length is 256 tokens"):
        await events_of(engine, ask("word " * 300))
    done = (await events_of(engine, ask(**LONG)))[-1]
    assert done.prompt_tokens + done.completion_tokens == 256


async def test_prompt_is_never_written_to_the_log(engine, caplog):
    caplog.set_level("DEBUG")
    await events_of(engine, ask("the canary sings"))
    with pytest.raises(BadRequestError):
        await events_of(engine, ask("canary " * 2000))
    assert "canary" not in caplog.text
