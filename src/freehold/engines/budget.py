"""How much memory the engines may take together, and who goes when another needs room."""

import asyncio
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from freehold.core.errors import ServiceUnavailableError

MEGABYTE = 1_000_000
_SHARE_OF_MACHINE = 0.6
_LONGEST_WAIT_S = 60.0
_RETRY_S = 5.0
# A container may have less than its machine.
_CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


class Tenant(Protocol):
    """What takes memory: one engine that can be unloaded while nobody uses it."""

    @property
    def pinned(self) -> bool: ...

    @property
    def idle(self) -> bool:
        """Whether the engine is loaded and nobody uses it or waits for it."""
        ...

    @property
    def last_used(self) -> float: ...

    @property
    def resident_bytes(self) -> int | None:
        """What the loaded engine takes now, None where that is not known."""
        ...

    def unload(self) -> None:
        """Begin to free the memory; the budget's ``release`` is called once that is done."""
        ...


@dataclass(slots=True)
class Room:
    """Memory kept for one tenant: an estimate until the engine tells what it takes."""

    bytes: int
    leaving: bool = False


class MemoryBudget:
    """Lets engines into memory as long as all fit, and unloads those unused for longest.

    Engines that are pinned or in use stay. One that is alone may take more than its estimate.
    """

    def __init__(self, limit_bytes: int, patience_s: float = _LONGEST_WAIT_S) -> None:
        self._limit = limit_bytes
        self._patience_s = patience_s
        self._rooms: dict[Tenant, Room] = {}
        self._seen: dict[Tenant, int] = {}
        self._waiting = 0
        self._crowded = False
        self._change = asyncio.Event()

    @asynccontextmanager
    async def room(self, tenant: Tenant, weights_bytes: int) -> AsyncGenerator[Room, None]:
        """Keep room for a tenant, for the block in which it loads and from then on.

        Inside, ``Room.bytes`` is to be set to what the engine really takes. Raises
        ``ServiceUnavailableError`` where there is no room and won't be any soon.
        """
        needed = self._needed(tenant, weights_bytes)
        room = await self._enter(tenant, needed)
        try:
            yield room
        except BaseException:
            self.release(tenant)
            raise
        self._make_room(0)

    def release(self, tenant: Tenant) -> None:
        """Note that a tenant takes no memory any more."""
        if self._rooms.pop(tenant, None):
            self.changed()

    def changed(self) -> None:
        """Look again, a tenant has become idle or has gone: for those who wait, and for all."""
        if self._crowded:
            self._make_room(0)
        if self._waiting:
            self._change.set()
            self._change = asyncio.Event()

    @property
    def used_bytes(self) -> int:
        """What all tenants take, those that load and leave included."""
        return sum(self._size(tenant) for tenant in self._rooms)

    def _needed(self, tenant: Tenant, weights_bytes: int) -> int:
        if weights_bytes > self._limit:
            raise _too_large(weights_bytes, self._limit)
        return min(max(weights_bytes, self._seen.get(tenant, 0)), self._limit)

    async def _enter(self, tenant: Tenant, needed: int) -> Room:
        try:
            async with asyncio.timeout(self._patience_s):
                while not self._fits(needed):
                    self._refuse_beside_pinned(needed)
                    self._make_room(needed)
                    with self._patience():
                        await self._change.wait()
        except TimeoutError:
            raise _no_room_now(needed, self._limit) from None
        self._rooms[tenant] = room = Room(needed)
        return room

    def _fits(self, needed: int) -> bool:
        used = self.used_bytes
        return not needed or not used or used + needed <= self._limit

    @contextmanager
    def _patience(self) -> Generator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def _refuse_beside_pinned(self, needed: int) -> None:
        """Raise where those that never leave take too much."""
        pinned = sum(self._size(tenant) for tenant in self._rooms if tenant.pinned)
        if pinned and pinned + needed > self._limit:
            raise _pinned_full(pinned, needed, self._limit)

    def _make_room(self, needed: int) -> None:
        """Begin to unload idle tenants, the longest unused first, where that makes enough room.

        Where only those inside take too much, all that may leave do, but the last one.
        """
        staying = [tenant for tenant, room in self._rooms.items() if not room.leaving]
        missing = sum(map(self._size, staying)) + needed - self._limit
        victims: list[Tenant] = []
        for tenant in sorted(filter(_may_leave, staying), key=lambda tenant: tenant.last_used):
            if missing <= 0 or (len(victims) == len(staying) - 1 and not needed):
                break
            if size := self._size(tenant):
                victims.append(tenant)
                missing -= size
        if not needed:
            self._crowded = missing > 0
        if missing <= 0 or not needed:
            for tenant in victims:
                self._unload(tenant)

    def _unload(self, tenant: Tenant) -> None:
        room = self._rooms[tenant]
        room.bytes = self._seen[tenant] = self._size(tenant)
        room.leaving = True
        tenant.unload()

    def _size(self, tenant: Tenant) -> int:
        room = self._rooms[tenant]
        taken = None if room.leaving else tenant.resident_bytes
        return room.bytes if taken is None else taken


def machine_budget() -> int:
    """Return the bytes that engines may take where no setting says so: most of the memory."""
    return int(_SHARE_OF_MACHINE * min(_machine_bytes(), *map(_limit_of, _CONTAINER_LIMITS)))


def _machine_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _limit_of(file: Path) -> int:
    """Return the limit in a control group's file; all memory where there is none."""
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such file, or the word "max"
        return _machine_bytes()


def _may_leave(tenant: Tenant) -> bool:
    return tenant.idle and not tenant.pinned


def _megabytes(count: int) -> str:
    return f"{count / MEGABYTE:.0f} MB"


def _too_large(weights: int, limit: int) -> ServiceUnavailableError:
    return ServiceUnavailableError(
        f"The model's weights take {_megabytes(weights)}, more than the memory_budget_mb of "
        f"{_megabytes(limit)}: raise that setting or bind a smaller model.",
        code="model_not_loaded",
        retryable=False,
    )


def _pinned_full(pinned: int, needed: int, limit: int) -> ServiceUnavailableError:
    return ServiceUnavailableError(
        f"The model needs {_megabytes(needed)}, and pinned models take {_megabytes(pinned)} of "
        f"the memory_budget_mb of {_megabytes(limit)}: raise that setting or unpin a model.",
        code="model_not_loaded",
        retry_after=_RETRY_S,
    )


def _no_room_now(needed: int, limit: int) -> ServiceUnavailableError:
    return ServiceUnavailableError(
        f"The model needs {_megabytes(needed)}, and models that are answering take the rest of "
        f"the memory_budget_mb of {_megabytes(limit)}. Please retry after a brief wait.",
        code="server_overloaded",
        retry_after=_RETRY_S,
    )
