"""Memory and time of large uploads: a file in one request, and one in parts.

Run: ``python bench/uploads.py [--mb N] [--json FILE]``. Memory is what the server process holds
beyond what it held before, at its highest. Times stand beside those of writing the same bytes to a
file and syncing it.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import tiny_model
from machine import facts
from processes import Running, product

ADDED_MB = 50  # what an upload may add to the server's memory
_PART = 64 << 20
_BLOCK = os.urandom(1 << 20)
_BOUNDARY = "bench"


@dataclass
class Peak:
    """The highest memory seen, beyond that of the beginning, in megabytes."""

    before: float
    added: float = 0
    _stop: Event = field(default_factory=Event)

    def watch(self, running: Running) -> None:
        """Look at the server until told to stop."""
        while not self._stop.wait(0.01):
            self.added = max(self.added, running.memory_mb()["server"] - self.before)

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def peak_of(running: Running) -> Iterator[Peak]:
    """Watch the server's memory while the block runs."""
    peak = Peak(running.memory_mb()["server"])
    watcher = Thread(target=peak.watch, args=[running])
    watcher.start()
    try:
        yield peak
    finally:
        peak.stop()
        watcher.join()


def form(name: str, size: int, **fields: str) -> Iterator[bytes]:
    """Yield a multipart form with a file of ``size`` bytes, without holding it."""
    for key, value in fields.items():
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n'
        yield f"{head}{value}\r\n".encode()
    disposition = f'Content-Disposition: form-data; name="{name}"; filename="large.bin"'
    yield f"--{_BOUNDARY}\r\n{disposition}\r\n\r\n".encode()
    for start in range(0, size, len(_BLOCK)):
        yield _BLOCK[: size - start]
    yield f"\r\n--{_BOUNDARY}--\r\n".encode()


def send(http: httpx.Client, path: str, body: Iterator[bytes]) -> dict[str, Any]:
    """Send a form and return the answer, which must be a success."""
    kind = f"multipart/form-data; boundary={_BOUNDARY}"
    answer = http.post(path, content=body, headers={"content-type": kind})
    return answer.raise_for_status().json()


def in_one(http: httpx.Client, size: int) -> None:
    """Upload a file in one request."""
    file = send(http, "/files", form("file", size, purpose="assistants"))
    http.delete(f"/files/{file['id']}")


def in_parts(http: httpx.Client, size: int) -> None:
    """Upload a file in parts and have it put together."""
    body = {"filename": "a.bin", "purpose": "assistants", "bytes": size, "mime_type": "a/b"}
    path = f"/uploads/{http.post('/uploads', json=body).raise_for_status().json()['id']}"
    sizes = [min(_PART, size - start) for start in range(0, size, _PART)]
    parts = [send(http, f"{path}/parts", form("data", each))["id"] for each in sizes]
    done = http.post(f"{path}/complete", json={"part_ids": parts}).raise_for_status().json()
    http.delete(f"/files/{done['file']['id']}")


def to_disk(folder: Path, size: int) -> float:
    """Return the seconds that writing and syncing a plain file takes."""
    started = time.perf_counter()
    with (folder / "plain").open("wb") as file:
        for start in range(0, size, len(_BLOCK)):
            file.write(_BLOCK[: size - start])
        file.flush()
        os.fsync(file.fileno())
    (folder / "plain").unlink()
    return time.perf_counter() - started


def measure(folder: Path, megabytes: int) -> dict[str, dict[str, float]]:
    """Return seconds and added memory of each way to upload."""
    weights = folder / "tiny.gguf"
    tiny_model.write(weights)
    size = megabytes << 20
    ways: dict[str, Callable[[httpx.Client, int], None]] = {
        "one request": in_one,
        "parts": in_parts,
    }
    found: dict[str, dict[str, float]] = {}
    for name, upload in ways.items():
        with product(folder / name, weights) as running, _client(running) as http:
            upload(http, 1 << 20)
            started = time.perf_counter()
            with peak_of(running) as peak:
                upload(http, size)
            seconds = time.perf_counter() - started
        plain = to_disk(folder, size)
        found[name] = {"added, MB": peak.added, "seconds": seconds, "plain file, s": plain}
    return found


def _client(running: Running) -> httpx.Client:
    target = running.target
    return httpx.Client(
        base_url=f"http://127.0.0.1:{target.port}/v1",
        headers={"Authorization": f"Bearer {target.key}"},
        timeout=300,
        trust_env=False,
    )


def main() -> None:
    """Measure, print a table, and fail where an upload holds more memory than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=500)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.mb)
    print(f"{options.mb} MB\n\n| way | " + " | ".join(found["parts"]) + " |\n|---|---|---|---|")
    for name, figures in found.items():
        print(f"| {name} | " + " | ".join(f"{figure:.1f}" for figure in figures.values()) + " |")
    if options.json:
        options.json.write_text(json.dumps({"machine": facts(), "mb": options.mb, "ways": found}))
    if any(figures["added, MB"] > ADDED_MB for figures in found.values()):
        sys.exit(f"an upload held more than {ADDED_MB} MB")


if __name__ == "__main__":
    main()
