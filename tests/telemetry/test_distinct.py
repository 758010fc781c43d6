"""Distinct numbers, as numpy finds them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.telemetry.distinct import distinct

SOME = st.integers(0, 60) | st.integers(0, 2**31 - 1)


@given(st.lists(SOME, min_size=1, max_size=40))
def test_it_is_what_numpy_finds(numbers: list[int]) -> None:
    column = np.array(numbers, np.int32)
    found, places = distinct(column)
    expected, where = np.unique(column, return_inverse=True)
    assert found.tolist() == expected.tolist()
    assert places.tolist() == where.tolist()
    assert (found.dtype, places.dtype) == (np.int32, np.intp)


@given(
    st.sets(st.integers(0, 2**31 - 1), min_size=2, max_size=20),
    st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 1_999)), max_size=60),
    st.integers(0, 2**32),
)
def test_many_numbers_of_which_few_are_distinct_or_rare_are_what_numpy_finds(often, rarely, seed) -> None:
    column = np.random.default_rng(seed).choice(np.array(sorted(often), np.int32), 2_000)
    for number, place in rarely:
        column[place] = number
    found, places = distinct(column)
    expected, where = np.unique(column, return_inverse=True)
    assert found.tolist() == expected.tolist()
    assert places.tolist() == where.tolist()
    assert (found.dtype, places.dtype) == (np.int32, np.intp)
