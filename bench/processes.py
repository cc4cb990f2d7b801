"""The servers that are measured, each in its own process, and what the system says about them."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from load import Target
from peer import SLOTS, TOKENS_PER_SLOT

_TICKS = os.sysconf("SC_CLK_TCK")
_PEER = Path(__file__).with_name("peer.py")
_ENGINE = b"llama_child"
_CONFIG = """
default_model = "tiny"

[models.tiny]
weights = "{weights}"
slots = {slots}
context = {context}
threads = 1
"""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    target: Target
    pid: int

    def cpu_seconds(self) -> float:
        """Return the processor time of the process and all below it, ended children included."""
        return sum(sum(_times(stat)) for _, stat in _tree(self.pid)) / _TICKS

    def memory_mb(self) -> dict[str, float]:
        """Return resident memory of the server process and of its engine process, if it has one."""
        sizes: dict[str, float] = {}
        for pid, _ in _tree(self.pid):
            name = "engine" if _ENGINE in _read(f"/proc/{pid}/cmdline") else "server"
            pages = int(_read(f"/proc/{pid}/statm").split()[1])
            sizes[name] = sizes.get(name, 0) + pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        return sizes


@contextlib.contextmanager
def product(folder: Path, weights: Path) -> Generator[Running, None, None]:
    """Run ``freehold serve`` as in production: keys, limits, accounting, log to a file."""
    config = _CONFIG.format(weights=weights, slots=SLOTS, context=SLOTS * TOKENS_PER_SLOT)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "freehold.toml").write_text(config)
    key_file = folder / "key"
    command = [sys.executable, "-m", "freehold", "serve", "--port", "0", "--state-dir", "state"]
    with (folder / "log.jsonl").open("a") as log, _process(command, folder, log) as process:
        url, key = _announced(_lines(process))
        if key:  # only the first start tells it
            key_file.write_text(key)
        yield Running(Target(_port(url), key_file.read_text()), process.pid)


@contextlib.contextmanager
def peer(folder: Path, weights: Path, *, split: bool = False) -> Generator[Running, None, None]:
    """Run llama.cpp's own server on the same weights."""
    command = [sys.executable, str(_PEER), str(weights), *(["--split"] if split else [])]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("a") as log, _process(command, folder, log) as process:
        yield Running(Target(_port(next(_lines(process), "nothing"))), process.pid)


def busy_seconds() -> float:
    """Return the processor time that the whole machine has spent at work."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, _read("/proc/stat").split()[1:9])
    return (user + nice + system + irq + softirq) / _TICKS


@contextlib.contextmanager
def _process(
    command: list[str], folder: Path, log: IO[str]
) -> Generator[subprocess.Popen[str], None, None]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("FREEHOLD_")}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout  # noqa: S101 - narrows the type; it was started with a pipe
    return iter(process.stdout)


def _announced(lines: Iterator[str]) -> tuple[str, str]:
    """Return address and project key of what a starting server prints."""
    url = key = ""
    for line in lines:
        if found := re.search(r"http://\S+:\d+", line):
            url = url or found.group()
        if found := re.search(r"sk-(?!admin-)[\w-]{20,}", line):
            key = key or found.group()
        if line.startswith(("freehold models add", "Text models answer with")):
            return url, key
    raise RuntimeError("the server ended before it listened; its log says why")


def _port(url: str) -> int:
    found = re.search(r":(\d+)", url)
    if not found:
        raise RuntimeError(f"no address in {url!r}")
    return int(found.group(1))


def _tree(root: int) -> list[tuple[int, list[str]]]:
    """Return the processes below ``root`` and itself, with their fields of ``/proc/PID/stat``."""
    names = (folder.name for folder in Path("/proc").iterdir())
    stats = {int(name): _stat(name) for name in names if name.isdecimal()}
    known = {root}
    while more := {p for p, stat in stats.items() if stat and int(stat[1]) in known} - known:
        known |= more
    return [(pid, stats[pid]) for pid in known if stats.get(pid)]


def _stat(pid: str) -> list[str]:
    """Return the fields after the program's name, nothing where the process has ended."""
    try:
        return _read(f"/proc/{pid}/stat").decode().rpartition(")")[2].split()
    except OSError:
        return []


def _times(stat: list[str]) -> list[int]:
    """Return ticks in user and system mode, of the process and of its ended children."""
    return [int(field) for field in stat[11:15]]


def _read(path: str) -> bytes:
    return Path(path).read_bytes()
