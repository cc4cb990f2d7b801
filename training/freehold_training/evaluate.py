"""Ask a model the questions of the evaluation through its server's API, and judge its answers.

``python -m freehold_training.evaluate --base-url http://127.0.0.1:8080/v1 --model gpt-4o`` works
with any OpenAI-compatible server. The temperature is 0; tools are offered with ``tool_choice``
``auto``. An item that the client or server fails at counts as wrong, is shown, and is asked again
when the command is run again with the same ``--out``.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import openai
from openai.types.chat import ChatCompletion

from freehold_training.example import Item
from freehold_training.items import ROWS, load
from freehold_training.judge import Verdict, judge
from freehold_training.results import Answered, Figure, Results, ResultsError, digest, figures

Message = dict[str, Any]
Say = Callable[[str], None]

CONCURRENCY = 4
_MAX_TOKENS = 256
_TIMEOUT_S = 1800  # a long text on a slow machine
_NEWS_S = 20


class EvaluationError(Exception):
    """There is no use in asking; the message is one line that says why."""


@dataclass(frozen=True)
class Server:
    """An OpenAI-compatible server, up to and with ``/v1``, and the model to ask there."""

    base_url: str
    api_key: str
    model: str

    def client(self) -> openai.AsyncOpenAI:
        """Return a client for it."""
        return openai.AsyncOpenAI(base_url=self.base_url, api_key=self.api_key, timeout=_TIMEOUT_S)


def evaluate(
    server: Server,
    out: Path,
    *,
    rows: Sequence[str] = ROWS,
    limit: int | None = None,
    concurrency: int = CONCURRENCY,
    say: Say = print,
) -> list[Figure]:
    """Ask what ``out`` does not hold yet, and return the figures of all these items.

    Progress and the table go to ``say``, line by line. Raises ``EvaluationError``.
    """
    try:
        items = load(rows, limit)
        results = Results(out, server.model)
    except (ValueError, ResultsError) as error:
        raise EvaluationError(str(error)) from None
    asyncio.run(_ask_all(server, items, results, concurrency, say))
    found = [results.answers[item["id"]] for item in items]
    lines = figures(found)
    for line in (*table(lines), *_errors(found), f"All answers are in {out}."):
        say(line)
    return lines


def table(lines: Sequence[Figure]) -> list[str]:
    """Return the figures as text in columns."""
    rows = [
        (line.name, str(line.total), f"{line.share:.1%}", _interval(line), str(line.errors or ""))
        for line in lines
    ]
    rows.insert(0, ("", "n", "right", "95 % interval", "errors"))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _interval(line: Figure) -> str:
    low, high = line.interval
    return f"{low:.0%} to {high:.0%}"


def _errors(answers: Sequence[Answered]) -> list[str]:
    return [f"{answer.id}: {answer.error}" for answer in answers if answer.error is not None]


async def _ask_all(
    server: Server, items: Sequence[Item], results: Results, concurrency: int, say: Say
) -> None:
    left = [item for item in items if results.lacks(item)]
    progress = _Progress(len(left), len(items), say)
    free = asyncio.Semaphore(concurrency)

    async def one(item: Item) -> None:
        async with free:
            answered = await _answered(client, server.model, item)
        results.add(answered)
        progress.count(answered)

    async with server.client() as client:
        await _check(client)
        async with asyncio.TaskGroup() as group:
            for item in left:
                group.create_task(one(item))


async def _check(client: openai.AsyncOpenAI) -> None:
    """Raise ``EvaluationError`` where no request can succeed."""
    try:
        await client.models.list()
    except openai.APIConnectionError:
        raise EvaluationError(f"No server answers at {client.base_url}.") from None
    except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
        raise EvaluationError(f"The server refuses the key: {error.message}") from None
    except openai.NotFoundError:  # a server that lists no models may still chat
        return


async def _answered(client: openai.AsyncOpenAI, model: str, item: Item) -> Answered:
    began = time.monotonic()
    answers: list[Message] = []
    error = None
    try:
        await _converse(client, model, item, answers)
        verdict = judge(item, answers[-1])
    except openai.OpenAIError as problem:
        error = f"{type(problem).__name__}: {problem}"
        verdict = Verdict(error)
    return Answered(
        id=item["id"],
        row=item["row"],
        digest=digest(item),
        passed=verdict.passed if item["expect"] else None,
        right_tools=verdict.right_tools,
        wrong=verdict.wrong,
        answers=answers,
        error=error,
        seconds=round(time.monotonic() - began, 2),
    )


async def _converse(
    client: openai.AsyncOpenAI, model: str, item: Item, answers: list[Message]
) -> None:
    """Add the model's answers: one to all messages, and one between each two of a user's turns."""
    said: list[Message] = []
    for message in item["messages"]:
        if said and said[-1]["role"] == message["role"] == "user":
            answers.append(await _ask(client, model, item, said))
            said.append(answers[-1])
        said.append(message)
    answers.append(await _ask(client, model, item, said))


async def _ask(
    client: openai.AsyncOpenAI, model: str, item: Item, messages: Sequence[Message]
) -> Message:
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "temperature": 0,
        "max_tokens": item.get("max_tokens", _MAX_TOKENS),
    }
    if tools := item.get("tools"):
        body |= {"tools": tools, "tool_choice": "auto"}
    if response_format := item.get("response_format"):
        body["response_format"] = response_format
    answer = cast("ChatCompletion", await client.chat.completions.create(**body))
    return answer.choices[0].message.model_dump(mode="json", exclude_none=True)


class _Progress:
    """Says every few seconds how far it is."""

    def __init__(self, left: int, total: int, say: Say) -> None:
        self._left, self._say = left, say
        self._done = self._errors = 0
        self._began = self._told = time.monotonic()
        say(f"{total} items, {total - left} of them answered before.")

    def count(self, answered: Answered) -> None:
        """Take note of one more answer."""
        self._done += 1
        self._errors += answered.error is not None
        now = time.monotonic()
        if now - self._told > _NEWS_S or self._done == self._left:
            self._told = now
            rest = (now - self._began) / self._done * (self._left - self._done)
            self._say(
                f"{self._done} of {self._left} answered, {self._errors} errors, "
                f"about {rest / 60:.0f} minutes left"
            )


def main() -> None:
    """Run the evaluation as the command line says."""
    parser = argparse.ArgumentParser(description="Ask a model the questions of the evaluation.")
    parser.add_argument("--base-url", required=True, help="the server, up to and with /v1")
    parser.add_argument("--api-key", default=os.environ.get("OPENAI_API_KEY", "none"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--rows", nargs="+", default=ROWS, choices=ROWS)
    parser.add_argument("--limit", type=int, help="items of each row at most")
    parser.add_argument("--out", type=Path, default=Path("results.jsonl"))
    parser.add_argument("--concurrency", type=int, default=CONCURRENCY)
    given = vars(parser.parse_args())
    server = Server(*(given.pop(name) for name in ("base_url", "api_key", "model")))
    try:
        evaluate(server, **given)
    except EvaluationError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
