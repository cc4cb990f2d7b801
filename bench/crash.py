"""Servers killed at random moments while clients upload, create batches and cancel them.

Run: ``python bench/crash.py [--kills N] [--seed S]``, and on an empty PostgreSQL database also with
``--database-url URL --servers N --workers N``. Afterwards everything that was acknowledged must be
there, every batch ended with at most one result per request, every job done and every blob known.
Exits with 1 where that is not so.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import sqlalchemy as sa

_CONFIG: Final = """
default_model = "scripted"

[models.scripted]
backend = "scripted"
slots = 4
script = [{ when = "r", text = "a b c", delay = 0.01 }]

[jobs]
lease_s = 3
"""
_ENDED: Final = ("completed", "failed", "expired", "cancelled")
_UPTIME_S: Final = (0.1, 2.0)
_START_S: Final = 180.0  # on a busy machine
_SETTLE_S: Final = 120.0
_CLIENTS: Final = 3
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


@dataclass
class Acknowledged:
    """What the servers have promised."""

    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    batches: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    cancelled: set[str] = field(default_factory=set[str])


class Client:
    """Uploads, creates and cancels, whatever happens to the servers meanwhile."""

    def __init__(self, http: httpx.AsyncClient, urls: list[str], chance: random.Random) -> None:
        self._http = http
        self._urls = urls
        self._chance = chance
        self.known = Acknowledged()

    async def work(self) -> None:
        """Do one thing after another until cancelled."""
        actions: list[Callable[[], Awaitable[None]]] = [self.upload, self.batch, self.parts]
        while True:
            action = self._chance.choice([*actions, self.batch, self.cancel])
            try:
                await action()
            except httpx.HTTPError:
                await asyncio.sleep(0.05)

    async def call(self, method: str, path: str, **sent: Any) -> Row | None:
        """Return the answer, None where it was not acknowledged."""
        url = self._chance.choice(self._urls)
        answer = await self._http.request(method, url + path, **sent)
        if answer.status_code >= 400 and answer.status_code not in (409, 429, 499, 500, 503):
            raise CrashTestError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.status_code == 200 else None

    async def upload(self) -> None:
        await self._put(b"x" * self._chance.randrange(1, 200_000), "vision")

    async def batch(self) -> None:
        ids = [f"r{number}" for number in range(self._chance.randrange(1, 30))]
        file_id = await self._put("\n".join(map(_request, ids)).encode(), "batch")
        body = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
        if file_id:
            made = await self.call("POST", "/batches", json={**body, "input_file_id": file_id})
            if made:
                self.known.batches[made["id"]] = ids

    async def cancel(self) -> None:
        if self.known.batches:
            batch_id = self._chance.choice(list(self.known.batches))
            if await self.call("POST", f"/batches/{batch_id}/cancel"):
                self.known.cancelled.add(batch_id)

    async def parts(self) -> None:
        """Upload in parts; ``complete`` is repeated, as a client does, until it is answered."""
        parts = [os.urandom(self._chance.randrange(1, 100_000)) for _ in range(3)]
        whole = b"".join(parts)
        about = {"filename": "p.png", "purpose": "vision", "mime_type": "image/png"}
        made = await self.call("POST", "/uploads", json={**about, "bytes": len(whole)})
        if made is None:
            return
        ids: list[str] = []
        for part in parts:
            sent = await self.call("POST", f"/uploads/{made['id']}/parts", files={"data": part})
            if sent is None:
                return
            ids.append(sent["id"])
        for _ in range(20):
            with contextlib.suppress(httpx.HTTPError):
                path = f"/uploads/{made['id']}/complete"
                done = await self.call("POST", path, json={"part_ids": ids})
                if done is not None:
                    self.known.files[done["file"]["id"]] = whole
                    return
            await asyncio.sleep(0.2)

    async def _put(self, data: bytes, purpose: str) -> str | None:
        name = "in.jsonl" if purpose == "batch" else "in.png"
        sent = {"files": {"file": (name, data)}, "data": {"purpose": purpose}}
        made = await self.call("POST", "/files", **sent)
        if made is None:
            return None
        self.known.files[made["id"]] = data
        return made["id"]


class Examination:
    """Looks, after the last kill, whether every promise was kept."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.statuses: collections.Counter[str] = collections.Counter()
        self.results = 0

    async def run(self) -> None:
        known = self._client.known
        for file_id, data in known.files.items():
            if await self._content(file_id) != data:
                raise CrashTestError(f"{file_id} is not what was uploaded")
        for batch_id, ids in known.batches.items():
            await self._examine(batch_id, ids)

    async def _examine(self, batch_id: str, ids: list[str]) -> None:
        batch = await self._ended(batch_id)
        self.statuses[batch["status"]] += 1
        lines = [
            json.loads(line)
            for name in ("output_file_id", "error_file_id")
            if batch[name]
            for line in (await self._content(batch[name])).splitlines()
        ]
        found = sorted(line["custom_id"] for line in lines)
        self.results += len(found)
        counts = batch["request_counts"]
        if len(set(found)) != len(found) or not set(found) <= set(ids):
            raise CrashTestError(f"{batch_id} has results twice: {found}")
        if len(found) != counts["completed"] + counts["failed"]:
            raise CrashTestError(f"{batch_id} counts {counts} but has {len(found)} results")
        if batch["status"] == "completed" and found != sorted(ids):
            raise CrashTestError(f"{batch_id} is completed without {set(ids) - set(found)}")
        if batch["status"] not in ("completed", "cancelled"):
            raise CrashTestError(f"{batch_id} is {batch['status']}: {batch['errors']}")
        if (batch["status"] == "cancelled") != (batch_id in self._client.known.cancelled):
            self._excuse(batch)

    def _excuse(self, batch: Row) -> None:
        """Accept a cancellation that was kept although its answer was lost, never the reverse."""
        if batch["status"] == "completed":
            raise CrashTestError(f"{batch['id']} was to be cancelled, but is {batch['status']}")

    async def _ended(self, batch_id: str) -> Row:
        batch, until = None, time.monotonic() + _SETTLE_S
        while time.monotonic() < until:
            batch = await self._client.call("GET", f"/batches/{batch_id}")
            if batch is not None and batch["status"] in _ENDED:
                return batch
            await asyncio.sleep(0.1)
        raise CrashTestError(f"{batch_id} does not end: {batch}")

    async def _content(self, file_id: str) -> bytes:
        url = f"{self._client._urls[0]}/files/{file_id}/content"  # noqa: SLF001 - its own client
        answer = await self._client._http.get(url)  # noqa: SLF001 - as above
        if answer.status_code != 200:
            raise CrashTestError(f"{file_id} is gone: {answer.text}")
        return answer.content


def examine_state(address: str, state: Path) -> None:
    """Look into the database and the blobs of servers that have been stopped."""
    engine = sa.create_engine(address)
    with engine.connect() as connection:
        query = sa.text("SELECT kind, state, error FROM jobs WHERE key <> 'periodic'")
        jobs = [row for row in connection.execute(query) if row.state not in _DONE]
        known = set(connection.scalars(sa.text("SELECT name FROM blobs")))
        kept = set(connection.scalars(sa.text("SELECT blob FROM files")))
    engine.dispose()
    there = {path.name for path in (state / "blobs").rglob("*") if path.is_file()}
    if jobs:
        raise CrashTestError(f"jobs have not ended: {jobs}")
    if kept - there:
        raise CrashTestError(f"files without their bytes: {kept - there}")
    if strangers := {name for name in there if name.partition(".")[0] not in known}:
        raise CrashTestError(f"blobs that no sweep will find: {strangers}")


_DONE: Final = ("done", "cancelled")


def _request(custom_id: str) -> str:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": custom_id}]}
    line = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line)


def _free_port(chance: random.Random) -> int:
    """Return a port below those that clients get: a client must not take it while it is free."""
    while True:
        port = chance.randrange(15_000, 30_000)
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            return port


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


async def crash(folder: Path, options: argparse.Namespace) -> str:
    """Kill as often as asked, look at what is left, and return the report."""
    chance = random.Random(options.seed)  # noqa: S311 - chooses moments, no secret
    (folder / "freehold.toml").write_text(_CONFIG)
    processes = list(_processes(folder, options, chance))
    try:
        for process in processes:
            await asyncio.to_thread(process.start)
        key = next(process.key for process in processes if process.key)
        headers = {"Authorization": f"Bearer {key}"}
        urls = [f"http://127.0.0.1:{one.port}/v1" for one in processes if one.port]
        async with httpx.AsyncClient(headers=headers, timeout=30) as http:
            client = Client(http, urls, chance)
            await _kill_while(client, processes, chance, options.kills)
            examination = Examination(client)
            await examination.run()
        for process in processes:
            await asyncio.to_thread(process.end, signal.SIGTERM)
    finally:
        for process in processes:
            await asyncio.to_thread(process.end, signal.SIGKILL)
    state = folder / "state"
    address = options.database_url or f"sqlite:///{state / 'freehold.db'}"
    examine_state(address.replace("postgresql://", "postgresql+psycopg://"), state)
    slowest_s = max(process.slowest_s for process in processes)
    return (
        f"{options.kills} kills: {len(client.known.files)} files and {len(client.known.batches)} "
        f"batches acknowledged, all there; batches {dict(examination.statuses)} with "
        f"{examination.results} results; slowest start {slowest_s:.1f} s"
    )


async def _kill_while(
    client: Client, processes: list[Process], chance: random.Random, kills: int
) -> None:
    clients = [asyncio.create_task(client.work()) for _ in range(_CLIENTS)]
    try:
        for _ in range(kills):
            await asyncio.wait(
                clients, timeout=chance.uniform(*_UPTIME_S), return_when=asyncio.FIRST_COMPLETED
            )
            for failed in (one for one in clients if one.done()):
                failed.result()
            victim = chance.choice(processes)
            await asyncio.to_thread(victim.end, signal.SIGKILL)
            await asyncio.wait_for(asyncio.to_thread(victim.start), _START_S)
    finally:
        for one in clients:
            one.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


def main() -> None:
    """Run the test; exit 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--database-url")
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="freehold-crash-") as folder:
        try:
            print(asyncio.run(crash(Path(folder), options)))
        except CrashTestError as error:
            sys.exit(f"seed {options.seed}: {error}")


if __name__ == "__main__":
    main()
