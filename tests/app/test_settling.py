"""Waiting without polling."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from spanverdict.app.settling import Settling


@pytest.fixture
def settling() -> Settling:
    return Settling()


def test_what_holds_already_is_not_waited_for(settling: Settling) -> None:
    assert settling.wait_for(lambda: True, 0)


def test_what_never_holds_is_given_up_when_the_time_is_over(settling: Settling) -> None:
    assert not settling.wait_for(lambda: False, 0.05)


def test_those_who_wait_are_woken_by_changes_only(settling: Settling) -> None:
    looked = []
    ready = threading.Event()

    def condition() -> bool:
        looked.append(1)
        ready.set()
        return len(looked) == 4

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(settling.wait_for, condition, 20)
        for expected in (1, 2, 3):
            assert ready.wait(10)
            ready.clear()
            assert len(looked) == expected
            settling.announce()
        assert waiting.result(10)
    assert len(looked) == 4


def test_a_change_while_it_is_looked_is_not_missed(settling: Settling) -> None:
    """The condition is looked at outside of the lock; what happens meanwhile counts."""
    looked = []

    def condition() -> bool:
        looked.append(1)
        if len(looked) == 1:
            settling.announce()
            return False
        return True

    assert settling.wait_for(condition, 20)


def test_closing_lets_everybody_go(settling: Settling) -> None:
    started = threading.Barrier(4)

    def wait() -> bool:
        started.wait()
        return settling.wait_for(lambda: False, None)

    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(wait) for _ in range(3)]
        started.wait()
        settling.close()
        assert [one.result(10) for one in waiting] == [False] * 3
    assert not settling.wait_for(lambda: False, None)
