"""Spans that are looked for close by are those that are found by looking everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spantables import table_of
from spanverdict.paths.duplicates import settle
from spanverdict.paths.forest import SpanIndex, find_parents
from spanverdict.paths.stitching import resolve_links
from spanverdict.telemetry.spantable import SpanTable

TRACES = "abc"


@st.composite
def settled_tables(draw: st.DrawFn) -> SpanTable:
    """Traces of up to seventy spans, with parents and links anywhere, nowhere and in themselves."""
    count = draw(st.integers(1, 70))
    any_id = st.integers(1, count + 2)
    link = st.fixed_dictionaries({"trace": st.sampled_from("abcz"), "id": any_id})
    rows: list[dict[str, Any]] = [
        {
            "trace": draw(st.sampled_from(TRACES)),
            "id": number,
            "parent": draw(st.just(0) | any_id),
            "start": draw(st.integers(0, 50)),
            "links": draw(st.lists(link, max_size=2)),
        }
        for number in range(1, count + 1)
    ]
    return settle(table_of(rows))[0]


@given(settled_tables())
def test_parents_found_close_by_are_those_found_everywhere(table: SpanTable) -> None:
    group = table.trace.astype(np.int64)
    near, everywhere = find_parents(table, group, settled=True), find_parents(table, group)
    assert near.parent.tolist() == everywhere.parent.tolist()
    assert near.orphan.tolist() == everywhere.orphan.tolist()
    assert near.cyclic.tolist() == everywhere.cyclic.tolist()


@given(settled_tables())
def test_linked_spans_found_close_by_are_those_found_everywhere(table: SpanTable) -> None:
    near, everywhere = resolve_links(table, settled=True), resolve_links(table)
    assert near.source.tolist() == everywhere.source.tolist()
    assert near.target.tolist() == everywhere.target.tolist()
    assert (near.dangling, near.to_self) == (everywhere.dangling, everywhere.to_self)


def test_nothing_is_found_among_no_spans() -> None:
    table = table_of([])
    index = SpanIndex.of(table, table.trace.astype(np.int64))
    nothing = np.zeros(0, np.int64)
    assert index.find_near(nothing, -1, nothing, nothing.astype(np.uint64)).tolist() == []
    assert find_parents(table, nothing, settled=True).parent.tolist() == []


@given(
    st.lists(st.integers(0, 30), max_size=60), st.lists(st.tuples(st.integers(0, 40), st.integers(1, 80)), max_size=5)
)
def test_what_is_found_among_few_groups_is_what_is_found_among_all(
    groups: list[int], wanted: list[tuple[int, int]]
) -> None:
    index = SpanIndex(np.array(groups, np.int64), np.arange(1, len(groups) + 1, dtype=np.uint64))
    group, span_id = np.array(wanted, np.int64).reshape(-1, 2).T
    ids = span_id.astype(np.uint64)
    assert index.find_among(group, ids).tolist() == index.find(group, ids).tolist()
