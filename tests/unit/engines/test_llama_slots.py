import asyncio

import pytest

from freehold.engines.backends.llama_channel import EngineLostError
from freehold.engines.backends.llama_slots import PORTION, Slots


class Channel:
    """A slot that remembers whether its answer was told to go."""

    evicted = False

    def evict(self):
        self.evicted = True


def slots_of(capacity, count):
    slots = Slots(capacity)
    for _ in range(count):
        slots.idle(Channel())
    return slots


async def enter(slots, tokens):
    return await slots.room(await slots.channel(), tokens)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_slots_are_handed_out_while_there_are_any():
    slots = slots_of(1000, 2)
    first = await enter(slots, 100)
    await enter(slots, 100)
    third = asyncio.create_task(enter(slots, 100))
    await settle()
    assert (slots.busy, third.done()) == (2, False)
    slots.idle(first.channel)
    assert (await third).channel is first.channel


async def test_room_is_given_in_order_of_arrival():
    slots = slots_of(1000, 3)
    first = await enter(slots, 800)
    large = asyncio.create_task(enter(slots, 500))
    small = asyncio.create_task(enter(slots, 100))
    await settle()
    assert not large.done()
    assert not small.done()
    slots.idle(first.channel)
    assert [(await task).reserved for task in (large, small)] == [500, 100]
    assert slots.free_tokens == 400


async def test_waiter_that_goes_away_gives_back_its_slot_and_its_place():
    slots = slots_of(1000, 2)
    first = await enter(slots, 800)
    waiter = asyncio.create_task(enter(slots, 500))
    await settle()
    waiter.cancel()
    await asyncio.wait([waiter])
    assert slots.busy == 1
    assert slots.free_tokens == 200
    assert (await enter(slots, 200)).channel is not first.channel


async def test_waiter_cancelled_in_the_moment_of_its_turn_gives_its_room_back():
    slots = slots_of(1000, 2)
    first = await enter(slots, 800)
    waiter = asyncio.create_task(enter(slots, 500))
    await settle()
    slots.idle(first.channel)
    waiter.cancel()
    await asyncio.wait([waiter])
    assert (slots.busy, slots.free_tokens) == (0, 1000)


async def test_true_size_of_a_prompt_frees_what_was_estimated_too_much():
    slots = slots_of(1000, 2)
    lease = await enter(slots, 900)
    waiter = asyncio.create_task(enter(slots, 300))
    await settle()
    slots.knows_prompt(lease, 50, 10)
    assert lease.reserved == 60
    assert (await waiter).reserved == 300


async def test_answer_grows_portion_by_portion_up_to_its_limit():
    slots = slots_of(2000, 1)
    lease = await enter(slots, 100)
    slots.knows_prompt(lease, 100, 300)
    assert lease.reserved == 100 + PORTION
    slots.grow(lease, PORTION - 10)
    assert lease.reserved == 400


async def test_youngest_goes_when_the_pool_is_full():
    slots = slots_of(600, 2)
    old, young = await enter(slots, 300), await enter(slots, 300)
    slots.knows_prompt(old, 40, 500)
    slots.knows_prompt(young, 40, 500)
    slots.grow(old, 250)
    assert (old.channel.evicted, young.channel.evicted) == (False, True)
    slots.grow(young, 250)
    assert not old.channel.evicted


async def test_loss_of_the_engine_turns_away_all_who_wait():
    slots = slots_of(1000, 2)
    await enter(slots, 800)
    for_room = asyncio.create_task(enter(slots, 500))
    await settle()
    for_slots = [asyncio.create_task(enter(slots, 1)) for _ in range(2)]
    await settle()
    slots.fail()
    for task in (for_room, *for_slots):
        with pytest.raises(EngineLostError):
            await task
