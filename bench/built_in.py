"""Chats with the built-in model on ``freehold serve`` against llama.cpp's own HTTP server.

Run: ``python bench/built_in.py WEIGHTS.gguf [--rounds N] [--seconds S] [--json FILE]``. The
weights lie in the state folder after ``freehold models pull``. Protocol, figures and rounds are
those of chat.py; a token of this model takes so long that the servers should hardly differ.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chat import FIRST, TOKENS, Case, Result, is_met, measure
from load import Load
from machine import facts
from processes import peer, product

# Long enough an answer that the model does not end before: each one must reach the limit.
_TOKENS: Final = 32
_SUBJECTS: Final = ("river", "garden", "winter", "bridge", "forest", "mirror", "island", "market")


@dataclass(frozen=True, slots=True)
class Stories(Case):
    """Prompts that the model answers at length."""

    def prompts(self, seed: int) -> Iterator[str]:
        chance = random.Random(seed)  # noqa: S311 - no secret
        while True:
            first, second = chance.sample(_SUBJECTS, 2)
            yield f"Write a long story of many pages about a {first} and a {second}."


CASES: Final[dict[str, Case]] = {
    "chat, 1 client": Stories(Load(1, _TOKENS, stream=False), {TOKENS: 0.95}),
    "chat, 4 clients": Stories(Load(4, _TOKENS, stream=False), {TOKENS: 0.95}),
    "stream, 1 client": Stories(Load(1, _TOKENS, stream=True), {TOKENS: 0.95, FIRST: 1.05}),
    "stream, 4 clients": Stories(Load(4, _TOKENS, stream=True), {TOKENS: 0.95, FIRST: 1.05}),
}


def table(results: dict[str, Result]) -> Iterator[str]:
    """Yield the lines of a Markdown table: figures, ratios, bounds, and whether they are met."""
    yield "| case | figure | Freehold | llama.cpp | ratio | of single rounds | bound | met |"
    yield "|---|---|--:|--:|--:|--:|--:|---|"
    for name, result in results.items():
        if result.error:
            yield f"| {name} | failed: {' '.join(result.error.split())} | | | | | | no |"
            continue
        for figure, bound in CASES[name].bounds.items():
            yield f"| {name} | {figure} | {_cells(result, figure, bound)} |"


def _cells(result: Result, figure: str, bound: float) -> str:
    least, largest = result.spread(figure)
    ours, theirs = (result.median(server, figure) for server in ("product", "peer"))
    sign = ">=" if figure == TOKENS else "<="
    return (
        f"{ours:.4g} | {theirs:.4g} | {result.ratio(figure):.2f} | {least:.2f} to {largest:.2f} | "
        f"{sign} {bound:.2f} | {'yes' if is_met(result, figure, bound) else '**no**'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path, help="GGUF file of the built-in model")
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this (repeat)")
    parser.add_argument("--rounds", type=int, default=5, help="of each server")
    parser.add_argument("--seconds", type=float, default=3.0, help="least length of a round")
    parser.add_argument("--json", type=Path, help="write every round here")
    given = parser.parse_args()
    weights = given.weights.absolute()
    results: dict[str, Result] = {}
    with (
        tempfile.TemporaryDirectory(prefix="freehold-bench-") as name,
        product(Path(name) / "product", weights) as ours,
        peer(Path(name) / "peer", weights) as theirs,
    ):
        servers = {"product": ours, "peer": theirs}
        for case in given.case or CASES:
            results[case] = measure(CASES[case], servers, given.rounds, given.seconds)
            print(f"{case}: {results[case].error or 'measured'}", file=sys.stderr)
    print("\n".join(table(results)))
    if given.json:
        rounds = {case: result.rounds for case, result in results.items()}
        given.json.write_text(json.dumps({"machine": facts(), "rounds": rounds}, indent=1) + "\n")
    sys.exit(any(result.error for result in results.values()))


if __name__ == "__main__":
    main()
