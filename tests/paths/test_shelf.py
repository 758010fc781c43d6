"""The shelf gives back what was put there, whatever became compact, was dropped or taken apart meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.load import make_payload
from spantables import table_of, trace_bytes
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.paths import shelf
from spanverdict.paths.shelf import Shelf
from spanverdict.telemetry.spantable import SpanTable

TRACES = "abc"


@pytest.fixture(params=[1, 12, 1000])
def fold(request: pytest.FixtureRequest) -> Iterator[int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelf, "FOLD_SPANS", request.param)
        patch.setattr(shelf, "FOLD_TABLES", max(2, request.param // 3))
        yield request.param


def spans_in(table: SpanTable | None) -> list[tuple[bytes, int, object]]:
    if table is None:
        return []
    names = table.attribute("number")
    traces = [table.pool.traces.items_by_id[number] for number in table.trace.tolist()]
    return sorted(zip(traces, table.span_id.tolist(), [names[row] for row in range(len(table))], strict=True))


@pytest.mark.usefixtures("fold")
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.sampled_from(TRACES), min_size=1, max_size=7), st.booleans()), max_size=12),
    st.data(),
)
def test_what_is_on_the_shelf_comes_back(tables: list[tuple[list[str], bool]], data: st.DataObject) -> None:
    kept, known, pools = Shelf(), dict[int, list[tuple[bytes, int, object]]](), (new_pool(), new_pool())
    for number, (traces, which) in enumerate(tables):
        rows = [{"trace": trace, "id": 1 + n, "attributes": {"number": number}} for n, trace in enumerate(traces)]
        kept.put(number, table_of(rows, pools[which]))
        known[number] = [(trace_bytes(trace), 1 + n, number) for n, trace in enumerate(traces)]
        if known and data.draw(st.booleans()):
            gone = data.draw(st.sampled_from(sorted(known)))
            assert kept.drop(gone) in pools
            del known[gone]
        wanted = data.draw(st.sets(st.sampled_from(sorted(known)))) if known else set()
        among = data.draw(st.none() | st.sets(st.sampled_from([trace_bytes(trace) for trace in TRACES])))
        expected = [s for n in wanted for s in known[n] if among is None or s[0] in among]
        assert spans_in(kept.spans(wanted, among)) == sorted(expected)
        assert [*kept] == sorted(known)
    for left in known:
        kept.drop(left)
    assert kept.nbytes == 0


def test_many_small_tables_take_little_room() -> None:
    pool, kept = new_pool(), Shelf()
    for number in range(shelf.FOLD_TABLES):
        kept.put(number, table_of([{"trace": "a", "id": 1 + number}], pool))
    assert kept.nbytes / shelf.FOLD_TABLES < 300
    found = kept.spans([3, 5], None)
    assert found is not None
    assert found.span_id.tolist() == [4, 6]


def test_a_block_of_which_little_is_held_gives_its_memory_back() -> None:
    pool, kept = new_pool(), Shelf()
    for number in range(shelf.FOLD_TABLES):
        kept.put(number, table_of([{"trace": "a", "id": 1 + n} for n in range(100)], pool))
    full = kept.nbytes
    for number in range(1, shelf.FOLD_TABLES):
        kept.drop(number)
    assert kept.nbytes < full / 25
    found = kept.spans([0])
    assert found is not None
    assert found.span_id.tolist() == np.arange(1, 101).tolist()


def test_many_spans_of_several_pools_come_together() -> None:
    pools = new_pool(recent_attributes=30), new_pool(recent_attributes=30)
    kept, expected = Shelf(), list[tuple[object, object]]()
    for number in range(24):
        table = decode(make_payload(1000, 4, number, run_id="r"), pools[number // 12]).table
        kept.put(number, table)
        column = table.attribute("request.id")
        expected += zip(table.span_id.tolist(), [column[row] for row in range(len(table))], strict=True)
    found = kept.spans([*kept])
    assert found is not None
    assert found.pool not in pools
    column = found.attribute("request.id")
    assert sorted(zip(found.span_id.tolist(), [column[row] for row in range(len(found))], strict=True)) == sorted(
        expected
    )
    assert {found.resource_attribute("test.suite.run.id")[row] for row in range(0, len(found), 999)} == {"r"}
