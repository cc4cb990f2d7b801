"""Chat completions of ``freehold serve`` against llama.cpp's own HTTP server, side by side.

Run: ``python bench/chat.py [--case NAME ...] [--rounds N] [--seconds S] [--quick] [--json FILE]``.
Both serve the same random-weight model of one million parameters, so that the engine hides nothing.
They are measured in alternating rounds; a figure is the median of the rounds, and what counts is
the product's figure as a ratio of the peer's. See README.md in this folder.
"""

import argparse
import gc
import json
import random
import resource
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any, Final

import tiny_model
import uvloop
from load import Load, LoadError, Measured, drive
from machine import facts
from processes import Running, busy_seconds, peer, product

CPU_REQUEST: Final = "CPU per request, us"
CPU_TOKEN: Final = "CPU per token, us"  # noqa: S105 - no password
REQUESTS: Final = "requests/s"
TOKENS: Final = "tokens/s"
LATENCY: Final = "latency p50, ms"
LATENCY_99: Final = "latency p99, ms"
FIRST: Final = "TTFT p50, ms"
GAP_99: Final = "ITL p99, ms"
_MORE_IS_BETTER: Final = (REQUESTS, TOKENS)

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Case:
    """A load and the bounds of product/peer for some of its figures."""

    load: Load
    bounds: Mapping[str, float]
    same_prompt: bool = False

    def prompts(self, seed: int) -> Iterator[str]:
        """Yield prompts of 20 words: the same for both servers, new each time or always one."""
        chance = random.Random(0 if self.same_prompt else seed)  # noqa: S311 - no secret
        return repeat(_prompt(chance)) if self.same_prompt else _prompts(chance)


CASES: Final[dict[str, Case]] = {
    "one token, 1 client": Case(
        Load(1, 1, stream=False), {CPU_REQUEST: 1.45, LATENCY: 1.45}, same_prompt=True
    ),
    "one token, 16 clients": Case(
        Load(16, 1, stream=False), {CPU_REQUEST: 1.45, REQUESTS: 0.75}, same_prompt=True
    ),
    "chat, 1 client": Case(Load(1, 64, stream=False), {TOKENS: 0.90, CPU_TOKEN: 1.15}),
    "chat, 32 clients": Case(Load(32, 64, stream=False), {TOKENS: 0.90, LATENCY_99: 1.15}),
    "stream, 1 client": Case(Load(1, 64, stream=True), {TOKENS: 0.80, FIRST: 1.2, CPU_TOKEN: 1.35}),
    "stream, 8 clients": Case(
        Load(8, 64, stream=True), {TOKENS: 0.87, GAP_99: 1.5, CPU_TOKEN: 1.30}
    ),
    "stream, 32 clients": Case(Load(32, 64, stream=True), {TOKENS: 1.0, CPU_TOKEN: 1.08}),
    "stream, 64 clients": Case(
        Load(64, 64, stream=True), {TOKENS: 1.15, LATENCY_99: 0.83, CPU_TOKEN: 0.88}
    ),
}


@dataclass(slots=True)
class Result:
    """The rounds of a case on both servers, or why it failed."""

    rounds: list[dict[str, Figures]] = field(default_factory=list[dict[str, Figures]])
    error: str | None = None

    def median(self, server: str, figure: str) -> float:
        return median(round_[server][figure] for round_ in self.rounds)

    def ratio(self, figure: str) -> float:
        return self.median("product", figure) / self.median("peer", figure)

    def spread(self, figure: str) -> tuple[float, float]:
        """Return the least and the largest ratio of a single round."""
        ratios = [round_["product"][figure] / round_["peer"][figure] for round_ in self.rounds]
        return min(ratios), max(ratios)


def _prompts(chance: random.Random) -> Iterator[str]:
    while True:
        yield _prompt(chance)


def _prompt(chance: random.Random) -> str:
    return " ".join(chance.choice(_WORDS) for _ in range(20))


_WORDS: Final = (
    "river", "stone", "window", "garden", "letter", "morning", "winter", "paper", "market",
    "silver", "bridge", "candle", "forest", "mirror", "pocket", "summer", "ticket", "valley",
    "wagon", "yellow", "answer", "button", "corner", "dinner", "engine", "finger", "ground",
    "hammer", "island", "jacket", "kitchen", "ladder", "machine", "number", "orange", "pencil",
)  # fmt: skip


def figures(measured: Measured, load: Load, cpu: float) -> Figures:
    """Return what one round says, ``cpu`` being the seconds that the server's processes took."""
    answers = len(measured.answers)
    latencies = sorted(answer.seconds * 1e3 for answer in measured.answers)
    found = {
        REQUESTS: answers / measured.seconds,
        TOKENS: answers * load.tokens / measured.seconds,
        CPU_REQUEST: cpu / answers * 1e6,
        CPU_TOKEN: cpu / answers / load.tokens * 1e6,
        LATENCY: percentile(latencies, 50),
        LATENCY_99: percentile(latencies, 99),
    }
    if load.stream:
        first = sorted(answer.first * 1e3 for answer in measured.answers)
        gaps = sorted(gap * 1e3 for answer in measured.answers for gap in answer.gaps)
        found[FIRST] = percentile(first, 50)
        found[GAP_99] = percentile(gaps, 99)
        found["texts per token"] = (len(gaps) + answers) / answers / load.tokens
    return found


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the smallest value that so many percent of the values do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def run_round(server: Running, case: Case, seconds: float, seed: int) -> Figures:
    """Measure one server once. Raises ``LoadError``."""
    before: list[tuple[float, float, float]] = []

    def clocks() -> tuple[float, float, float]:
        return server.cpu_seconds(), busy_seconds(), _own_cpu_seconds()

    gc.collect()
    gc.disable()
    try:
        driven = drive(
            server.target,
            case.load,
            case.prompts(seed),
            seconds,
            begin=lambda: before.append(clocks()),
        )
        measured = uvloop.run(driven)
        cpu, busy, own = (b - a for a, b in zip(before[0], clocks(), strict=True))
    finally:
        gc.enable()
    found = figures(measured, case.load, cpu)
    found["processors busy elsewhere"] = max(0.0, busy - cpu - own) / measured.seconds
    return found


def _own_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(case: Case, servers: dict[str, Running], rounds: int, seconds: float) -> Result:
    """Measure both servers in alternating order; any error fails the case."""
    result = Result()
    for number in range(rounds):
        order = sorted(servers, reverse=number % 2 == 0)  # product first, then peer first
        try:
            found = {
                name: run_round(servers[name], case, seconds, seed=number + 1) for name in order
            }
        except (LoadError, OSError, TimeoutError) as error:
            result.error = f"{type(error).__name__}: {error}"
            break
        result.rounds.append(found)
    return result


def table(results: Mapping[str, Result]) -> Iterator[str]:
    """Yield the lines of a Markdown table: figures, ratios, bounds, and whether they are met."""
    yield "| case | figure | Freehold | llama.cpp | ratio | of single rounds | bound | met |"
    yield "|---|---|--:|--:|--:|--:|--:|---|"
    for name, result in results.items():
        if result.error:
            yield f"| {name} | failed: {' '.join(result.error.split())} | | | | | | no |"
            continue
        for figure, bound in CASES[name].bounds.items():
            least, largest = result.spread(figure)
            ours, theirs = (result.median(server, figure) for server in ("product", "peer"))
            sign = ">=" if figure in _MORE_IS_BETTER else "<="
            verdict = "yes" if is_met(result, figure, bound) else "**no**"
            yield (
                f"| {name} | {figure} | {ours:.4g} | {theirs:.4g} | {result.ratio(figure):.2f} | "
                f"{least:.2f} to {largest:.2f} | {sign} {bound:.2f} | {verdict} |"
            )


def is_met(result: Result, figure: str, bound: float) -> bool:
    """Say whether a goal is reached; a failed case reaches none."""
    if result.error:
        return False
    ratio = round(result.ratio(figure), 2)
    return ratio >= bound if figure in _MORE_IS_BETTER else ratio <= bound


def report(results: Mapping[str, Result]) -> dict[str, Any]:
    """Return everything that was measured, for a machine to read."""
    cases: dict[str, Any] = {}
    for name, result in results.items():
        goals = {
            figure: {
                "product": result.median("product", figure),
                "peer": result.median("peer", figure),
                "ratio": result.ratio(figure),
                "bound": bound,
                "met": is_met(result, figure, bound),
            }
            for figure, bound in CASES[name].bounds.items()
            if not result.error
        }
        cases[name] = {"goals": goals, **asdict(result)}
    return {"machine": facts(), "cases": cases}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Formatter)
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this (repeat)")
    parser.add_argument("--rounds", type=int, default=5, help="of each server")
    parser.add_argument("--seconds", type=float, default=3.0, help="least length of a round")
    parser.add_argument("--quick", action="store_true", help="one round of one second")
    parser.add_argument("--split", action="store_true", help="the peer with a cache per slot")
    parser.add_argument("--json", type=Path, help="write everything measured here")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.seconds = 1, 1.0
    return given


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Help as written, with defaults."""


def run(given: argparse.Namespace, folder: Path) -> dict[str, Result]:
    """Start both servers and measure the cases asked for."""
    weights = folder / "tiny.gguf"
    tiny_model.write(weights)
    results: dict[str, Result] = {}
    with (
        product(folder / "product", weights) as ours,
        peer(folder / "peer", weights, split=given.split) as theirs,
    ):
        servers = {"product": ours, "peer": theirs}
        for name in given.case or CASES:
            results[name] = measure(CASES[name], servers, given.rounds, given.seconds)
            print(f"{name}: {results[name].error or 'measured'}", file=sys.stderr)
    return results


def main() -> None:
    given = options()
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as folder:
        results = run(given, Path(folder))
    print("\n".join(table(results)))
    if given.json:
        given.json.write_text(json.dumps(report(results), indent=1) + "\n")
    sys.exit(any(result.error for result in results.values()))


if __name__ == "__main__":
    main()
