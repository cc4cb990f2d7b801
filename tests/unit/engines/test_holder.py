import asyncio
from contextlib import AsyncExitStack

import pytest

from freehold.core.errors import ServiceUnavailableError
from freehold.engines.base import EngineLoadError, EngineStatus
from freehold.engines.holder import Holder


class Engine:
    """As much of an engine as a holder needs."""

    slots = 2
    window = 64
    closed = False

    def status(self):
        return EngineStatus("ready", self.slots, 0, 0, self.window)

    async def close(self):
        self.closed = True


def held(queue_limit=8, engine=None):
    async def load():
        return engine or Engine()

    return Holder(load, queue_limit)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_loads_once_for_all_who_ask_together():
    loads = 0
    go = asyncio.Event()

    async def load():
        nonlocal loads
        loads += 1
        await go.wait()
        return Engine()

    holder = Holder(load, 8)
    asking = [asyncio.create_task(holder.ensure_loaded()) for _ in range(3)]
    await settle()
    assert holder.status().state == "loading"
    asking[0].cancel()
    go.set()
    await asyncio.gather(*asking, return_exceptions=True)
    assert loads == 1
    assert asking[1].result() is asking[2].result()
    assert holder.status().state == "ready"


async def test_failed_load_is_told_and_tried_again():
    faults = ["No such file."]

    async def load():
        if faults:
            raise EngineLoadError(faults.pop())
        return Engine()

    holder = Holder(load, 8)
    with pytest.raises(ServiceUnavailableError, match="No such file") as refusal:
        async with holder.admit():
            pytest.fail("entered without an engine")
    assert refusal.value.retryable is False
    assert isinstance(refusal.value, EngineLoadError)
    assert holder.status().state == "failed"
    assert holder.queued == 0
    async with holder.admit() as engine:
        assert engine.slots == 2


async def test_no_more_than_slots_enter_and_the_others_in_order():
    holder = held()
    entered = []
    leave = [asyncio.Event() for _ in range(4)]

    async def visit(number):
        async with holder.admit():
            entered.append(number)
            await leave[number].wait()

    visits = [asyncio.create_task(visit(number)) for number in range(4)]
    await settle()
    assert (entered, holder.busy, holder.queued) == ([0, 1], 2, 2)
    leave[1].set()
    await settle()
    assert entered == [0, 1, 2]
    for event in leave:
        event.set()
    await asyncio.gather(*visits)
    assert (entered[3], holder.busy, holder.queued) == (3, 0, 0)


async def test_full_line_turns_away_with_a_time_to_come_back():
    holder = held(queue_limit=0)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(holder.admit())
        with pytest.raises(ServiceUnavailableError) as refusal:
            await stack.enter_async_context(holder.admit())
        assert refusal.value.code == "server_overloaded"
        assert refusal.value.retry_after is not None
        assert refusal.value.retry_after >= 1
    async with holder.admit():
        assert holder.busy == 1


async def test_waiter_that_goes_away_leaves_the_line():
    holder = held(queue_limit=1)
    async with holder.admit(), holder.admit():
        waiter = asyncio.create_task(holder.admit().__aenter__())
        await settle()
        assert holder.queued == 1
        waiter.cancel()
        await asyncio.wait([waiter])
        assert holder.queued == 0
    assert holder.busy == 0


async def test_slot_handed_to_a_waiter_that_goes_away_is_not_lost():
    holder = held()
    first, second = holder.admit(), holder.admit()
    await first.__aenter__()
    await second.__aenter__()
    waiter = asyncio.create_task(holder.admit().__aenter__())
    await settle()
    await first.__aexit__(None, None, None)
    waiter.cancel()
    await asyncio.wait([waiter])
    assert holder.busy == 1
    await second.__aexit__(None, None, None)
    assert holder.busy == 0


async def test_line_is_bounded_while_the_engine_loads():
    never = asyncio.Event()

    async def load():
        await never.wait()
        return Engine()

    holder = Holder(load, 1)
    waiting = [asyncio.create_task(holder.admit().__aenter__()) for _ in range(3)]
    await settle()
    assert holder.queued == 2
    assert waiting[2].done()
    assert isinstance(waiting[2].exception(), ServiceUnavailableError)
    await holder.close()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, BaseException) for result in results)


async def test_close_turns_away_who_waits_and_closes_the_engine():
    engine = Engine()
    holder = held(engine=engine)
    async with holder.admit(), holder.admit():
        waiter = asyncio.create_task(holder.admit().__aenter__())
        await settle()
        await holder.close()
        with pytest.raises(ServiceUnavailableError, match="shutting down"):
            await waiter
    assert engine.closed
    with pytest.raises(ServiceUnavailableError, match="shutting down"):
        await holder.admit().__aenter__()


async def test_unloaded_engine_is_closed_and_loaded_again_when_asked_for():
    engines = []
    gone = []

    async def load():
        engines.append(Engine())
        return engines[-1]

    holder = Holder(load, 8, on_unloaded=lambda: gone.append(True))
    assert (holder.status().state, holder.idle) == ("unloaded", False)
    async with holder.admit():
        assert not holder.idle
    assert holder.idle
    holder.unload()
    assert holder.status().state == "unloaded"
    async with holder.admit() as engine:
        assert engine is engines[1]
    assert (engines[0].closed, engines[1].closed, gone) == (True, False, [True])


async def test_who_asks_while_the_engine_is_unloaded_waits_for_its_end():
    closing = asyncio.Event()
    order = []

    class Slow(Engine):
        async def close(self):
            await closing.wait()
            order.append("closed")

    async def load():
        order.append("loaded")
        return Slow()

    holder = Holder(load, 8)
    await holder.ensure_loaded()
    holder.unload()
    asking = asyncio.create_task(holder.ensure_loaded())
    await settle()
    assert (order, holder.status().state) == (["loaded"], "loading")
    closing.set()
    await asking
    assert order == ["loaded", "closed", "loaded"]
    await holder.close()


async def test_engine_in_use_is_not_unloaded():
    engine = Engine()
    holder = held(engine=engine)
    async with holder.admit():
        holder.unload()
        assert holder.loaded
    assert not engine.closed


async def test_last_one_out_says_that_the_engine_is_idle():
    told = []

    async def load():
        return Engine()

    holder = Holder(load, 8, on_idle=lambda: told.append(holder.idle))
    async with holder.admit(), holder.admit():
        told.clear()
    assert told == [True]


async def test_unused_engine_is_unloaded_after_its_time():
    unloaded = asyncio.Event()

    async def load():
        return Engine()

    holder = Holder(load, 8, idle_unload_s=0.02, on_unloaded=unloaded.set)
    async with holder.admit():
        await asyncio.sleep(0.03)  # longer than an unused one would stay
        assert holder.loaded
    await asyncio.wait_for(unloaded.wait(), 5)
    assert holder.status().state == "unloaded"


async def test_pinned_engine_outlives_its_time():
    async def load():
        return Engine()

    holder = Holder(load, 8, idle_unload_s=0.01)
    holder.pin()
    async with holder.admit():
        assert holder.pinned
    await asyncio.sleep(0.03)  # longer than an unused one would stay
    assert holder.loaded


async def test_what_was_loaded_once_is_proven_though_it_is_unloaded_now():
    loads = 0

    async def load():
        nonlocal loads
        loads += 1
        return Engine()

    holder = Holder(load, 8)
    await holder.prove()
    holder.unload()
    await holder.prove()
    assert loads == 1
