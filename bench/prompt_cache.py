"""Time to first text where the server has seen the first 2,000 tokens, against a new prompt.

Run: ``python bench/prompt_cache.py [--weights FILE] [--rounds N] [--json FILE]``. Without weights
it is the tiny model. Each case begins with a new prefix; both servers get the same requests, one at
a time unless the case says otherwise. "Cached" is what ``prompt_tokens_details`` says.
"""

import argparse
import http.client
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import tiny_model
from load import Target
from machine import facts
from processes import peer, product

PREFIX_TOKENS: Final = 2000
_PROBE_SENTENCES: Final = 200
_ANSWER_TOKENS: Final = 24
_LONG_ANSWER_TOKENS: Final = 200
_GOAL: Final = 3.0
_QUESTION: Final = "Write a long story about a river."
_NEXT_QUESTION: Final = "Now write a long one about a stone."

Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One answered request."""

    first_s: float
    prompt: int
    cached: int
    text: str


@dataclass(frozen=True, slots=True)
class Pair:
    """The request with a new prefix and the one that shares it."""

    new: Asked
    again: Asked


class WrongAnswerError(Exception):
    """The server answered with an error; the message is what it said."""


class Stream:
    """A streamed chat, read as far as its first text when it is made."""

    def __init__(self, target: Target, messages: Messages, most: int = _ANSWER_TOKENS) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=300)
        body = {
            "model": "tiny",  # an own id: its usage counts the engine's tokens
            "messages": messages,
            "max_tokens": most,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {target.key}"}
        started = time.perf_counter()
        self._connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        self._events = self._read()
        self._text = next(self._events, "")  # a model may say nothing: then it is the end
        self._first_s = time.perf_counter() - started

    def finish(self) -> Asked:
        """Read the rest."""
        with closing(self._connection):
            self._text += "".join(self._events)
        details = self._usage["prompt_tokens_details"]
        return Asked(
            self._first_s, self._usage["prompt_tokens"], details["cached_tokens"], self._text
        )

    def _read(self) -> Iterator[str]:
        """Yield the texts; note the usage."""
        response = self._connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise WrongAnswerError(f"{response.status}: {response.read()[:200].decode()}")
        for line in response:
            data = line.removeprefix(b"data: ").strip()
            if not data.startswith(b"{"):
                continue
            event = json.loads(data)
            if "error" in event:
                raise WrongAnswerError(event["error"]["message"])
            self._usage: dict[str, Any] = event.get("usage") or {}
            for choice in event["choices"]:
                if text := choice["delta"].get("content"):
                    yield text


class Prefixes:
    """New system prompts of about 2,000 tokens of a server's tokenizer."""

    def __init__(self, target: Target) -> None:
        self._chance = random.Random(1)  # noqa: S311 - no secret
        probe = Stream(target, [_system(self._sentences(_PROBE_SENTENCES))]).finish()
        empty = Stream(target, [_system("a")]).finish()
        self._count = PREFIX_TOKENS * _PROBE_SENTENCES // (probe.prompt - empty.prompt)

    def new(self, share: float = 1) -> dict[str, str]:
        """Return a new one, or one of so many times the length."""
        return _system(self._sentences(int(self._count * share)))

    def _sentences(self, count: int) -> str:
        return ". ".join(f"There is a {self._chance.choice(_WORDS)}" for _ in range(count))


_WORDS: Final = (
    "river", "stone", "window", "garden", "letter", "morning", "winter", "paper", "market",
    "silver", "bridge", "candle", "forest", "mirror", "pocket", "summer", "ticket", "valley",
)  # fmt: skip


def _system(text: str) -> dict[str, str]:
    return {"role": "system", "content": text}


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def next_message(target: Target, prefixes: Prefixes) -> Pair:
    """Ask the second question of a conversation, with the first answer in it."""
    return _next_message_after(target, prefixes)


def _next_message_after(target: Target, prefixes: Prefixes, other_share: float = 0) -> Pair:
    """Ask again after another conversation of so many times the length began in between."""
    messages = [prefixes.new(), _user(_QUESTION)]
    new = Stream(target, messages).finish()
    if other_share:
        Stream(target, [prefixes.new(other_share), _user(_QUESTION)]).finish()
    answer = {"role": "assistant", "content": new.text}
    again = Stream(target, [*messages, answer, _user(_NEXT_QUESTION)]).finish()
    return Pair(new, again)


def other_question(target: Target, prefixes: Prefixes) -> Pair:
    """Another conversation with the same system prompt, after the first has ended."""
    return _with_chats_between(target, prefixes, 0)


def _with_chats_between(target: Target, prefixes: Prefixes, chats: int) -> Pair:
    prefix = prefixes.new()
    new = Stream(target, [prefix, _user(_QUESTION)]).finish()
    for number in range(chats):
        Stream(target, [_user(f"{number}: tell me of the {_WORDS[number]}.")]).finish()
    return Pair(new, Stream(target, [prefix, _user(_NEXT_QUESTION)]).finish())


def _at_the_same_time(target: Target, prefixes: Prefixes, share: float) -> Pair:
    """Ask with the same system prompt while the first conversation is being answered."""
    prefix = prefixes.new(share)
    running = Stream(target, [prefix, _user(_QUESTION)], _LONG_ANSWER_TOKENS)
    again = Stream(target, [prefix, _user(_NEXT_QUESTION)]).finish()
    return Pair(running.finish(), again)


Case = Callable[[Target, Prefixes], Pair]
CASES: Final[dict[str, Case]] = {
    "next message of the conversation": next_message,
    "another question, same system prompt": other_question,
    "the same after 4 other short chats": lambda t, p: _with_chats_between(t, p, 4),
    "the same after 9 other short chats": lambda t, p: _with_chats_between(t, p, 9),
    "next message, another 1,000 tokens in between": lambda t, p: _next_message_after(t, p, 0.5),
    "next message, another 2,000 tokens in between": lambda t, p: _next_message_after(t, p, 1),
    "at the same time, both fit": lambda t, p: _at_the_same_time(t, p, 0.5),
    "at the same time, only one fits": lambda t, p: _at_the_same_time(t, p, 1),
}


@dataclass(frozen=True, slots=True)
class Result:
    """The rounds of a case on one server, or why it failed."""

    pairs: list[Pair]
    error: str | None = None


def measure(target: Target, cases: Sequence[str], rounds: int) -> dict[str, Result]:
    """Run each case so many times on a server."""
    prefixes = Prefixes(target)
    results: dict[str, Result] = {}
    for name in cases:
        results[name] = _run(CASES[name], target, prefixes, rounds)
        print(f"{name}: {results[name].error or 'measured'}", file=sys.stderr)
    return results


def _run(case: Case, target: Target, prefixes: Prefixes, rounds: int) -> Result:
    try:
        return Result([case(target, prefixes) for _ in range(rounds)])
    except WrongAnswerError as error:
        return Result([], str(error))


def table(found: dict[str, dict[str, Result]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield "| case | server | prompt | cached | TTFT new, ms | TTFT again, ms | shorter | >= 3 |"
    yield "|---|---|--:|--:|--:|--:|--:|---|"
    for case in next(iter(found.values())):
        for server, results in found.items():
            yield f"| {case} | {server} | {_cells(results[case])} |"


def _cells(result: Result) -> str:
    if result.error:
        return f"failed: {result.error} | | | | | no"
    new = median(pair.new.first_s * 1e3 for pair in result.pairs)
    again = median(pair.again.first_s * 1e3 for pair in result.pairs)
    last = result.pairs[-1].again
    met = "yes" if new / again >= _GOAL else "no"
    return f"{last.prompt} | {last.cached} | {new:.4g} | {again:.4g} | {new / again:.1f} | {met}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, help="GGUF file instead of the tiny model")
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this (repeat)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every pair here")
    options = parser.parse_args()
    found: dict[str, dict[str, Result]] = {}
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as name:
        folder = Path(name)
        weights = options.weights and options.weights.absolute()
        if not weights:
            weights = folder / "tiny.gguf"
            tiny_model.write(weights)
        for server, start in (("Freehold", product), ("llama.cpp", peer)):
            with start(folder / server, weights) as running:
                found[server] = measure(running.target, options.case or list(CASES), options.rounds)
    print("\n".join(table(found)))
    if options.json:
        servers = {
            server: {case: asdict(result) for case, result in results.items()}
            for server, results in found.items()
        }
        report = {"machine": facts(), "servers": servers}
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
