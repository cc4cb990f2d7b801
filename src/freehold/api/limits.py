"""Requests and tokens per minute, per project and model."""

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from freehold.core.errors import RateLimitError


@dataclass(frozen=True, slots=True)
class Limits:
    """What a project may use of a model in one minute."""

    requests: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What is left after a request was let in; resets are seconds until the bucket is full."""

    limit_requests: int
    limit_tokens: int
    remaining_requests: int
    remaining_tokens: int
    reset_requests: float
    reset_tokens: float

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the six ``x-ratelimit-*`` headers."""
        return [
            (b"x-ratelimit-limit-requests", b"%d" % self.limit_requests),
            (b"x-ratelimit-limit-tokens", b"%d" % self.limit_tokens),
            (b"x-ratelimit-remaining-requests", b"%d" % self.remaining_requests),
            (b"x-ratelimit-remaining-tokens", b"%d" % self.remaining_tokens),
            (b"x-ratelimit-reset-requests", duration(self.reset_requests)),
            (b"x-ratelimit-reset-tokens", duration(self.reset_tokens)),
        ]


class RateLimits(Protocol):
    """Buckets that refill with time. Replicas may share them behind this."""

    async def take(self, project: str, model: str, requests: int, tokens: int) -> Taken:
        """Take from the buckets, or raise ``RateLimitError`` with ``retry_after`` and headers."""
        ...

    async def peek(self, project: str, model: str) -> Taken:
        """Return what is left without taking anything."""
        ...

    def settle(self, project: str, model: str, tokens: int) -> None:
        """Correct the tokens taken by an estimate: positive takes more, negative gives back."""
        ...


def duration(seconds: float) -> bytes:
    """Write seconds as OpenAI does: ``12ms``, ``1.5s``, ``6m0s``."""
    if seconds < 1:
        return b"%dms" % math.ceil(seconds * 1000)
    minutes, rest = divmod(seconds, 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    return (f"{int(minutes)}m{text}" if minutes else text).encode()


class _Bucket:
    """Holds up to ``limit`` units and refills in a minute."""

    __slots__ = ("at", "level", "limit")

    def __init__(self, limit: int, at: float) -> None:
        self.limit = limit
        self.level = float(limit)
        self.at = at

    def refill(self, limit: int, at: float) -> None:
        self.limit = limit
        self.level = min(float(limit), self.level + (at - self.at) * limit / 60)
        self.at = at

    def missing(self, amount: int) -> float:
        """Return the seconds until ``amount`` units are there."""
        return max(0.0, (amount - self.level) * 60 / self.limit) if self.limit else math.inf

    def full_in(self) -> float:
        return self.missing(self.limit)


class LocalRateLimits:
    """Buckets of this process. ``limits_of`` finds the figures of a project and model."""

    def __init__(
        self,
        limits_of: Callable[[str, str], Awaitable[Limits]],
        *,
        enforced: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits_of = limits_of
        self._enforced = enforced
        self._clock = clock
        self._buckets: dict[tuple[str, str], tuple[_Bucket, _Bucket]] = {}

    async def take(self, project: str, model: str, requests: int, tokens: int) -> Taken:
        limits = await self._limits_of(project, model)
        per_request, per_token = self._refilled(project, model, limits)
        if self._enforced:
            _refuse_if_short(per_request, requests, model, project, "requests")
            _refuse_if_short(per_token, tokens, model, project, "tokens")
        per_request.level -= requests
        per_token.level -= tokens
        return _taken(per_request, per_token)

    async def peek(self, project: str, model: str) -> Taken:
        limits = await self._limits_of(project, model)
        return _taken(*self._refilled(project, model, limits))

    def settle(self, project: str, model: str, tokens: int) -> None:
        buckets = self._buckets.get((project, model))
        if buckets:
            buckets[1].level = min(float(buckets[1].limit), buckets[1].level - tokens)

    def _refilled(self, project: str, model: str, limits: Limits) -> tuple[_Bucket, _Bucket]:
        at = self._clock()
        pair = self._buckets.get((project, model))
        if pair is None:
            pair = (_Bucket(limits.requests, at), _Bucket(limits.tokens, at))
            self._buckets[project, model] = pair
        else:
            pair[0].refill(limits.requests, at)
            pair[1].refill(limits.tokens, at)
        return pair


def _taken(per_request: _Bucket, per_token: _Bucket) -> Taken:
    return Taken(
        limit_requests=per_request.limit,
        limit_tokens=per_token.limit,
        remaining_requests=max(0, int(per_request.level)),
        remaining_tokens=max(0, int(per_token.level)),
        reset_requests=per_request.full_in(),
        reset_tokens=per_token.full_in(),
    )


_UNITS = {
    "requests": ("requests per min (RPM)", "requests"),
    "tokens": ("tokens per min (TPM)", "tokens"),
}


def _refuse_if_short(bucket: _Bucket, amount: int, model: str, project: str, unit: str) -> None:
    if bucket.level >= amount:
        return
    name, error_type = _UNITS[unit]
    used = max(0, bucket.limit - int(bucket.level))
    where = f"for {model} in project {project} on {name}"
    if amount > bucket.limit:
        raise RateLimitError(
            f"Request too large {where}: Limit {bucket.limit}, Requested {amount}. "
            "The input or output tokens must be reduced in order to run successfully.",
            error_type=error_type,
            retryable=False,
        )
    wait = bucket.missing(amount)
    raise RateLimitError(
        f"Rate limit reached {where}: Limit {bucket.limit}, Used {used}, Requested {amount}. "
        f"Please try again in {duration(wait).decode()}.",
        error_type=error_type,
        retry_after=wait,
    )
