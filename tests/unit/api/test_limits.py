import pytest

from freehold.api.limits import Limits, LocalRateLimits, duration
from freehold.core.errors import RateLimitError


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def limits(clock, requests=2, tokens=100, **more):
    async def figures(_project, _model):
        return Limits(requests, tokens)

    return LocalRateLimits(figures, clock=clock, **more)


async def test_requests_beyond_the_limit_are_told_when_to_come_back():
    clock = Clock()
    buckets = limits(clock)
    assert (await buckets.take("p", "m", 1, 10)).remaining_requests == 1
    await buckets.take("p", "m", 1, 10)
    with pytest.raises(RateLimitError) as refused:
        await buckets.take("p", "m", 1, 10)
    assert refused.value.code == "rate_limit_exceeded"
    assert refused.value.error_type == "requests"
    assert refused.value.retry_after == pytest.approx(30)
    clock.now = 30
    assert (await buckets.take("p", "m", 1, 10)).remaining_requests == 0


async def test_projects_and_models_have_their_own_buckets():
    buckets = limits(Clock(), requests=1)
    await buckets.take("p", "m", 1, 0)
    await buckets.take("p", "n", 1, 0)
    await buckets.take("q", "m", 1, 0)
    with pytest.raises(RateLimitError):
        await buckets.take("p", "m", 1, 0)


async def test_tokens_are_settled_with_what_was_really_used():
    buckets = limits(Clock(), requests=9)
    await buckets.take("p", "m", 1, 10)
    buckets.settle("p", "m", 60)
    assert (await buckets.peek("p", "m")).remaining_tokens == 30
    with pytest.raises(RateLimitError) as refused:
        await buckets.take("p", "m", 1, 40)
    assert refused.value.error_type == "tokens"


async def test_a_request_larger_than_the_limit_is_not_to_be_repeated():
    with pytest.raises(RateLimitError) as refused:
        await limits(Clock()).take("p", "m", 1, 101)
    assert refused.value.retryable is False


async def test_unenforced_limits_refuse_nothing():
    buckets = limits(Clock(), requests=1, enforced=False)
    await buckets.take("p", "m", 1, 1)
    assert (await buckets.take("p", "m", 1, 1)).remaining_requests == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, b"0ms"), (0.0121, b"13ms"), (8.64, b"8.64s"), (360, b"6m0s")]
)
def test_durations_are_written_as_openai_does(seconds, text):
    assert duration(seconds) == text
