"""Which rows hold an attribute twice: the same as looking at each of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.telemetry import repeatedkeys
from spanverdict.telemetry.ragged import ragged
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
