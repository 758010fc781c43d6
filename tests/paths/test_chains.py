"""Chains that are followed all at once end where following them one by one ends."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.paths import chains

POINTERS = st.integers(1, 60).flatmap(lambda n: st.lists(st.integers(-1, n - 1), min_size=n, max_size=n))


def ahead_of(start: int, following: list[int]) -> set[int]:
    """Return all that is reached from a row, the row included."""
    seen: set[int] = set()
    while start >= 0 and start not in seen:
        seen.add(start)
        start = following[start]
    return seen


@given(POINTERS, st.data())
def test_what_is_reached_is_what_one_step_after_the_other_reaches(following: list[int], data: st.DataObject) -> None:
    marked = data.draw(st.lists(st.booleans(), min_size=len(following), max_size=len(following)))
    expected = {row for start, mark in enumerate(marked) if mark for row in ahead_of(start, following)}

    found = chains.reached(np.array(marked), np.array(following))

    assert set(np.flatnonzero(found).tolist()) == expected


@given(POINTERS)
def test_only_what_stands_on_a_cycle_is_far_ahead(following: list[int]) -> None:
    on_cycles = {
        row for row, next_row in enumerate(following) if next_row >= 0 and row in ahead_of(next_row, following)
    }

    found = set(chains.far(np.array(following), np.arange(len(following))).tolist())

    assert found <= on_cycles
    assert all(found & ahead_of(row, following) for row in on_cycles)


@pytest.mark.parametrize("n_rows", [1, 1000, 300_000])
def test_a_chain_against_the_order_of_rows_is_followed_to_its_end(n_rows: int) -> None:
    downwards = np.minimum(np.arange(n_rows) + 1, n_rows - 1)

    assert (chains.ends(downwards) == n_rows - 1).all()


@given(st.integers(1, 80).flatmap(lambda n: st.tuples(*(st.integers(0, row) for row in range(n)))), st.randoms())
def test_the_end_of_a_chain_is_found_in_whatever_order_rows_stand(above: tuple[int, ...], random: Random) -> None:
    place = list(range(len(above)))
    random.shuffle(place)
    following = np.empty(len(above), np.intp)
    for row, up in enumerate(above):
        following[place[row]] = place[up]
    expected = list(range(len(above)))
    for row, up in enumerate(above):
        expected[row] = row if up == row else expected[up]

    found = chains.ends(following)

    assert [int(found[place[row]]) for row in range(len(above))] == [place[end] for end in expected]
