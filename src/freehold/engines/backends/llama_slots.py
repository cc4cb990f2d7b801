"""Who may use the loaded model: free slots, and room in the pool of tokens that they share."""

import asyncio
from collections import deque
from dataclasses import dataclass

from freehold.engines.backends.llama_channel import Channel, EngineLostError
from freehold.engines.speed import Speed

# Room for an answer is taken in portions, the next one a while before the last is used up, so
# that another answer that must make room has ended by then.
PORTION = 256
_AHEAD = 64


@dataclass(slots=True, eq=False)
class Lease:
    """Room that one request holds: ``used`` of its tokens so far, at most ``limit`` in the end."""

    channel: Channel
    reserved: int
    used: int = 0
    limit: int = 0
    evicted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    channel: Channel
    tokens: int
    future: asyncio.Future[Lease]


class Slots:
    """Hands out slots, then room for tokens, each in order of arrival."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._idle: asyncio.Queue[Channel | None] = asyncio.Queue()
        self._leases: dict[Channel, Lease] = {}
        self._waiters: deque[_Waiting] = deque()
        self._speed = Speed()

    @property
    def tokens_per_s(self) -> float | None:
        """How fast all slots together are while any is at work."""
        return self._speed.tokens_per_s

    @property
    def busy(self) -> int:
        """How many slots are at work."""
        return len(self._leases)

    @property
    def free_tokens(self) -> int:
        """Tokens of the pool that nobody holds or waits for."""
        return 0 if self._waiters else self._unreserved()

    def idle(self, channel: Channel) -> None:
        """Take a slot back: its engine work has ended."""
        if self._leases.pop(channel, None) is not None:
            self._speed.end()
        self._idle.put_nowait(channel)
        self._let_in()

    async def channel(self) -> Channel:
        """Return a free slot, waiting for one. Raises ``EngineLostError``."""
        channel = await self._idle.get()
        if channel is None:
            self._idle.put_nowait(None)
            raise EngineLostError
        return channel

    async def room(self, channel: Channel, tokens: int) -> Lease:
        """Reserve room in the pool, waiting for it; a caller that goes away gives its slot back."""
        tokens = min(tokens, self._capacity)
        if self.free_tokens >= tokens:
            return self._lease(channel, tokens)
        entry = _Waiting(channel, tokens, asyncio.get_running_loop().create_future())
        self._waiters.append(entry)
        try:
            return await entry.future
        except BaseException:
            if entry in self._waiters:
                self._waiters.remove(entry)
            self.idle(channel)
            raise

    def knows_prompt(self, lease: Lease, tokens: int, most: int) -> None:
        """Correct the reservation, which was an estimate, by the true size of the prompt."""
        if lease.used:
            return
        lease.used = tokens
        lease.limit = min(tokens + most, self._capacity)
        lease.reserved = min(tokens + PORTION, lease.limit)
        self._let_in()

    def grow(self, lease: Lease, tokens: int) -> None:
        """Note more tokens of the answer; where the pool is full, the youngest answer must go."""
        lease.used += tokens
        self._speed.count(tokens)
        while lease.reserved < min(lease.used + _AHEAD, lease.limit):
            if lease.evicted or not self._make_room(lease):
                return
            lease.reserved = min(lease.reserved + PORTION, lease.limit)

    def fail(self) -> None:
        """Turn away all who wait: the engine is gone."""
        self._idle.put_nowait(None)
        while self._waiters:
            entry = self._waiters.popleft()
            if not entry.future.done():
                entry.future.set_exception(EngineLostError())

    def _make_room(self, lease: Lease) -> bool:
        """See to room for one more portion; False where the lease itself has to go."""
        staying = [other for other in self._leases.values() if not other.evicted]
        needed = min(PORTION, self._capacity - lease.reserved)
        if self._capacity - sum(other.reserved for other in staying) >= needed:
            return True
        youngest = staying[-1]
        youngest.evicted = True
        youngest.channel.evict()
        return youngest is not lease and self._make_room(lease)

    def _let_in(self) -> None:
        """Give room to those at the head of the line that fit now."""
        while self._waiters and self._waiters[0].tokens <= self._unreserved():
            entry = self._waiters.popleft()
            if not entry.future.done():
                entry.future.set_result(self._lease(entry.channel, entry.tokens))

    def _lease(self, channel: Channel, tokens: int) -> Lease:
        lease = Lease(channel, tokens)
        self._leases[channel] = lease
        self._speed.begin()
        return lease

    def _unreserved(self) -> int:
        return self._capacity - sum(lease.reserved for lease in self._leases.values())
