"""Who may be in memory, who has to leave, and what is said where nobody can."""

import asyncio

import pytest

from freehold.core.errors import ServiceUnavailableError
from freehold.engines import budget as budget_module
from freehold.engines.budget import MemoryBudget, machine_budget

MB = 1_000_000


class Tenant:
    """An engine that takes ``resident`` MB, or as much as its weights."""

    def __init__(self, budget, name, *, resident=None, pinned=False):
        self.budget = budget
        self.name = name
        self.pinned = pinned
        self.resident = resident
        self.idle = False
        self.last_used = 0.0
        self.unloads = 0
        self.may_go = asyncio.Event()
        self.may_go.set()

    @property
    def resident_bytes(self):
        return None if self.resident is None else self.resident * MB

    def unload(self):
        assert self.idle
        self.idle = False
        self.unloads += 1
        self.going = asyncio.create_task(self.go())

    async def go(self):
        await self.may_go.wait()
        self.budget.release(self)

    async def load(self, weights_mb, at=0.0):
        async with self.budget.room(self, weights_mb * MB) as room:
            if self.resident is not None:
                room.bytes = self.resident * MB
        self.idle, self.last_used = True, at
        self.budget.changed()


@pytest.fixture
def budget():
    return MemoryBudget(100 * MB, patience_s=0.05)


async def settle():
    for _ in range(8):
        await asyncio.sleep(0)


async def test_who_fits_beside_the_others_comes_in_and_nobody_leaves(budget):
    first, second = Tenant(budget, "a"), Tenant(budget, "b")
    await first.load(50)
    await second.load(50)
    assert (first.unloads, budget.used_bytes) == (0, 100 * MB)


async def test_the_longest_unused_leaves_first_and_no_more_than_needed(budget):
    tenants = [Tenant(budget, name) for name in "abc"]
    for tenant, at in zip(tenants, (3.0, 1.0, 2.0), strict=True):
        await tenant.load(30, at)
    await Tenant(budget, "d").load(30)
    assert [tenant.unloads for tenant in tenants] == [0, 1, 0]


async def test_who_enters_waits_until_the_memory_is_really_free(budget):
    first = Tenant(budget, "a")
    first.may_go.clear()
    await first.load(80)
    entering = asyncio.create_task(Tenant(budget, "b").load(50))
    await settle()
    assert (first.unloads, entering.done()) == (1, False)
    first.may_go.set()
    await entering
    assert budget.used_bytes == 50 * MB


async def test_who_is_busy_is_waited_for(budget):
    busy = Tenant(budget, "a")
    await busy.load(80)
    busy.idle = False
    entering = asyncio.create_task(Tenant(budget, "b").load(50))
    await settle()
    assert (busy.unloads, entering.done()) == (0, False)
    busy.idle = True
    budget.changed()
    await entering
    assert busy.unloads == 1


async def test_who_was_busy_when_too_much_was_taken_leaves_once_idle(budget):
    busy, larger = Tenant(budget, "a", resident=60), Tenant(budget, "b", resident=60)
    await busy.load(10)
    busy.idle = False
    async with budget.room(larger, 10 * MB):
        pass
    assert busy.unloads == 0
    busy.idle = True
    budget.changed()
    await settle()
    assert (busy.unloads, budget.used_bytes) == (1, 60 * MB)


async def test_one_that_is_too_large_alone_stays(budget):
    alone = Tenant(budget, "a", resident=120)
    await alone.load(10)
    budget.changed()
    await settle()
    assert alone.unloads == 0


async def test_nobody_leaves_in_vain(budget):
    busy, idle = Tenant(budget, "a"), Tenant(budget, "b")
    await busy.load(60)
    await idle.load(20)
    busy.idle = False
    with pytest.raises(ServiceUnavailableError):
        await Tenant(budget, "c").load(70)
    assert idle.unloads == 0


async def test_a_small_one_comes_in_while_a_large_one_waits(budget):
    busy = Tenant(budget, "a")
    await busy.load(60)
    busy.idle = False
    large = asyncio.create_task(Tenant(budget, "b").load(70))
    await settle()
    await Tenant(budget, "c").load(30)
    assert not large.done()
    with pytest.raises(ServiceUnavailableError):
        await large


async def test_where_no_room_comes_free_the_error_names_the_setting_and_a_time(budget):
    busy = Tenant(budget, "a")
    await busy.load(80)
    busy.idle = False
    with pytest.raises(ServiceUnavailableError, match="memory_budget_mb of 100 MB") as refusal:
        await Tenant(budget, "b").load(50)
    assert (refusal.value.code, refusal.value.retryable) == ("server_overloaded", None)
    assert refusal.value.retry_after is not None


async def test_beside_pinned_ones_there_is_no_waiting(budget):
    pinned = Tenant(budget, "a", pinned=True)
    await pinned.load(80)
    with pytest.raises(ServiceUnavailableError, match="pinned models take 80 MB") as refusal:
        await Tenant(budget, "b").load(50)
    assert "memory_budget_mb" in refusal.value.message
    assert refusal.value.retry_after is not None
    assert pinned.unloads == 0


async def test_weights_larger_than_everything_are_refused_for_good(budget):
    with pytest.raises(ServiceUnavailableError, match="memory_budget_mb") as refusal:
        await Tenant(budget, "a").load(101)
    assert refusal.value.retryable is False


async def test_what_is_loaded_counts_with_what_it_really_takes(budget):
    small, other = Tenant(budget, "a", resident=10), Tenant(budget, "b")
    await small.load(80)
    await other.load(80)
    assert (small.unloads, budget.used_bytes) == (0, 90 * MB)


async def test_one_that_turns_out_larger_pushes_idle_ones_out(budget):
    first, second = Tenant(budget, "a"), Tenant(budget, "b", resident=90)
    await first.load(40)
    await second.load(40)
    await settle()
    assert (first.unloads, second.unloads, budget.used_bytes) == (1, 0, 90 * MB)


async def test_the_second_load_asks_for_what_the_first_one_took(budget):
    grown, other = Tenant(budget, "a", resident=90), Tenant(budget, "b")
    await grown.load(40)
    await other.load(50)
    await grown.load(40)
    assert (grown.unloads, other.unloads) == (1, 1)


async def test_one_that_takes_more_than_the_budget_may_be_alone(budget):
    grown = Tenant(budget, "a", resident=150)
    await grown.load(40)
    await Tenant(budget, "b").load(50, at=-1)
    await grown.load(40)
    assert budget.used_bytes == 150 * MB


async def test_engines_without_memory_are_never_in_the_way(budget):
    upstream = Tenant(budget, "a")
    await upstream.load(0)
    await Tenant(budget, "b").load(100)
    await Tenant(budget, "c").load(0)
    assert upstream.unloads == 0


async def test_a_load_that_fails_gives_its_room_back(budget):
    async def fail():
        async with budget.room(Tenant(budget, "a"), 80 * MB):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert budget.used_bytes == 0


async def test_a_waiter_that_goes_away_takes_nothing(budget):
    busy = Tenant(budget, "a")
    await busy.load(80)
    busy.idle = False
    waiting = asyncio.create_task(Tenant(budget, "b").load(50))
    await settle()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert budget.used_bytes == 80 * MB


@pytest.mark.parametrize(("text", "expected"), [("5000000\n", 3_000_000), ("max\n", 6_000_000)])
def test_most_of_the_machine_or_of_its_container(tmp_path, monkeypatch, text, expected):
    file = tmp_path / "memory.max"
    file.write_text(text)
    monkeypatch.setattr(budget_module, "_CONTAINER_LIMITS", (file, tmp_path / "none"))
    monkeypatch.setattr(budget_module, "_machine_bytes", lambda: 10_000_000)
    assert machine_budget() == expected
