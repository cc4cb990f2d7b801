"""The upstream engine against a small server on the loopback interface."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest

from freehold.core.errors import (
    APIError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
    ServiceUnavailableError,
)
from freehold.engines.backends.upstream import UpstreamEngine
from freehold.engines.base import (
    Candidate,
    Chat,
    Done,
    EngineConfig,
    EngineLoadError,
    Generation,
    Message,
    Sampling,
    TextDelta,
    TextEvent,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolCallDelta,
)

USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}}
HELLO = Chat((Message("user", "Hello"),))


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


Answer = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Upstream:
    """Answers each request with the next of ``answers``, the last one again and again."""

    answers: list[Answer]
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (asked := await self._read(reader)) is not None:
                self.asked.append(asked)
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                await answer(asked, writer)
                if writer.is_closing():
                    break
        except ConnectionError:
            self.gone.set()
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Asked | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        except asyncio.IncompleteReadError:
            self.gone.set()
            return None
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        keys = dict(line.split(": ", 1) for line in head[1:] if line)
        return Asked(head[0].split()[1], {k.lower(): v for k, v in keys.items()}, json.loads(body))


def plain(status: int, body: Any, headers: str = "") -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(data)}\r\n".encode())
        writer.write(f"{headers}\r\n".encode() + data)
        await writer.drain()

    return answer


def streamed(pieces: Iterable[bytes], *, cut: bool = False) -> Answer:
    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
        writer.write(b"transfer-encoding: chunked\r\n\r\n")
        for piece in pieces:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        writer.write(b"" if cut else b"0\r\n\r\n")
        if cut:
            writer.close()

    return answer


async def hang_up(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.close()


def chunk(delta: dict[str, Any] | None = None, **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": None} | choice]}


def sse(*chunks: dict[str, Any], end: bool = True) -> bytes:
    frames = b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks)
    return frames + (b"data: [DONE]\n\n" if end else b"")


def finish(reason: str = "stop") -> tuple[dict[str, Any], dict[str, Any]]:
    return chunk(finish_reason=reason), {"choices": [], "usage": USAGE, "system_fingerprint": "fp"}


@pytest.fixture
async def start(tmp_path):
    """Start an upstream with these answers; returns it and an engine that talks to it."""
    engines: list[UpstreamEngine] = []
    servers: list[asyncio.Server] = []

    async def run(*answers: Answer, **options: Any) -> tuple[Upstream, UpstreamEngine]:
        upstream = Upstream(list(answers))
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
        servers.append(server)
        port = server.sockets[0].getsockname()[1]
        options = {"base_url": f"http://127.0.0.1:{port}/v1", "retries": 1, **options}
        prompt = options.pop("system_prompt", None)
        config = EngineConfig("theirs", tmp_path, system_prompt=prompt, options=options)
        engines.append(await UpstreamEngine.load(config))
        return upstream, engines[-1]

    yield run
    for engine in engines:
        await engine.close()
    for server in servers:
        server.close()
        await server.wait_closed()


async def collect(engine: UpstreamEngine, request: Generation) -> list[TextEvent]:
    return [event async for events in engine.generate(request) for event in events]


async def failure(engine: UpstreamEngine, prompt: Any = HELLO) -> APIError:
    with pytest.raises(APIError) as caught:
        await collect(engine, Generation(prompt))
    return caught.value


async def test_text_arrives_as_events_and_ends_with_the_counts(start):
    body = sse(chunk({"role": "assistant"}), chunk({"content": "Hel"}), chunk({"content": "lo"}))
    upstream, engine = await start(streamed([body[:-14], sse(*finish())]))
    events = await collect(engine, Generation(HELLO))
    assert events == [
        TextDelta("Hel"),
        TextDelta("lo"),
        Done("stop", 7, 2, cached_tokens=3, fingerprint="fp"),
    ]
    (asked,) = upstream.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.body == {
        "model": "theirs",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_frames_may_be_cut_anywhere(start):
    body = sse(chunk({"content": "Grüße\n"}), *finish()).replace(b"\n\n", b"\r\n\r\n")
    _, engine = await start(streamed([body[i : i + 3] for i in range(0, len(body), 3)]))
    events = await collect(engine, Generation(HELLO))
    assert events[0] == TextDelta("Grüße\n")
    assert isinstance(events[-1], Done)


async def test_comments_and_other_fields_are_skipped(start):
    body = b": ping\n\nevent: x\nid: 1\n\n" + sse(chunk({"content": "a"}), *finish())
    _, engine = await start(streamed([body]))
    assert [type(e) for e in await collect(engine, Generation(HELLO))] == [TextDelta, Done]


async def test_every_setting_reaches_the_upstream(start):
    upstream, engine = await start(streamed([sse(*finish())]), system_prompt="Be brief.")
    tool = Tool("get", "Gets", {"type": "object", "properties": {}}, strict=True)
    call = ToolCall("call_1", "get", "{}")
    chat = Chat(
        messages=(
            Message("user", "Hi", name="ann"),
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", "42", tool_call_id="call_1"),
        ),
        tools=(tool,),
        tool_choice="get",
        parallel_tool_calls=False,
    )
    sampling = Sampling(
        max_tokens=5,
        temperature=0.0,
        top_p=0.5,
        presence_penalty=1.0,
        frequency_penalty=-1.0,
        seed=3,
        logit_bias={9: -100.0},
        logprobs=2,
    )
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    await collect(engine, Generation(chat, sampling, schema, stop=("END",)))
    body = upstream.asked[0].body
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi", "name": "ann"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "get", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "content": "42", "tool_call_id": "call_1"},
    ]
    assert body["tools"][0]["function"]["strict"] is True
    assert body["tool_choice"] == {"type": "function", "function": {"name": "get"}}
    assert body["parallel_tool_calls"] is False
    assert body["response_format"]["json_schema"]["schema"] == schema
    given = {"max_tokens": 5, "temperature": 0.0, "top_p": 0.5, "seed": 3, "stop": ["END"]}
    given |= {"presence_penalty": 1.0, "frequency_penalty": -1.0, "logit_bias": {"9": -100.0}}
    given |= {"logprobs": True, "top_logprobs": 2}
    assert given.items() <= body.items()


async def test_any_json_object_is_asked_for_as_json_object(start):
    upstream, engine = await start(streamed([sse(*finish())]))
    await collect(engine, Generation(HELLO, schema={"type": "object"}))
    assert upstream.asked[0].body["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize("prompt", ["Once", [1, 2, 3]])
async def test_raw_prompts_go_to_completions(start, prompt):
    logprobs = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"a": -0.5, "b": -2}]}
    choice = {"index": 0, "text": "a", "logprobs": logprobs, "finish_reason": "length"}
    last = {"choices": [], "usage": USAGE}
    upstream, engine = await start(streamed([sse({"choices": [choice]}, last)]))
    events = await collect(engine, Generation(prompt, Sampling(logprobs=2)))
    top = (Candidate("a", b"a", -0.5), Candidate("b", b"b", -2.0))
    assert events[0] == TextDelta("a", logprobs=(TokenLogprob("a", b"a", -0.5, top),))
    assert events[1] == Done("length", 7, 2, cached_tokens=3)
    assert upstream.asked[0].path == "/v1/completions"
    assert upstream.asked[0].body["prompt"] == prompt


async def test_a_schema_on_a_raw_prompt_is_refused(start):
    _, engine = await start(streamed([]))
    with pytest.raises(BadRequestError, match="schema"):
        await collect(engine, Generation("Once", schema={"type": "object"}))


async def test_logprobs_keep_their_bytes(start):
    token = {"token": "ä", "logprob": -1.0, "bytes": [195, 164]}
    half = {"token": "\ufffd", "logprob": -2.0, "bytes": [195]}
    content = [{**token, "top_logprobs": [token, half]}]
    body = sse(chunk({"content": "ä"}, logprobs={"content": content}), *finish())
    _, engine = await start(streamed([body]))
    first = (await collect(engine, Generation(HELLO)))[0]
    top = (Candidate("ä", b"\xc3\xa4", -1.0), Candidate("\ufffd", b"\xc3", -2.0))
    assert first == TextDelta("ä", logprobs=(TokenLogprob("ä", b"\xc3\xa4", -1.0, top),))


def call(index: int | None, call_id: str | None, name: str | None, arguments: str | None) -> dict:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": call_id, "type": "function", "function": function}


@pytest.mark.parametrize(
    "pieces",
    [
        [call(0, "a", "f", ""), call(0, None, None, "{}"), call(1, "b", "g", "{}")],
        [call(0, "a", "f", None), call(0, "a", "f", "{}"), call(1, "b", "g", "{}")],
        [call(0, "a", "f", ""), call(0, "a", None, "{}"), call(0, "b", "g", "{}")],
        [call(None, "a", "f", ""), call(None, None, None, "{}"), call(None, "b", "g", "{}")],
    ],
    ids=["as OpenAI", "name repeated", "always index 0", "no index"],
)
async def test_calls_are_numbered_whatever_the_upstream_counts(start, pieces):
    body = sse(*(chunk({"tool_calls": [piece]}) for piece in pieces), *finish())
    _, engine = await start(streamed([body]))
    events = await collect(engine, Generation(HELLO))
    assert events[:3] == [
        ToolCallDelta(0, "", "f"),
        ToolCallDelta(0, "{}"),
        ToolCallDelta(1, "{}", "g"),
    ]
    assert events[3].reason == "tool_calls"


async def test_the_key_comes_from_the_environment(start, monkeypatch):
    monkeypatch.setenv("THEIR_KEY", "secret")
    upstream, engine = await start(streamed([sse(*finish())]), api_key_env="THEIR_KEY")
    await collect(engine, Generation(HELLO))
    assert upstream.asked[0].headers["authorization"] == "Bearer secret"


async def test_a_key_that_is_not_set_is_named(start, monkeypatch):
    monkeypatch.delenv("THEIR_KEY", raising=False)
    with pytest.raises(EngineLoadError, match="THEIR_KEY"):
        await start(streamed([]), api_key_env="THEIR_KEY")


async def test_an_upstream_needs_an_address(tmp_path):
    with pytest.raises(EngineLoadError, match="base_url"):
        await UpstreamEngine.load(EngineConfig("theirs", tmp_path))


async def test_a_refusal_keeps_message_param_and_code(start):
    error = {"message": "Too hot", "type": "t", "param": "temperature", "code": "bad_value"}
    _, engine = await start(plain(400, {"error": error}))
    found = await failure(engine)
    assert (type(found), found.message) == (BadRequestError, "Too hot")
    assert (found.param, found.code) == ("temperature", "bad_value")


async def test_a_flat_error_body_is_understood_too(start):
    body = {"object": "error", "message": "The maximum context length is 9 tokens", "code": 400}
    _, engine = await start(plain(400, body))
    assert (await failure(engine)).code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, InternalServerError),
        (403, InternalServerError),
        (404, NotFoundError),
        (422, BadRequestError),
        (500, ServiceUnavailableError),
        (503, ServiceUnavailableError),
    ],
)
async def test_statuses_become_our_errors(start, status, kind):
    _, engine = await start(plain(status, b"<html>"))
    found = await failure(engine)
    assert type(found) is kind
    assert "html" not in found.message


async def test_the_servers_key_is_never_told_to_the_caller(start):
    _, engine = await start(plain(401, {"error": {"message": "Incorrect API key: sk-abc"}}))
    found = await failure(engine)
    assert found.message == "The upstream refused the server's key."
    assert found.retryable is False


async def test_a_rate_limit_says_when_to_come_back(start):
    body = {"error": {"message": "Slow down"}}
    _, engine = await start(plain(429, body, "retry-after: 12\r\n"))
    found = await failure(engine)
    assert (type(found), found.retry_after) == (RateLimitError, 12.0)


async def test_a_broken_connection_is_tried_again_before_the_answer(start):
    upstream, engine = await start(hang_up, streamed([sse(chunk({"content": "a"}), *finish())]))
    assert len(await collect(engine, Generation(HELLO))) == 2
    assert len(upstream.asked) == 2


async def test_tries_are_limited(start):
    upstream, engine = await start(hang_up)
    assert type(await failure(engine)) is ServiceUnavailableError
    assert len(upstream.asked) == 2


async def test_nothing_is_tried_again_once_the_answer_began(start):
    begun = streamed([sse(chunk({"content": "a"}), end=False)], cut=True)
    upstream, engine = await start(begun)
    assert type(await failure(engine)) is ServiceUnavailableError
    assert len(upstream.asked) == 1


async def test_nobody_listening_is_unavailable(tmp_path):
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    options = {"base_url": f"http://127.0.0.1:{port}/v1", "retries": 0}
    engine = await UpstreamEngine.load(EngineConfig("theirs", tmp_path, options=options))
    assert type(await failure(engine)) is ServiceUnavailableError
    await engine.close()


async def test_silence_ends_after_the_time_limit(start):
    silent = asyncio.Event()

    async def wait(_: Asked, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    _, engine = await start(wait, timeout_s=0.1)
    found = await failure(engine)
    silent.set()
    assert (type(found), found.message) == (
        ServiceUnavailableError,
        "The upstream did not answer in time.",
    )


async def test_an_error_in_the_middle_is_raised(start):
    error = {"error": {"message": "Out of memory", "code": "oom"}}
    body = sse(chunk({"content": "a"}), error)
    _, engine = await start(streamed([body]))
    found = await failure(engine)
    assert (type(found), found.message) == (ServiceUnavailableError, "Out of memory")


async def test_an_answer_without_an_end_is_not_a_success(start):
    _, engine = await start(streamed([sse(chunk({"content": "a"}))]))
    assert type(await failure(engine)) is ServiceUnavailableError


async def test_an_answer_without_counts_is_not_a_success(start):
    _, engine = await start(streamed([sse(chunk(finish_reason="stop"))]))
    found = await failure(engine)
    assert "include_usage" in found.message


async def test_what_is_not_openais_is_an_error(start):
    _, engine = await start(streamed([b'data: {"choices": 3}\n\n']))
    assert type(await failure(engine)) is InternalServerError


async def test_closing_the_generator_closes_the_connection(start):
    async def forever(_: Asked, writer: asyncio.StreamWriter) -> None:
        piece = sse(chunk({"content": "a"}), end=False)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)

    upstream, engine = await start(forever)
    async with aclosing(engine.generate(Generation(HELLO))) as events:
        await anext(events)
        assert engine.status().busy == 1
    await asyncio.wait_for(upstream.gone.wait(), 5)
    assert engine.status().busy == 0


async def test_an_upstream_without_a_tokenizer_says_so(start):
    _, engine = await start(plain(404, {"detail": "Not Found"}))
    for ask in (engine.tokenize("a"), engine.detokenize([1]), engine.count_tokens(HELLO)):
        with pytest.raises(BadRequestError, match="offers no tokenizer"):
            await ask


async def test_tokens_come_from_an_upstream_that_has_them(start):
    counted = plain(200, {"count": 3, "tokens": [1, 2, 3]})
    upstream, engine = await start(counted, counted, counted, plain(200, {"prompt": "abc"}))
    assert await engine.tokenize("abc") == [1, 2, 3]
    assert await engine.count_tokens("abc") == 3
    assert await engine.count_tokens(HELLO) == 3
    assert await engine.detokenize([1, 2, 3]) == "abc"
    assert [asked.path for asked in upstream.asked] == ["/tokenize"] * 3 + ["/detokenize"]


async def test_a_chat_is_counted_through_its_template_where_only_text_is(start):
    upstream, engine = await start(
        plain(200, {"tokens": []}),
        plain(200, {"prompt": "<user>Hello"}),
        plain(200, {"tokens": [4, 5]}),
    )
    assert await engine.count_tokens(HELLO) == 2
    assert upstream.asked[2].body["content"] == "<user>Hello"


async def test_window_and_slots_have_room_unless_set(start, tmp_path):
    _, engine = await start(streamed([]))
    assert (engine.window, engine.slots) == (131_072, 64)
    config = EngineConfig(
        "theirs", tmp_path, slots=2, context=512, options={"base_url": "http://x/v1"}
    )
    bounded = await UpstreamEngine.load(config)
    assert (bounded.window, bounded.slots, bounded.status().state) == (512, 2, "ready")
    await bounded.close()


def scored(prompt_tokens: int, *tokens: str, **more: Any) -> Answer:
    """Answer a request for the log-probabilities of a prompt."""
    figures = [None, *(-1.0 for _ in tokens[1:])]
    logprobs = {"tokens": tokens, "token_logprobs": figures, **more}
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": 0}
    return plain(200, {"choices": [{"text": "", "logprobs": logprobs}], "usage": usage})


async def test_a_prompt_is_scored_by_the_upstream(start):
    top = [None, {" there": -1.0, " you": -2.0}]
    upstream, engine = await start(scored(2, "Hello", " there", top_logprobs=top))
    found = await engine.score("Hello there", 2)
    assert [one.token for one in found] == ["Hello", " there"]
    others = (Candidate(" there", b" there", -1.0), Candidate(" you", b" you", -2.0))
    assert found[1] == TokenLogprob(" there", b" there", -1.0, others)
    assert upstream.asked[0].path == "/v1/completions"
    wanted = {"echo": True, "max_tokens": 0, "logprobs": 2}
    assert upstream.asked[0].body == {"model": "theirs", "prompt": "Hello there", **wanted}


async def test_a_mark_of_the_beginning_is_left_out_of_a_score(start):
    _, engine = await start(scored(2, "<s>", "Hello"))
    assert [one.token for one in await engine.score("Hello", 0)] == ["Hello"]


async def test_parts_of_characters_in_a_score_are_bytes(start):
    _, engine = await start(scored(2, "bytes:\\xf0\\x9f", "bytes:\\x90\\x95"))
    found = await engine.score("🐕", 0)
    assert b"".join(one.bytes for one in found).decode() == "🐕"


@pytest.mark.parametrize("answer", [scored(2), scored(5, "Hello"), plain(200, {"choices": []})])
async def test_an_upstream_that_scores_nothing_is_told_of(start, answer):
    _, engine = await start(answer)
    with pytest.raises(BadRequestError) as caught:
        await engine.score("Hello", 0)
    assert caught.value.param == "echo"


async def test_a_suffix_is_passed_on(start):
    upstream, engine = await start(streamed([sse(*finish())]))
    await collect(engine, Generation("a", suffix="c"))
    assert upstream.asked[0].body["suffix"] == "c"
