"""Background work waits behind live requests and leaves its slot to them."""

import asyncio
from contextlib import suppress

import pytest

from freehold.engines.background import Guest, guest
from freehold.engines.base import EngineStatus
from freehold.engines.holder import Holder


class OneSlot:
    slots = 1

    def status(self):
        return EngineStatus("ready", 1, 0, 0, 64)

    async def close(self):
        """There is nothing to close."""


@pytest.fixture
def holder():
    async def load():
        return OneSlot()

    return Holder(load, 0)  # no live request may wait: guests are not counted


class Work:
    """Something that wants the slot until it is told to go on."""

    def __init__(self, holder, visitor=None):
        self.inside = asyncio.Event()
        self.go_on = asyncio.Event()
        self.task = asyncio.create_task(self._enter(holder, visitor))
        if visitor is not None and visitor.leave is None and visitor.sent_away is False:
            visitor.leave = self.task.cancel

    async def _enter(self, holder, visitor):
        guest.set(visitor)
        async with holder.admit():
            self.inside.set()
            await self.go_on.wait()

    async def end(self):
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


def line(limit):
    async def load():
        return OneSlot()

    return Holder(load, limit)


async def test_guest_leaves_when_a_live_request_has_to_wait():
    holder = line(8)
    background = Work(holder, Guest())
    await background.inside.wait()

    live = Work(holder)
    await asyncio.wait_for(live.inside.wait(), 1)

    assert background.task.cancelled()
    await live.end()


async def test_guest_that_may_stay_is_waited_for():
    holder = line(8)
    staying = Guest()
    background = Work(holder, staying)
    staying.leave = None
    await background.inside.wait()

    live = Work(holder)
    await settle()
    assert not live.inside.is_set()
    background.go_on.set()
    await asyncio.wait_for(live.inside.wait(), 1)
    await live.end()


async def test_one_guest_leaves_for_one_live_request():
    holder = line(8)
    background = Work(holder, Guest())
    await background.inside.wait()
    first, second = Work(holder), Work(holder)
    await first.inside.wait()
    await settle()
    assert not second.inside.is_set()
    await first.end()
    await second.inside.wait()
    await second.end()


async def test_guests_wait_behind_live_requests_whoever_came_first():
    holder = line(8)
    busy = Work(holder)
    await busy.inside.wait()
    background, live = Work(holder, Guest()), Work(holder)
    await settle()

    await busy.end()
    await live.inside.wait()
    assert not background.inside.is_set()
    await live.end()
    await background.inside.wait()
    await background.end()


async def test_guests_take_no_place_in_the_queue(holder):
    busy = Work(holder)
    await busy.inside.wait()
    background = [Work(holder, Guest()) for _ in range(3)]
    await settle()
    assert not any(one.task.done() for one in background)
    for one in (*background, busy):
        await one.end()
    assert holder.busy == 0
    assert holder.idle
