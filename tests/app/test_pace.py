"""Requests wait for each other where that is of use, and for nobody who does not come."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.app.pace import ENOUGH_BYTES, FIRST_PAUSE_S, LONGEST_PAUSE_S, PERIOD_S, Pace

SMALL: Final = 1000
WORK_S: Final = 0.002
"""What a group takes."""


class World:
    """Time that goes on when somebody sleeps, and requests that come in it."""

    def __init__(self, work: Callable[[], float] = lambda: WORK_S) -> None:
        self.now = 100.0
        self.pace = Pace(lambda: self.now, self.sleep)
        self.groups: list[tuple[float, list[float]]] = []
        """When each was begun, and when its requests had come."""
        self._work = work

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def take(self, coming: list[float], size: int = SMALL) -> list[float]:
        """Take in a group of what comes at these times, as the intake does, and work on it."""
        self.pace.rest()
        self.now = max(self.now, coming[0])
        group = self._here(coming)
        patience = self.pace.patience(group)
        if patience:
            until = self.now + patience
            self.now = min(until, max(self.now, coming[0])) if coming else until
            group += self._here(coming)
        self.pace.begin(group, size * len(group))
        self.groups.append((self.now, group))
        self.now += self._work()
        return group

    def _here(self, coming: list[float]) -> list[float]:
        here = [at for at in coming if at <= self.now]
        del coming[: len(here)]
        return here

    def take_all(self, coming: Sequence[float], size: int = SMALL) -> World:
        left = sorted(coming)
        while left:
            self.take(left, size)
        return self

    def sizes(self, since: float = 0.0) -> list[int]:
        return [len(group) for begun, group in self.groups if begun >= since]

    @property
    def waits(self) -> list[float]:
        return [begun - at for begun, group in self.groups for at in group]


def every(seconds: float, how_many: int) -> list[float]:
    return [100.0 + number * seconds for number in range(1, how_many + 1)]


def closed_loop(clients: int, seconds: float, think: Callable[[], float], work: Callable[[], float]) -> World:
    """Let clients send again some time after they were answered."""
    world = World(work)
    coming = [100.0] * clients
    while world.now < 100.0 + seconds:
        answered = world.take(coming)
        coming += [world.now + think() for _ in answered]
        coming.sort()
    return world


def answered(world: World) -> int:
    return sum(len(group) for _, group in world.groups)


def without_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace, "rest", lambda _: None)


def mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def test_requests_that_come_every_ten_milliseconds_are_taken_in_two_at_a_time() -> None:
    assert mean(World().take_all(every(0.0101, 1000)).sizes()) > 1.8


def test_requests_that_come_at_random_are_mostly_taken_in_together(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(1)
    times, now = list[float](), 100.0
    for _ in range(2000):
        times.append(now := now + chance.expovariate(200))
    together = mean(World().take_all(times).sizes())
    without_pace(monkeypatch)
    assert together > 1.7 * mean(World().take_all(times).sizes())


def test_many_small_requests_are_taken_in_once_a_period() -> None:
    world = World().take_all(every(0.001, 5000))
    assert mean(world.sizes(since=101)) > 0.65 * PERIOD_S / 0.001


def test_a_request_after_a_quiet_time_does_not_wait() -> None:
    assert max(World().take_all(every(0.5, 20)).waits) == 0


@given(st.lists(st.floats(0.0, 0.1), min_size=1, max_size=60), st.floats(0.0, PERIOD_S))
def test_nobody_waits_longer_than_a_period_and_the_work_on_a_group(gaps: list[float], first: float) -> None:
    world, times, now = World(), list[float](), 100.0 + first
    for gap in gaps:
        times.append(now := now + gap)
    world.take_all(times)
    assert max(world.waits) <= PERIOD_S + WORK_S + 1e-9
    assert sorted(at for _, group in world.groups for at in group) == times


@pytest.mark.parametrize("clients", [1, 2, 16])
@pytest.mark.parametrize("think_ms", [0.3, 1.0, 5.0])
def test_who_waits_for_answers_is_hardly_kept_waiting(
    clients: int, think_ms: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)

    def think() -> float:
        return chance.expovariate(1000 / think_ms)

    def work() -> float:
        return WORK_S

    paced = answered(closed_loop(clients, 60, think, work))
    without_pace(monkeypatch)
    assert paced > 0.97 * answered(closed_loop(clients, 60, think, work))


def test_a_single_client_that_waits_for_answers_loses_some_periods_now_and_then() -> None:
    world = closed_loop(1, 120, lambda: 0.0005, lambda: WORK_S)
    lost = [wait for wait in world.waits if wait > 0]
    assert sum(lost) < 0.01 * 120
    assert sum(wait for begun, group in world.groups if begun < 101 for wait in [begun - group[0]]) < 7 * PERIOD_S


def test_it_is_tried_again_after_a_while() -> None:
    world = closed_loop(1, 60, lambda: 0.0005, lambda: WORK_S)
    quiet = world.now + LONGEST_PAUSE_S
    world.take_all([quiet + number * 0.001 for number in range(2000)])
    assert max(world.sizes(since=quiet)) > 10


def test_it_is_left_off_when_requests_become_fewer_and_taken_up_again() -> None:
    world = World().take_all([*every(0.001, 3000), *(103.0 + number * 0.003 for number in range(1, 1000))])
    assert mean(world.sizes(since=103.5 + FIRST_PAUSE_S)) > 3


def test_nobody_waits_after_a_large_group() -> None:
    assert max(World().take_all(every(0.001, 1000), ENOUGH_BYTES).waits) <= WORK_S + 1e-9
