"""Start-up time and memory of ``freehold serve`` and of llama.cpp's own HTTP server.

Run: ``python bench/startup.py [--rounds N] [--json FILE]``. Times are seconds from the start of the
process: until it listens, and until a chat of one token has been answered. The first start makes
the database and the keys; memory is resident memory after 200 more chats.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import repeat
from pathlib import Path
from statistics import median

import tiny_model
import uvloop
from load import Load, in_a_row
from machine import facts
from processes import Running, peer, product

Figures = dict[str, float]
Start = Callable[[Path, Path], AbstractContextManager[Running]]
_ONE_TOKEN = Load(1, 1, stream=False)
_CHATS = 200


def start_once(start: Start, folder: Path, weights: Path) -> Figures:
    """Start a server, ask it, and return seconds and megabytes."""
    started = time.perf_counter()
    with start(folder, weights) as running:
        listening = time.perf_counter() - started
        _ask(running, 1)
        answered = time.perf_counter() - started
        _ask(running, _CHATS)
        memory = {f"{name}, MB": size for name, size in running.memory_mb().items()}
    return {"listens, s": listening, "first answer, s": answered, **memory}


def _ask(running: Running, chats: int) -> None:
    uvloop.run(in_a_row(running.target, _ONE_TOKEN, repeat("Hello"), chats))


def measure(folder: Path, rounds: int) -> dict[str, Figures]:
    """Return the median of each figure, for a first start, later starts and the peer."""
    weights = folder / "tiny.gguf"
    tiny_model.write(weights)
    found: dict[str, list[Figures]] = {"first start": [], "later start": [], "llama.cpp": []}
    for number in range(rounds):
        own = folder / str(number)
        found["first start"].append(start_once(product, own, weights))
        found["later start"].append(start_once(product, own, weights))
        found["llama.cpp"].append(start_once(peer, folder / "peer", weights))
    return {name: _medians(runs) for name, runs in found.items()}


def _medians(runs: list[Figures]) -> Figures:
    return {figure: median(run[figure] for run in runs) for figure in runs[0]}


def table(found: dict[str, Figures]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    names = list(dict.fromkeys(figure for figures in found.values() for figure in figures))
    yield f"| | {' | '.join(names)} |"
    yield f"|---{'|--:' * len(names)}|"
    for name, figures in found.items():
        cells = (f"{figures[figure]:.3g}" if figure in figures else "" for figure in names)
        yield f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as folder:
        found = measure(Path(folder), options.rounds)
    print("\n".join(table(found)))
    if options.json:
        options.json.write_text(json.dumps({"machine": facts(), "starts": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
