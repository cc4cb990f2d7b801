"""Tokens per second of work."""

import pytest

from freehold.engines.speed import Speed


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_no_speed_before_the_first_token(clock):
    speed = Speed(clock)
    speed.begin()
    clock.now += 1
    assert speed.tokens_per_s is None


def test_time_without_work_does_not_count(clock):
    speed = Speed(clock)
    for _ in range(2):
        speed.begin()
        speed.count(10)
        clock.now += 2
        speed.end()
        clock.now += 50
    assert speed.tokens_per_s == 5


def test_answers_at_the_same_time_add_up(clock):
    speed = Speed(clock)
    speed.begin()
    speed.begin()
    speed.count(10)
    speed.count(10)
    clock.now += 2
    speed.end()
    assert speed.tokens_per_s == 10


def test_an_answer_under_way_counts(clock):
    speed = Speed(clock)
    speed.begin()
    speed.count(6)
    clock.now += 2
    assert speed.tokens_per_s == 3


def test_what_is_old_fades(clock):
    speed = Speed(clock)
    for rate in (100, *[10] * 6):
        speed.begin()
        speed.count(rate * 61)
        clock.now += 61
        speed.end()
    assert speed.tokens_per_s == pytest.approx(10, rel=0.2)
