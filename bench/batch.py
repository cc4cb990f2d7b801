"""A batch of short chats against the same sent live, and live requests while a batch runs.

Run: ``python bench/batch.py [--requests N] [--rounds N] [--json FILE]``. Exits with 1 where a batch
reaches less than 0.9 of the live rate, or the time to the first token of a live request is more
than doubled by a batch.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
import tiny_model
from load import Load, Target, drive, in_a_row
from machine import facts
from processes import product

_TOKENS: Final = 32
_CLIENTS: Final = 64  # more than the engine has slots: full concurrency
_LEAST_RATE: Final = 0.9
_MOST_WAIT: Final = 2.0
_LIVE: Final = Load(_CLIENTS, _TOKENS, stream=False)
_FIRST: Final = Load(1, _TOKENS, stream=True)
_FIRSTS: Final = 30
_PAUSE_S: Final = 0.05
Figures = dict[str, list[float]]


async def measure(target: Target, requests: int, rounds: int) -> Figures:
    """Return requests per second, live and in a batch, and seconds to first tokens, by round."""
    prompts = _prompts()
    found: Figures = {"live, 1/s": [], "batch, 1/s": [], "alone, s": [], "beside, s": []}
    url, headers = f"http://127.0.0.1:{target.port}/v1", {"Authorization": f"Bearer {target.key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
        for _ in range(rounds):
            live = await drive(target, _LIVE, prompts, 3.0)
            rate = len(live.answers) / live.seconds
            found["live, 1/s"].append(rate)
            started = time.perf_counter()
            await _until(http, await _create(http, prompts, requests), "completed")
            found["batch, 1/s"].append(requests / (time.perf_counter() - started))
            found["alone, s"].append(await _first(target, prompts))
            batch_id = await _create(http, prompts, max(requests, round(rate * 30)))
            await _until(http, batch_id, "in_progress")
            found["beside, s"].append(await _first(target, prompts))
            answer = await http.post(f"/batches/{batch_id}/cancel")
            answer.raise_for_status()  # the batch still ran: all first tokens came beside it
            await _until(http, batch_id, "cancelled")
    return found


async def _first(target: Target, prompts: Iterator[str]) -> float:
    firsts: list[float] = []
    for _ in range(_FIRSTS):
        (answer,) = await in_a_row(target, _FIRST, prompts, 1)
        firsts.append(answer.first)
        await asyncio.sleep(_PAUSE_S)
    return statistics.median(firsts)


async def _create(http: httpx.AsyncClient, prompts: Iterator[str], requests: int) -> str:
    lines = "\n".join(_line(number, next(prompts)) for number in range(requests))
    sent = {"files": {"file": ("in.jsonl", lines.encode())}, "data": {"purpose": "batch"}}
    file = (await http.post("/files", **sent)).raise_for_status().json()
    body = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
    made = await http.post("/batches", json={**body, "input_file_id": file["id"]})
    return made.raise_for_status().json()["id"]


def _line(number: int, prompt: str) -> str:
    messages = [{"role": "user", "content": prompt}]
    body = {"model": "gpt-4o", "messages": messages, "max_tokens": _TOKENS, "temperature": 0}
    line = {"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions"}
    return json.dumps({**line, "body": body})


async def _until(http: httpx.AsyncClient, batch_id: str, status: str) -> dict[str, Any]:
    while True:
        batch = (await http.get(f"/batches/{batch_id}")).raise_for_status().json()
        if batch["status"] == status:
            return batch
        if batch["status"] in ("failed", "expired"):
            sys.exit(f"{batch_id} is {batch['status']}: {batch['errors']}")
        await asyncio.sleep(0.1)


def _prompts() -> Iterator[str]:
    return (f"Tell a short story about the number {number}." for number in count())


def main() -> None:
    """Measure, print the medians, exit 1 where a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "tiny.gguf"
        tiny_model.write(weights)
        with product(Path(folder) / "product", weights) as running:
            found = asyncio.run(measure(running.target, options.requests, options.rounds))
    middle = {name: statistics.median(values) for name, values in found.items()}
    rate = middle["batch, 1/s"] / middle["live, 1/s"]
    wait = middle["beside, s"] / middle["alone, s"]
    for name, value in middle.items():
        print(f"{name:12} {value:10.4f}")
    print(f"batch/live   {rate:10.2f}  (at least {_LEAST_RATE})")
    print(f"beside/alone {wait:10.2f}  (at most {_MOST_WAIT})")
    if options.json:
        options.json.write_text(json.dumps({"machine": facts(), "rounds": found}, indent=2))
    sys.exit(rate < _LEAST_RATE or wait > _MOST_WAIT)


if __name__ == "__main__":
    main()
