"""What a run of an assistant costs beside its model: the engine answers at once.

Run: ``python bench/runs.py [--runs N] [--database URL] [--json FILE]``. Measures from the request
that creates a run to the event that it is completed, one after another, then 50 runs at once. Exits
with 1 where the median is above 25 ms (40 ms on PostgreSQL) or a run does not complete.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx
from machine import facts

from freehold import app
from freehold.core.settings import Settings

_AT_ONCE: Final = 50
_WARM: Final = 10
_MOST_MS: Final = {"sqlite": 25.0, "postgresql": 40.0}
_MODELS: Final = {"bench": {"backend": "scripted", "slots": 64}}


class Bench:
    """One assistant, and threads to run it on."""

    def __init__(self, http: httpx.AsyncClient, assistant: str) -> None:
        self._http = http
        self._assistant = assistant

    async def thread(self) -> str:
        message = {"role": "user", "content": "Say this."}
        made = await self._http.post("/threads", json={"messages": [message]})
        return made.raise_for_status().json()["id"]

    async def run(self, thread: str) -> float:
        """Return the milliseconds from creating a run to its completion."""
        started = time.perf_counter()
        body = {"assistant_id": self._assistant, "stream": True}
        url = f"/threads/{thread}/runs"
        async with self._http.stream("POST", url, json=body) as answer:
            async for line in answer.aiter_lines():
                if line == "event: thread.run.completed":
                    return (time.perf_counter() - started) * 1000
        raise SystemExit(f"a run on {thread} was not completed")


async def measure(http: httpx.AsyncClient, runs: int) -> dict[str, Any]:
    """Return milliseconds of runs one after another, and of all of a crowd."""
    made = await http.post("/assistants", json={"model": "gpt-4o"})
    bench = Bench(http, made.raise_for_status().json()["id"])
    threads = [await bench.thread() for _ in range(_WARM + runs)]
    alone = [await bench.run(thread) for thread in threads][_WARM:]
    crowd = [await bench.thread() for _ in range(_AT_ONCE)]
    started = time.perf_counter()
    await asyncio.gather(*(bench.run(thread) for thread in crowd))
    return {"alone_ms": alone, "crowd_ms": (time.perf_counter() - started) * 1000}


async def _measured(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    settings = {"state_dir": folder, "models": _MODELS, "default_model": "bench"}
    if options.database:
        settings["database_url"] = options.database
    server = app.build(Settings.model_validate(settings))
    await server.start()
    if server.first_keys is None:
        raise SystemExit("the database is not empty")
    key = server.first_keys.project_key
    calls = {
        "transport": httpx.ASGITransport(app=server.asgi),
        "base_url": "http://bench/v1",
        "headers": {"Authorization": f"Bearer {key}"},
    }
    try:
        async with httpx.AsyncClient(**calls) as http:
            return await measure(http, options.runs)
    finally:
        await server.stop()


def main() -> None:
    """Measure, print, exit 1 where the bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--database", help="address of an empty database; unset: SQLite")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(_measured(options, Path(folder)))
    median = statistics.median(found["alone_ms"])
    high = statistics.quantiles(found["alone_ms"], n=20)[-1]
    most = _MOST_MS["postgresql" if options.database else "sqlite"]
    print(f"one run           {median:8.1f} ms  (at most {most:g}), 95 % within {high:.1f} ms")
    print(f"{_AT_ONCE} runs at once   {found['crowd_ms']:8.1f} ms")
    if options.json:
        options.json.write_text(json.dumps({"machine": facts(), **found}, indent=2))
    sys.exit(median > most)


if __name__ == "__main__":
    main()
