"""The code interpreter's sessions: until one is ready, a call, memory of an idle one.

Run: ``python bench/interpreter.py [--jail NAME] [--rounds N] [--json FILE]``. Memory is what the
session's processes have for themselves (PSS). Times are milliseconds.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from statistics import median, quantiles

from machine import facts

from freehold.core.settings import InterpreterSettings
from freehold.sandbox.pool import Sandboxes
from freehold.sandbox.session import Session

Figures = dict[str, float]
_CALLS = 300
_IMPORTS = "import numpy, pandas, matplotlib.pyplot"
_CHART = "import matplotlib.pyplot as plt; plt.plot([1, 2, 3]); plt.show()"


async def measure(jail: str, rounds: int) -> Figures:
    """Return the figures of one jail."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, figure in (await _round(jail)).items():
            found.setdefault(name, []).append(figure)
    return {name: median(figures) for name, figures in found.items()}


async def _round(jail: str) -> Figures:
    cold = Sandboxes(InterpreterSettings.model_validate({"jail": jail}))
    await cold.jail()
    try:
        session = await cold.session("cold")
        figures = {"cold start and first call": await _timed(lambda: _call(session, "1"))}
        figures["idle session, MB"] = _memory_mb(session)
        calls = [await _timed(lambda: _call(session, "1 + 1")) for _ in range(_CALLS)]
        figures |= {"call, p50": median(calls), "call, p99": quantiles(calls, n=100)[98]}
        figures["import numpy, pandas, matplotlib"] = await _timed(lambda: _call(session, _IMPORTS))
        figures["idle session with these, MB"] = _memory_mb(session)
        figures["chart"] = await _timed(lambda: _call(session, _CHART))
        figures["a file of 1 MB put"] = await _timed(lambda: session.put("x", bytes(1 << 20)))
    finally:
        await cold.close()
    return figures | {"warm start and first call": await _warm(jail)}


async def _warm(jail: str) -> float:
    warm = Sandboxes(InterpreterSettings.model_validate({"jail": jail}))
    warm.open()
    try:
        await _call(await warm.session("first"), "1")
        await asyncio.sleep(1)  # the next kernel gets ready
        second = await warm.session("second")
        return await _timed(lambda: _call(second, "1"))
    finally:
        await warm.close()


async def _timed(act: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await act()
    return (time.perf_counter() - started) * 1000


async def _call(session: Session, code: str) -> None:
    async for _ in session.run(code):
        continue


def _memory_mb(session: Session) -> float:
    if session.life is None:
        raise RuntimeError("The session has not begun.")
    paths = [Path(f"/proc/{pid}/smaps_rollup") for pid in session.life.jailed.family()]
    lines: list[str] = []
    for path in paths:
        with suppress(PermissionError):  # the supervisor's own, 1 MB, where we aren't root
            lines += path.read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jail", default="auto", choices=("auto", "bubblewrap", "landlock"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    found = asyncio.run(measure(options.jail, options.rounds))
    for name, figure in found.items():
        print(f"{name:34} {figure:8.1f}")
    if options.json:
        told = {"machine": facts(), "jail": options.jail, "figures": found}
        options.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
