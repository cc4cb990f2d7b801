"""Servers and workers that are killed at random moments and started again, for ``crash*.py``."""

import argparse
import asyncio
import contextlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import sqlalchemy as sa

_UPTIME_S: Final = (0.1, 2.0)
_START_S: Final = 180.0  # on a busy machine
_BUSY: Final = (409, 429, 499, 500, 503)
Row = dict[str, Any]


class CrashTestError(Exception):
    """What must never happen has happened."""


@dataclass
class Process:
    """One server or worker, started again after each kill."""

    command: list[str]
    folder: Path
    port: int | None
    running: subprocess.Popen[str] | None = None
    key: str = ""
    slowest_s: float = 0.0

    def start(self) -> None:
        """Start it and wait until it says that it is there."""
        began = time.monotonic()
        with (self.folder / "log.jsonl").open("a") as log:
            self.running = subprocess.Popen(
                self.command, cwd=self.folder, stdout=subprocess.PIPE, stderr=log, text=True
            )
        stdout = self.running.stdout
        for line in stdout or ():
            if found := re.search(r"project key\s+(sk-\S+)", line):
                self.key = found[1]
            if line.startswith(("Text models answer with", "The worker runs")):
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                return
        raise CrashTestError(f"it did not start: {(self.folder / 'log.jsonl').read_text()[-2000:]}")

    def end(self, number: int) -> None:
        """Send a signal and wait for the end."""
        if self.running is not None:
            self.running.send_signal(number)
            self.running.wait(60)
            if self.running.stdout:
                self.running.stdout.close()
            self.running = None


class Caller:
    """Sends requests to any of the servers; one that is not acknowledged has no answer."""

    def __init__(self, http: httpx.AsyncClient, urls: list[str], chance: random.Random) -> None:
        self.http = http
        self.urls = urls
        self.chance = chance

    async def call(self, method: str, path: str, **sent: Any) -> Row | None:
        """Return the answer, None where it was not acknowledged."""
        answer = await self.http.request(method, self.chance.choice(self.urls) + path, **sent)
        if answer.status_code >= 400 and answer.status_code not in _BUSY:
            raise CrashTestError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.status_code == 200 else None


@dataclass(frozen=True, slots=True)
class Killed:
    """How it went: what ``examined`` says, and what the servers left."""

    report: str
    slowest_start_s: float
    address: str  # of the database
    state: Path


async def kill_while(
    folder: Path,
    options: argparse.Namespace,
    config: str,
    test: Callable[[Caller], tuple[list[Awaitable[None]], Callable[[], Awaitable[str]]]],
) -> Killed:
    """Kill as often as asked while the test's clients work, then have it examine what is left."""
    chance = random.Random(options.seed)  # noqa: S311 - chooses moments, no secret
    (folder / "freehold.toml").write_text(config)
    processes = list(_processes(folder, options, chance))
    try:
        for process in processes:
            await asyncio.to_thread(process.start)
        key = next(process.key for process in processes if process.key)
        headers = {"Authorization": f"Bearer {key}"}
        urls = [f"http://127.0.0.1:{one.port}/v1" for one in processes if one.port]
        async with httpx.AsyncClient(headers=headers, timeout=30) as http:
            clients, examined = test(Caller(http, urls, chance))
            await _kill(clients, processes, chance, options.kills)
            report = await examined()
        for process in processes:
            await asyncio.to_thread(process.end, signal.SIGTERM)
    finally:
        for process in processes:
            await asyncio.to_thread(process.end, signal.SIGKILL)
    state = folder / "state"
    address = options.database_url or f"sqlite:///{state / 'freehold.db'}"
    slowest_s = max(process.slowest_s for process in processes)
    address = address.replace("postgresql://", "postgresql+psycopg://")
    return Killed(report, slowest_s, address, state)


def found(address: str, query: str) -> list[Row]:
    """Return what a database holds whose servers have been stopped."""
    engine = sa.create_engine(address)
    with engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(sa.text(query)).mappings()]
    engine.dispose()
    return rows


def run(
    description: str | None, crash: Callable[[Path, argparse.Namespace], Awaitable[str]]
) -> None:
    """Run a test with the command's options; exit 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--database-url")
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()

    async def tested(folder: Path) -> str:
        return await crash(folder, options)

    with tempfile.TemporaryDirectory(prefix="freehold-crash-") as folder:
        try:
            print(asyncio.run(tested(Path(folder))))
        except CrashTestError as error:
            sys.exit(f"seed {options.seed}: {error}")


def _processes(
    folder: Path, options: argparse.Namespace, chance: random.Random
) -> Iterator[Process]:
    base = [sys.executable, "-m", "freehold"]
    state = ["--state-dir", "state"]
    if options.database_url:
        state += ["--database-url", options.database_url]
        subprocess.run([*base, "db", "upgrade", *state], cwd=folder, check=True)
    for _ in range(options.servers):
        port = _free_port(chance)
        yield Process([*base, "serve", "--port", str(port), *state], folder, port)
    for _ in range(options.workers):
        yield Process([*base, "worker", *state], folder, None)


def _free_port(chance: random.Random) -> int:
    """Return a port below those that clients get: a client must not take it while it is free."""
    while True:
        port = chance.randrange(15_000, 30_000)
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            return port


async def _kill(
    clients: list[Awaitable[None]], processes: list[Process], chance: random.Random, kills: int
) -> None:
    working = [asyncio.ensure_future(client) for client in clients]
    try:
        for _ in range(kills):
            await asyncio.wait(
                working, timeout=chance.uniform(*_UPTIME_S), return_when=asyncio.FIRST_COMPLETED
            )
            for failed in (one for one in working if one.done()):
                failed.result()
            victim = chance.choice(processes)
            await asyncio.to_thread(victim.end, signal.SIGKILL)
            await asyncio.wait_for(asyncio.to_thread(victim.start), _START_S)
    finally:
        for one in working:
            one.cancel()
        await asyncio.gather(*working, return_exceptions=True)
