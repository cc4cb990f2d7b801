"""Users that nobody is: each session of a server that runs as root gets one of its own."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

# Distributions leave these free: neither people, nor services, nor containers get them.
_FREE: Final = range(60578, 61184)
_SETUID: Final = 7


class Uids:
    """Lends users. ``own`` is whether there are any to lend."""

    def __init__(self) -> None:
        self.own = os.getuid() == 0 and _may_change_user() and _are_mapped(_FREE)
        self._lent: set[int] = set()

    def take(self) -> int | None:
        """Return a user that no process belongs to; None where we can't be another."""
        if not self.own:
            return None
        taken = self._lent | _in_use()
        uid = next(uid for uid in _FREE if uid not in taken)
        self._lent.add(uid)
        return uid

    def give_back(self, uid: int | None) -> None:
        """End the loan; nothing of the session may be left."""
        if uid is not None:
            self._lent.discard(uid)


def _may_change_user() -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    rights = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(rights, 16) >> _SETUID & 1)


def _are_mapped(uids: range) -> bool:
    lines = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
    maps = [tuple(map(int, line.split())) for line in lines]
    return any(first <= uids[0] and uids[-1] < first + count for first, _, count in maps)


def _in_use() -> set[int]:
    found: set[int] = set()
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                with suppress(OSError):
                    found.add(entry.stat().st_uid)
    return found
