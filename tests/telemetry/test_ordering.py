"""Sorting by several columns does what sorting by one after the other does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.telemetry.ordering import order_of, sorted_by

FAR = 2**63 - 1
NUMBERS = st.one_of(st.integers(-3, 3), st.integers(-(2**40), 2**40), st.integers(-FAR - 1, FAR))
ROWS = st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[NUMBERS] * width), min_size=1, max_size=30))


@given(ROWS)
def test_rows_come_as_one_sort_after_the_other_puts_them(rows: list[tuple[int, ...]]) -> None:
    columns = [np.array(column, np.int64) for column in zip(*rows, strict=True)]

    assert order_of(*columns).tolist() == np.lexsort(columns[::-1]).tolist()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2**64 - 1)), min_size=1, max_size=30))
def test_ids_of_64_bits_are_sorted_too(rows: list[tuple[int, int]]) -> None:
    few, ids = (np.array(column, np.uint64) for column in zip(*rows, strict=True))

    assert order_of(few, ids).tolist() == np.lexsort((ids, few)).tolist()
    assert order_of(ids, few).tolist() == np.lexsort((few, ids)).tolist()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60), st.data())
def test_rows_that_differ_in_their_last_bits_only_are_told_apart(
    rows: list[tuple[int, ...]], data: st.DataObject
) -> None:
    far = data.draw(st.lists(st.sampled_from([0, FAR - 3]), min_size=len(rows), max_size=len(rows)))
    columns = [np.array(column, np.int64) + np.array(far) for column in zip(*rows, strict=True)]
    some = np.array(data.draw(st.permutations(range(len(rows)))), np.intp)[: 1 + len(rows) // 2]

    assert order_of(*columns).tolist() == np.lexsort(columns[::-1]).tolist()
    expected = some[np.lexsort([column[some] for column in columns[::-1]])]
    assert sorted_by(some, *columns).tolist() == expected.tolist()


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint32])
def test_narrow_columns_are_not_cut_off(dtype: type[np.integer]) -> None:
    info = np.iinfo(dtype)
    column = np.array([info.max, info.min, 0, info.max], dtype)

    assert order_of(column, np.zeros(4, np.int64)).tolist() == np.argsort(column, kind="stable").tolist()


def test_numbers_of_other_byte_order_are_understood() -> None:
    column = np.array([2**63 + 5, 2**63, 2**63 + 1], ">u8")

    assert order_of(column).tolist() == [1, 2, 0]


def test_nothing_is_in_order() -> None:
    assert order_of(np.zeros(0, np.int64)).tolist() == []
