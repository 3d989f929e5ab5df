"""How fast the API server is asked, with a clock that the tests set."""

from __future__ import annotations

import pytest

from engines.argo.pacing import TokenBucket, TooFast


class Clock:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def bucket(clock: Clock, rate: float = 10.0, burst: int = 3) -> TokenBucket:
    return TokenBucket(rate, burst, clock, clock.sleep)


def test_a_burst_does_not_wait(clock: Clock) -> None:
    turns = bucket(clock)

    for _ in range(3):
        turns.take(1)

    assert clock.slept == []


def test_after_it_turns_come_at_the_rate(clock: Clock) -> None:
    turns = bucket(clock)
    for _ in range(23):
        turns.take(1)

    assert clock.now == pytest.approx(102.0)


def test_who_rests_may_burst_again_but_no_more(clock: Clock) -> None:
    turns = bucket(clock)
    for _ in range(3):
        turns.take(1)
    clock.now += 3600

    for _ in range(4):
        turns.take(1)

    assert clock.slept == [pytest.approx(0.1)]


def test_a_turn_that_comes_too_late_is_not_taken(clock: Clock) -> None:
    turns = bucket(clock, rate=1.0, burst=1)
    turns.take(1)

    with pytest.raises(TooFast):
        turns.take(0.5)

    turns.take(1)
    assert clock.slept == [pytest.approx(1.0)]


def test_those_who_wait_are_served_one_after_the_other() -> None:
    clock = Clock()
    waits: list[float] = []
    # Nobody's sleep moves the clock: all of them wait at the same time.
    turns = TokenBucket(10.0, 1, clock, waits.append)

    for _ in range(4):
        turns.take(1)

    assert waits == [pytest.approx(0.1), pytest.approx(0.2), pytest.approx(0.3)]


def test_a_server_that_asks_for_it_is_left_alone(clock: Clock) -> None:
    turns = bucket(clock)
    turns.close_for(2.0)

    turns.take(5)

    assert clock.slept == [pytest.approx(2.0)]


def test_who_matters_less_leaves_turns_to_others(clock: Clock) -> None:
    turns = bucket(clock, burst=4)
    turns.take(1, leaving=2)
    turns.take(1, leaving=2)

    with pytest.raises(TooFast):
        turns.take(1, leaving=2)

    turns.take(0)
    assert clock.slept == []
