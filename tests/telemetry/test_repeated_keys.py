"""Which rows hold an attribute twice: the same as looking at each of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.otlp.decode import new_pool
from spanverdict.telemetry import repeatedkeys
from spanverdict.telemetry.attributecolumn import ColumnCache, Keyed
from spanverdict.telemetry.ragged import ragged
from spanverdict.telemetry.reordered import Reordered
from spanverdict.telemetry.repeatedkeys import with_repeated_keys


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=30),
    st.lists(st.lists(st.integers(0, 29), max_size=6), max_size=40),
    st.sampled_from([1, 3, 1 << 16]),
    st.sampled_from([2, 1 << 16]),
)
def test_every_row_is_told_apart(keys: list[int], rows: list[list[int]], at_once: int, buckets: int) -> None:
    """However many rows are taken at a time, and also where many of them meet in one bucket."""
    rows = [[item % len(keys) for item in row] for row in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeatedkeys, "_AT_ONCE", at_once)
        patch.setattr(repeatedkeys, "_BUCKETS", buckets)
        patch.setattr(repeatedkeys, "_SHIFT", np.uint64(65 - buckets.bit_length()))
        found = with_repeated_keys(np.array(keys, np.int32), ragged(rows)).tolist()
    assert found == [len({keys[item] for item in row}) < len(row) for row in rows]


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=30),
    st.lists(st.lists(st.integers(0, 29), max_size=6), min_size=1, max_size=40),
    st.data(),
)
def test_lists_in_another_order_are_told_apart_by_keys_that_are_known(
    keys: list[int], rows: list[list[int]], data: st.DataObject
) -> None:
    rows = [[item % len(keys) for item in row] for row in rows]
    order = data.draw(st.permutations(range(len(rows))))
    lists, key_of = ragged(rows), np.array(keys, np.uint16)
    known: ColumnCache = {("keyed", ""): Keyed(key_of.take(lists.items), lists.owners().astype(np.int32))}
    pool = new_pool()
    for columns in ({}, known):
        found = with_repeated_keys(key_of, Reordered(lists, np.array(order, np.intp), pool, columns)).tolist()
        assert found == [len({keys[item] for item in rows[row]}) < len(rows[row]) for row in order]
