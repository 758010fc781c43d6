"""Attributes of spans in another order are those of the spans, whether one is looked up or all are moved."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spantables import table_of
from spanverdict.telemetry.reordered import Reordered
from spanverdict.telemetry.repeatedkeys import with_repeated_keys
from spanverdict.telemetry.spantable import SpanTable

ATTRIBUTES = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 3) | st.text(max_size=2), max_size=3)


@st.composite
def tables(draw: st.DrawFn) -> tuple[SpanTable, np.ndarray[Any, Any]]:
    rows = draw(st.lists(ATTRIBUTES, min_size=1, max_size=8))
    table = table_of([{"trace": "t", "id": number + 1, "attributes": some} for number, some in enumerate(rows)])
    return table, np.array(draw(st.permutations(range(len(rows)))), np.intp)


@given(tables(), st.data())
def test_every_way_to_look_at_them_agrees_with_moved_ones(
    given_: tuple[SpanTable, np.ndarray[Any, Any]], data: st.DataObject
) -> None:
    table, order = given_
    found, expected = table.reordered(order), table.take(order)
    assert isinstance(found.attributes, Reordered)
    assert len(found.attributes) == len(found) == len(expected)
    for key in ("a", "b", "c", "nowhere"):
        one, other = found.attribute(key), expected.attribute(key)
        assert [one[row] for row in range(len(found))] == [other[row] for row in range(len(found))]
    some = np.array(data.draw(st.lists(st.integers(0, len(order) - 1))), np.intp)
    assert found.take(some).attributes.items.tolist() == expected.take(some).attributes.items.tolist()
    keys = table.pool.keys.of_attributes()
    assert with_repeated_keys(keys, found.attributes).tolist() == with_repeated_keys(keys, expected.attributes).tolist()
    assert found.attributes.items.tolist() == expected.attributes.items.tolist()
    assert found.attributes.offsets.tolist() == expected.attributes.offsets.tolist()
    assert [found.attributes.row(row).tolist() for row in range(len(found))] == [
        expected.attributes.row(row).tolist() for row in range(len(found))
    ]


@given(tables(), st.data())
def test_spans_that_stand_once_more_are_those_that_are_taken_again(
    given_: tuple[SpanTable, np.ndarray[Any, Any]], data: st.DataObject
) -> None:
    table, order = given_
    again = np.array(data.draw(st.lists(st.integers(0, len(order) - 1))), np.int32)
    rows = np.concatenate([np.arange(len(order)), again])
    for found, expected in (
        (table.followed_by(again), table.take(rows)),
        (table.reordered(order).followed_by(again), table.take(order[rows])),
    ):
        assert found.span_id.tolist() == expected.span_id.tolist()
        for key in ("a", "b", "c"):
            one, other = found.attribute(key), expected.attribute(key)
            assert [one[row] for row in range(len(found))] == [other[row] for row in range(len(found))]
        assert found.attributes.offsets.tolist() == expected.attributes.offsets.tolist()
        assert found.attributes.items.tolist() == expected.attributes.items.tolist()
