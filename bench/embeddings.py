"""Embeddings of ``freehold serve`` beside the library called directly and llama.cpp's own server.

Run: ``python bench/embeddings.py [--state-dir DIR] [--case NAME ...] [--rounds N] [--quick]``.
DIR holds the weights that ``freehold models pull`` fetched. All three compute all-MiniLM-L6-v2 in
single precision on one engine thread. "Directly" is the same network in this process: texts are
tokenized, sorted, batched and pooled as the product does it, without a server around them. Rounds
alternate, a figure is the median of the rounds, and what counts are the ratios.
"""

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import minilm_gguf
import orjson
import tiny_model
from load import Target
from machine import facts
from processes import Running, product

from freehold.engines.backends.minilm_batches import Batches
from freehold.engines.backends.minilm_model import EmbeddingModel
from freehold.engines.weights import WeightsStore

_MODEL: Final = "all-minilm-l6-v2"
_PEER: Final = Path(__file__).with_name("embeddings_peer.py")
_WORDS: Final = (
    "river", "stone", "window", "garden", "letter", "morning", "winter", "paper", "market",
    "silver", "bridge", "candle", "forest", "mirror", "pocket", "summer", "ticket", "valley",
    "wagon", "yellow", "answer", "button", "corner", "dinner", "engine", "finger", "ground",
    "hammer", "island", "jacket", "kitchen", "ladder", "machine", "number", "orange", "pencil",
)  # fmt: skip

Texts = list[str]
Figures = dict[str, list[float]]
Measured = tuple[list[float], "Clock"]


@dataclass(frozen=True, slots=True)
class Case:
    """So many clients that each ask for so many texts of so many words, again and again."""

    batch: int
    words: int
    clients: int

    @property
    def name(self) -> str:
        return f"{self.batch} x {self.words} words, {self.clients} clients"

    def texts(self, chance: random.Random) -> Texts:
        """Return new texts; their lengths differ by up to a quarter."""
        spread = self.words // 4
        sizes = (
            chance.randint(self.words - spread, self.words + spread) for _ in range(self.batch)
        )
        return [" ".join(chance.choices(_WORDS, k=size)) for size in sizes]


CASES: Final = [
    Case(batch, words, clients)
    for words in (20, 200)
    for batch in (1, 16, 256)
    for clients in (1, 8, 32)
    if batch * words * clients <= 60_000  # more would take minutes a round
]


class Clock:
    """Seconds and processor seconds since it was made."""

    def __init__(self, cpu: Callable[[], float]) -> None:
        self._cpu = cpu
        self._started = time.perf_counter()
        self._before = cpu()

    def stop(self) -> tuple[float, float]:
        return time.perf_counter() - self._started, self._cpu() - self._before


@dataclass(slots=True)
class Result:
    """Texts per second, latency (ms) and processor time per text (ms) of each round, by who."""

    speed: Figures = field(default_factory=dict[str, list[float]])
    latency: Figures = field(default_factory=dict[str, list[float]])
    cpu: Figures = field(default_factory=dict[str, list[float]])

    def add(self, name: str, latencies: Sequence[float], texts: int, clock: Clock) -> None:
        seconds, cpu = clock.stop()
        self.speed.setdefault(name, []).append(texts / seconds)
        self.latency.setdefault(name, []).append(median(latencies) * 1e3)
        self.cpu.setdefault(name, []).append(cpu / texts * 1e3)

    def ratio(self, other: str) -> float:
        """Return the product's texts per second by another's, as a median of the rounds."""
        rounds = zip(self.speed["product"], self.speed[other], strict=True)
        return median(ours / theirs for ours, theirs in rounds)


class Direct:
    """The network called in this process."""

    def __init__(self, weights: Path) -> None:
        self._model = EmbeddingModel.load(weights, threads=1)

    def embed(self, texts: Texts) -> None:
        job, windows = self._model.job(0, list(texts))
        batches = Batches()
        batches.add(windows)
        while job.left:
            self._model.compute(batches.take())
        job.vectors()


def run_direct(direct: Direct, case: Case, seconds: float, seed: int, result: Result) -> None:
    """Embed in a loop: what one client asks for at once, then the next."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    direct.embed(case.texts(chance))
    latencies: list[float] = []
    until, clock = time.perf_counter() + seconds, Clock(time.process_time)
    while (now := time.perf_counter()) < until or len(latencies) < 3:
        direct.embed(case.texts(chance))
        latencies.append(time.perf_counter() - now)
    result.add("direct", latencies, len(latencies) * case.batch, clock)


async def run_server(server: Running, case: Case, seconds: float, seed: int) -> Measured:
    """Ask a server with as many clients as the case has, until the last answer is there."""
    latencies: list[float] = []
    together = asyncio.Barrier(case.clients + 1)

    async def client(number: int) -> None:
        chance = random.Random(seed * 1000 + number)  # noqa: S311 - no secret
        with closing(Connection(server.target)) as connection:
            await connection.ask(case.texts(chance))
            await together.wait()
            until, first = time.perf_counter() + seconds, True
            while (now := time.perf_counter()) < until or first:
                await connection.ask(case.texts(chance))
                latencies.append(time.perf_counter() - now)
                first = False

    clients = [asyncio.create_task(client(number)) for number in range(case.clients)]
    await together.wait()
    clock = Clock(server.cpu_seconds)
    await asyncio.gather(*clients)
    return latencies, clock


class Connection:
    """A keep-alive connection, opened anew where the server has closed it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, texts: Texts) -> None:
        """Ask for the texts' vectors. Raises ``RuntimeError`` where they are not answered."""
        fields = {"model": "text-embedding-3-small", "input": texts, "encoding_format": "base64"}
        body = orjson.dumps(fields)
        head = (
            f"POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1:{self._target.port}\r\n"
            f"Content-Type: application/json\r\nAuthorization: Bearer {self._target.key}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        status, answer = await self._exchange(head.encode() + body)
        if status != b"200" or answer.count(b'"embedding":"') != len(texts):
            raise RuntimeError(f"not answered: {status!r} {answer[:300]!r}")

    async def _exchange(self, request: bytes) -> tuple[bytes, bytes]:
        while True:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._target.port)
            reader, writer = self._streams
            writer.write(request)
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                self.close()
                continue
            length = re.search(rb"content-length: (\d+)", head.lower())
            answer = await reader.readexactly(int(length.group(1)) if length else 0)
            if b"connection: close" in head.lower():
                self.close()
            return head.split(b" ", 2)[1], answer

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@contextmanager
def llama_server(folder: Path, weights: Path) -> Generator[Running, None, None]:
    """Run llama.cpp's own server on the same numbers."""
    converted = folder / "minilm.gguf"
    minilm_gguf.write(weights, converted)
    command = [sys.executable, str(_PEER), str(converted)]
    with (
        (folder / "peer.txt").open("w") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout and process.stdin  # noqa: S101, PT018 - narrows the types
        port = int(process.stdout.readline().rpartition(":")[2])
        yield Running(Target(port), process.pid)
        process.stdin.close()


def measure(
    cases: Sequence[Case], given: argparse.Namespace, runs: Callable[..., None]
) -> dict[str, Result]:
    """Measure every case in rounds of alternating order."""
    results: dict[str, Result] = {}
    for case in cases:
        results[case.name] = Result()
        for number in range(given.rounds):
            runs(case, number, results[case.name])
        print(f"{case.name}: measured", file=sys.stderr)
    return results


def run(given: argparse.Namespace, folder: Path) -> dict[str, Result]:
    """Start both servers and measure the cases asked for."""
    state = Path(given.state_dir).expanduser()
    weights = WeightsStore(state).path(_MODEL)
    (folder / "product" / "state").mkdir(parents=True)
    (folder / "product" / "state" / "weights").symlink_to((state / "weights").absolute())
    tiny_model.write(folder / "tiny.gguf")
    direct = Direct(weights)
    with (
        product(folder / "product", folder / "tiny.gguf") as ours,
        llama_server(folder, weights) as theirs,
    ):

        def ask(name: str, server: Running, case: Case, number: int, result: Result) -> None:
            asked = run_server(server, case, given.seconds, number + 1)
            latencies, clock = asyncio.run(asked)
            result.add(name, latencies, len(latencies) * case.batch, clock)

        def once(case: Case, number: int, result: Result) -> None:
            steps = [
                lambda: ask("product", ours, case, number, result),
                lambda: run_direct(direct, case, given.seconds, number + 1, result),
                lambda: ask("llama.cpp", theirs, case, number, result),
            ]
            for step in steps[:: 1 if number % 2 else -1]:
                step()

        wanted = [case for case in CASES if not given.case or case.name in given.case]
        return measure(wanted, given, once)


def table(results: dict[str, Result]) -> Generator[str, None, None]:
    """Yield the lines of a Markdown table; three figures are Freehold's, direct, llama.cpp's."""
    yield "| case | texts/s | / directly | / llama.cpp | p50, ms | CPU per text, ms |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, result in results.items():
        speeds, latencies, cpu = (
            " / ".join(f"{median(figures[who]):.4g}" for who in ("product", "direct", "llama.cpp"))
            for figures in (result.speed, result.latency, result.cpu)
        )
        ratios = f"{result.ratio('direct'):.2f} | {result.ratio('llama.cpp'):.2f}"
        yield f"| {name} | {speeds} | {ratios} | {latencies} | {cpu} |"


def report(results: dict[str, Result]) -> dict[str, Any]:
    """Return everything that was measured, for a machine to read."""
    cases = {
        name: {
            "texts_per_s": result.speed,
            "latency_ms": result.latency,
            "cpu_ms_per_text": result.cpu,
        }
        for name, result in results.items()
    }
    return {"machine": facts(), "cases": cases}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    default = os.environ.get("FREEHOLD_STATE_DIR", "~/.freehold")
    parser.add_argument("--state-dir", default=default, help="where the weights are")
    names = [case.name for case in CASES]
    parser.add_argument("--case", action="append", choices=names, help="only this (repeat)")
    parser.add_argument("--rounds", type=int, default=5, help="of each")
    parser.add_argument("--seconds", type=float, default=3.0, help="least length of a round")
    parser.add_argument("--quick", action="store_true", help="one round of one second")
    parser.add_argument("--json", type=Path, help="write everything measured here")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.seconds = 1, 1.0
    return given


def main() -> None:
    given = options()
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as folder:
        results = run(given, Path(folder))
    print("\n".join(table(results)))
    if given.json:
        given.json.write_text(json.dumps(report(results), indent=1) + "\n")


if __name__ == "__main__":
    main()
