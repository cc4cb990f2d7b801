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
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import killing
from killing import Caller, CrashTestError

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
_SETTLE_S: Final = 120.0
_CLIENTS: Final = 3
Row = dict[str, Any]


@dataclass
class Acknowledged:
    """What the servers have promised."""

    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    batches: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    cancelled: set[str] = field(default_factory=set[str])


class Client:
    """Uploads, creates and cancels, whatever happens to the servers meanwhile."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._chance = caller.chance
        self.call = caller.call
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

    async def content(self, file_id: str) -> httpx.Response:
        """Return the answer to who asks for a file's bytes."""
        return await self._caller.http.get(f"{self._caller.urls[0]}/files/{file_id}/content")

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

    async def run(self) -> str:
        """Return what was found. Raises ``CrashTestError``."""
        known = self._client.known
        for file_id, data in known.files.items():
            if await self._content(file_id) != data:
                raise CrashTestError(f"{file_id} is not what was uploaded")
        for batch_id, ids in known.batches.items():
            await self._examine(batch_id, ids)
        return (
            f"{len(known.files)} files and {len(known.batches)} batches acknowledged, all there; "
            f"batches {dict(self.statuses)} with {self.results} results"
        )

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
        answer = await self._client.content(file_id)
        if answer.status_code != 200:
            raise CrashTestError(f"{file_id} is gone: {answer.text}")
        return answer.content


def examine_state(address: str, state: Path) -> None:
    """Look into the database and the blobs of servers that have been stopped."""
    jobs = killing.found(address, "SELECT kind, state, error FROM jobs WHERE key <> 'periodic'")
    known = {row["name"] for row in killing.found(address, "SELECT name FROM blobs")}
    kept = {row["blob"] for row in killing.found(address, "SELECT blob FROM files")}
    there = {path.name for path in (state / "blobs").rglob("*") if path.is_file()}
    if unended := [job for job in jobs if job["state"] not in _DONE]:
        raise CrashTestError(f"jobs have not ended: {unended}")
    if kept - there:
        raise CrashTestError(f"files without their bytes: {kept - there}")
    if strangers := {name for name in there if name.partition(".")[0] not in known}:
        raise CrashTestError(f"blobs that no sweep will find: {strangers}")


_DONE: Final = ("done", "cancelled")


def _request(custom_id: str) -> str:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": custom_id}]}
    line = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line)


async def crash(folder: Path, options: argparse.Namespace) -> str:
    """Kill as often as asked, look at what is left, and return the report."""

    def test(caller: Caller) -> tuple[list[Awaitable[None]], Callable[[], Awaitable[str]]]:
        client = Client(caller)
        return [client.work() for _ in range(_CLIENTS)], Examination(client).run

    killed = await killing.kill_while(folder, options, _CONFIG, test)
    examine_state(killed.address, killed.state)
    slowest_s = killed.slowest_start_s
    return f"{options.kills} kills: {killed.report}; slowest start {slowest_s:.1f} s"


if __name__ == "__main__":
    killing.run(__doc__, crash)
