"""What waits for the judge's thread, and what wakes it."""

from __future__ import annotations

import threading
import time
from queue import Empty

import pytest

from spanverdict.app.inbox import Inbox

LONG_S = 30.0


def test_items_come_out_in_the_order_they_were_put() -> None:
    inbox: Inbox[int] = Inbox()
    for item in range(3):
        inbox.put(item, weight=1)
    assert [inbox.get(), inbox.get_nowait(), inbox.get(timeout=0)] == [0, 1, 2]


def test_an_empty_inbox_says_so() -> None:
    inbox: Inbox[int] = Inbox()
    for take in (inbox.get_nowait, lambda: inbox.get(timeout=0.0)):
        with pytest.raises(Empty):
            take()


def test_whoever_waits_for_an_item_gets_the_first_however_light() -> None:
    inbox: Inbox[int] = Inbox()
    got: list[int] = []
    waiting = threading.Thread(target=lambda: got.append(inbox.get(LONG_S)))
    waiting.start()
    inbox.put(7, weight=0)
    waiting.join(LONG_S)
    assert got == [7]


@pytest.mark.parametrize("put", [{"weight": 3.0}, {}], ids=["heavy", "pressing"])
def test_a_rest_ends_with_an_item_that_weighs_enough(put: dict[str, float]) -> None:
    inbox: Inbox[int] = Inbox()
    inbox.put(1, weight=1)
    resting = threading.Thread(target=inbox.rest, args=(LONG_S, 4))
    resting.start()
    inbox.put(2, **put)
    resting.join(LONG_S / 2)
    assert not resting.is_alive()


def test_a_rest_goes_on_while_there_is_little() -> None:
    inbox: Inbox[int] = Inbox()
    inbox.put(1, weight=1)
    begun = time.monotonic()
    inbox.rest(0.05, 4)
    assert time.monotonic() - begun >= 0.05


def test_what_was_taken_weighs_nothing_once_all_is_taken() -> None:
    inbox: Inbox[int] = Inbox()
    inbox.put(1)
    inbox.get()
    begun = time.monotonic()
    inbox.rest(0.05, 1)
    assert time.monotonic() - begun >= 0.05
