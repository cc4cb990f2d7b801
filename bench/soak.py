"""Streams of which half are left midway, for minutes: slots, memory and connections must not leak.

Run: ``python bench/soak.py [--seconds S] [--requests N] [--clients N] [--json FILE]``. Memory
counts from the moment at which so many requests have been made, since caches and pools fill before.
Exits with 1 where a slot stays taken, memory grows by more than 5 MB, or anything fails.
"""

import argparse
import asyncio
import http.client
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Final

import tiny_model
import uvloop
from load import Load, Target, drive, request
from machine import facts
from processes import Running, product

LOAD: Final = Load(1, 64, stream=True)
_ALL_SLOTS: Final = Load(8, 64, stream=True)
_GROWTH_MB: Final = 5.0
_SAMPLES: Final = 3  # begin, warm, end
_SETTLE_S: Final = 10.0
_ANSWER_S: Final = 120.0
_TEXT: Final = b'"content":"'
_COMPLETE: Final = b'"finish_reason":"length"'
_SAMPLE: Final = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_STATUS: Final = re.compile(r'operation="createChatCompletion",status="(\d+)"')


@dataclass(slots=True)
class Soak:
    """What has happened so far."""

    target: Target
    chance: random.Random
    ends: float
    warm_after: int
    warm: Callable[[], None]
    outcomes: Counter[str] = field(default_factory=Counter[str])

    @property
    def requests(self) -> int:
        return self.outcomes.total()

    async def repeat(self) -> None:
        """Ask again and again; leave every other answer."""
        leaving = self.chance.random() < 0.5
        while time.perf_counter() < self.ends:
            leaving = not leaving
            try:
                async with asyncio.timeout(_ANSWER_S):
                    outcome = await self._ask(leaving=leaving)
            except (OSError, TimeoutError) as error:
                outcome = f"failed: {type(error).__name__} {error}"
            self.outcomes[outcome] += 1
            if self.requests == self.warm_after:
                self.warm()

    async def _ask(self, *, leaving: bool) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target.port)
        try:
            prompt = f"Tell a story about {self.chance.random()}."
            writer.write(request(self.target, LOAD, prompt))
            await writer.drain()
            if leaving:
                return await self._leave(reader)
            return await _read_all(reader)
        finally:
            writer.close()

    async def _leave(self, reader: asyncio.StreamReader) -> str:
        """Read some of the texts; one in eight leaves before the first, maybe still in the line.

        An answer has fewer texts than tokens: a character may take several.
        """
        texts = 0 if self.chance.random() < 1 / 8 else self.chance.randrange(1, LOAD.tokens // 2)
        if not texts:
            await asyncio.sleep(self.chance.random() / 10)
            return "left before the first text"
        async for line in reader:
            texts -= _TEXT in line
            if texts <= 0:
                return "left midway"
        return "failed: ended before it was left"


async def _read_all(reader: asyncio.StreamReader) -> str:
    complete = False
    async for line in reader:
        complete = complete or _COMPLETE in line
        if line.startswith(b"data: [DONE]"):
            return "answered" if complete else "failed: incomplete"
    return "failed: ended early"


@dataclass(frozen=True, slots=True)
class Sample:
    """The server at one moment: megabytes by process, and open files."""

    after_s: float
    requests: int
    memory_mb: dict[str, float]
    files: int


@dataclass(slots=True)
class Result:
    """What a soak found."""

    samples: list[Sample]
    outcomes: dict[str, int]
    statuses: dict[str, int]
    engine: dict[str, float]
    faults: list[str] = field(default_factory=list[str])


async def soak(server: Running, *, clients: int, seconds: float, requests: int) -> Result:
    """Let so many clients ask for so long, then look what stayed behind."""
    await drive(server.target, _ALL_SLOTS, repeat("Hello"), 0.5)
    samples: list[Sample] = []
    started = time.perf_counter()

    def sample() -> None:
        files = sum(1 for _ in Path(f"/proc/{server.pid}/fd").iterdir())
        passed = time.perf_counter() - started
        samples.append(Sample(passed, state.requests, server.memory_mb(), files))

    chance = random.Random(1)  # noqa: S311 - no secret
    state = Soak(server.target, chance, started + seconds, requests, sample)
    sample()
    await asyncio.gather(*(state.repeat() for _ in range(clients)))
    engine = await _settled(server.target)
    sample()
    await drive(server.target, _ALL_SLOTS, repeat("Hello"), 0.5)  # fails where a slot is gone
    result = Result(samples, dict(state.outcomes), await _statuses(server.target), engine)
    result.faults.extend(_faults(result))
    return result


async def _settled(target: Target) -> dict[str, float]:
    """Return the engine's figures as soon as nothing runs, or after some seconds."""
    ends = time.perf_counter() + _SETTLE_S
    while True:
        text = await asyncio.to_thread(_metrics, target)
        figures = {
            name.removeprefix("freehold_engine_"): float(value)
            for name, _, value in _SAMPLE.findall(text)
            if name in _ENGINE
        }
        if not (figures["busy"] or figures["queued"]) or time.perf_counter() > ends:
            return figures
        await asyncio.sleep(0.1)


_ENGINE: Final = tuple(f"freehold_engine_{name}" for name in ("busy", "queued", "restarts"))


async def _statuses(target: Target) -> dict[str, int]:
    """Return how often each status was answered."""
    text = await asyncio.to_thread(_metrics, target)
    return {
        found.group(1): int(float(value))
        for name, labels, value in _SAMPLE.findall(text)
        if name == "freehold_requests_total" and (found := _STATUS.search(labels))
    }


def _metrics(target: Target) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _faults(result: Result) -> Iterator[str]:
    yield from (f"{count} x {name}" for name, count in result.outcomes.items() if "fail" in name)
    yield from (f"{count} answers {s}" for s, count in result.statuses.items() if s >= "5")
    yield from (f"{name}: {value:g}" for name, value in result.engine.items() if value)
    warm, end = result.samples[-2:]
    if len(result.samples) < _SAMPLES:
        yield f"only {end.requests} requests were made"
    for name, size in end.memory_mb.items():
        if (growth := size - warm.memory_mb[name]) > _GROWTH_MB:
            yield f"the {name} grew by {growth:.1f} MB"


def lines(result: Result) -> Iterator[str]:
    """Yield a Markdown table of the samples, then the outcomes."""
    yield "| after, s | requests | server, MB | engine, MB | open files |"
    yield "|--:|--:|--:|--:|--:|"
    for sample in result.samples:
        memory = sample.memory_mb
        yield (
            f"| {sample.after_s:.0f} | {sample.requests} | {memory['server']:.1f} | "
            f"{memory['engine']:.1f} | {sample.files} |"
        )
    yield ""
    yield f"Outcomes: {result.outcomes}; statuses: {result.statuses}; engine: {result.engine}"
    yield f"Faults: {'; '.join(result.faults) or 'none'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--requests", type=int, default=2000, help="made before memory counts")
    parser.add_argument("--json", type=Path, help="write everything here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as name:
        weights = Path(name) / "tiny.gguf"
        tiny_model.write(weights)
        with product(Path(name) / "product", weights) as server:
            result = uvloop.run(
                soak(server, clients=given.clients, seconds=given.seconds, requests=given.requests)
            )
    print("\n".join(lines(result)))
    if given.json:
        report = {"machine": facts(), **asdict(result)}
        given.json.write_text(json.dumps(report, indent=1) + "\n")
    sys.exit(bool(result.faults))


if __name__ == "__main__":
    main()
