"""Bytes that come in pieces: they are what was sent, and no more memory is taken than was leased."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.receiver.errors import Overloaded
from spanverdict.receiver.incoming import AHEAD, IncomingBytes
from spanverdict.receiver.limits import ByteBudget

CAPACITY = 1 << 20


@given(
    content=st.binary(max_size=200).map(lambda some: some * 2000),
    steps=st.lists(st.tuples(st.sampled_from(["add", "room"]), st.integers(1, 90_000)), max_size=20),
    spare=st.sampled_from([None, 0, 100_000]),
)
def test_however_bytes_come_they_are_what_was_sent_and_leased_before_they_are_kept(content, steps, spare) -> None:
    budget = ByteBudget(CAPACITY)
    lease = budget.lease()
    size = len(content) + (spare or 0)
    incoming = IncomingBytes(size, lease, is_exact=spare is None)
    at = 0
    for how, count in [*steps, ("add", len(content))]:
        piece = content[at : at + count]
        if not piece:
            break
        if how == "add":
            half = len(piece) // 2
            incoming.add([memoryview(piece[:half]), memoryview(piece[half:])])
        else:
            room = incoming.room(len(piece))
            assert 1 <= len(room) <= len(piece)
            piece = piece[: len(room)]
            room[:] = piece
            room.release()
            incoming.took(len(piece))
        at += len(piece)
        assert (incoming.received, incoming.missing) == (at, size - at)
        assert at <= lease.size <= size
    assert incoming.whole() == content
    assert budget.in_use == len(content)


def test_a_whole_is_leased_at_once_only_while_half_of_the_budget_stays_free() -> None:
    budget = ByteBudget(CAPACITY)
    first, second = budget.lease(), budget.lease()
    IncomingBytes(CAPACITY // 2, first).add([memoryview(b"a")])
    IncomingBytes(CAPACITY // 2, second).add([memoryview(b"a")])
    assert (first.size, second.size) == (CAPACITY // 2, AHEAD)


def test_of_what_is_only_the_most_that_may_come_little_is_leased_ahead() -> None:
    lease = ByteBudget(CAPACITY).lease()
    incoming = IncomingBytes(CAPACITY, lease, is_exact=False)
    incoming.add([memoryview(b"a")])
    assert lease.size == AHEAD
    incoming.add([memoryview(bytes(4 * AHEAD))])
    assert lease.size == 4 * AHEAD + 1


def test_what_does_not_fit_is_refused_and_what_came_before_stays_leased() -> None:
    budget = ByteBudget(CAPACITY)
    others = budget.lease(CAPACITY - AHEAD)
    lease = budget.lease()
    incoming = IncomingBytes(2 * AHEAD, lease)
    incoming.add([memoryview(bytes(AHEAD))])
    with pytest.raises(Overloaded):
        incoming.add([memoryview(b"a")])
    with pytest.raises(Overloaded):
        incoming.room(1)
    assert (lease.size, incoming.received) == (AHEAD, AHEAD)
    others.release()
    incoming.add([memoryview(bytes(AHEAD))])
    assert incoming.whole() == bytes(2 * AHEAD)


def test_what_came_is_given_away_without_a_copy_and_not_kept() -> None:
    incoming = IncomingBytes(CAPACITY, ByteBudget(CAPACITY * 4).lease())
    tracemalloc.start()
    try:
        incoming.add([memoryview(b"a")])
        incoming.took(CAPACITY - 1)
        tracemalloc.reset_peak()
        whole = incoming.whole()
        _, peak = tracemalloc.get_traced_memory()
        assert len(whole) == CAPACITY
        assert peak < 1.5 * CAPACITY
        del whole
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < CAPACITY / 2


def test_nothing_is_nothing() -> None:
    assert IncomingBytes(0, ByteBudget(1).lease()).whole() == b""
