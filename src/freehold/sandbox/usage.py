"""What a session's processes take, as the system tells it."""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_KB: Final = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of memory that no file holds, and processor seconds, those of ended children too."""

    memory: int
    cpu_s: float


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that still are."""
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - a path per task is slower
            with suppress(OSError):
                text = Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii")
                found += map(int, text.split())
    return found


def family(pid: int) -> list[int]:
    """Return a process and all below it; inside a jail nobody leaves the family."""
    found = [pid]
    for member in found:
        found += children(member)
    return found


def of(pids: Iterable[int], most: int) -> Usage:
    """Return what the processes take; what is shared counts once when it's over ``most``."""
    known = list(pids)
    memory = sum(map(_memory, known))
    if memory > most:
        memory = sum(map(_share, known))
    return Usage(memory, sum(map(_cpu_s, known)))


def _memory(pid: int) -> int:
    return _sum(f"/proc/{pid}/status", ("RssAnon:", "RssShmem:"))


def _share(pid: int) -> int:
    """Return the memory with each shared page divided among those who share it."""
    try:
        return _sum(f"/proc/{pid}/smaps_rollup", ("Pss_Anon:", "Pss_Shmem:"))
    except PermissionError:
        return _memory(pid)


def _sum(path: str, names: tuple[str, ...]) -> int:
    try:
        lines = Path(path).read_bytes().decode().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(names)) * _KB


def _cpu_s(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, text.rsplit(b")", 1)[1].split()[11:15])) / _TICKS
