"""Several answers at once: all that they yield, never more of them than allowed."""

import asyncio

import pytest

from freehold.engines.merging import merged


class Sources:
    """Makes generators that count how many of them run."""

    def __init__(self):
        self.running = self.most = self.closed = 0
        self.hold = asyncio.Event()

    async def count(self, name, items, *, error=None, hangs=False):
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            for item in range(items):
                await asyncio.sleep(0)
                yield name, item
            if hangs:
                await self.hold.wait()
            if error:
                raise error
        finally:
            self.running -= 1
            self.closed += 1


async def test_everything_comes_and_each_source_in_its_order():
    sources = Sources()
    runs = [sources.count(name, 3) for name in "abc"]
    found = [item async for item in merged(runs, 3)]
    assert sorted(found) == [(name, item) for name in "abc" for item in range(3)]
    for name in "abc":
        assert [item for source, item in found if source == name] == [0, 1, 2]
    assert (sources.most, sources.running) == (3, 0)


async def test_only_so_many_run_at_once():
    sources = Sources()
    runs = [sources.count(name, 2) for name in "abcdefgh"]
    assert len([item async for item in merged(runs, 2)]) == 16
    assert sources.most == 2


async def test_an_exception_of_one_ends_all():
    sources = Sources()
    failing = sources.count("a", 1, error=ValueError("broken"))
    runs = [failing, sources.count("b", 1, hangs=True), sources.count("c", 1)]
    with pytest.raises(ValueError, match="broken"):
        _ = [item async for item in merged(runs, 2)]
    assert sources.running == 0


async def test_closing_it_closes_all():
    sources = Sources()
    merging = merged([sources.count(name, 1, hangs=True) for name in "ab"], 2)
    await anext(merging)
    await merging.aclose()
    assert (sources.running, sources.closed) == (0, 2)
