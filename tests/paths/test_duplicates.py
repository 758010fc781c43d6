"""Spans that came twice, ids that stand for two spans, and an order that does not depend on arrival."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spantables import new_pool, table_of, trace_bytes
from spanverdict.paths.content import content_of
from spanverdict.paths.duplicates import _SERVER_BIT, settle, trace_ranks
from spanverdict.telemetry.joining import concat
from spanverdict.telemetry.spantable import SpanTable

Row = dict[str, Any]
CLIENT = {"trace": "t", "id": 7, "kind": "client", "start": 1, "end": 9}
SERVER = {"trace": "t", "id": 7, "kind": "server", "start": 3, "end": 7, "resource": {"service.name": "callee"}}


def said(table: SpanTable) -> list[tuple[Any, ...]]:
    """Return all that the rows say, in their order, the same in every pool."""
    plain = ("span_id", "parent_span_id", "kind", "status_code", "start_time_unix_nano", "end_time_unix_nano", "flags")
    return [
        (table.pool.trace_hex(int(table.trace[row])), *(int(getattr(table, name)[row]) for name in plain), content_of(table, row))
        for row in range(len(table))
    ]  # fmt: skip


def outcome(table: SpanTable) -> tuple[list[tuple[Any, ...]], list[tuple[str, int, str]]]:
    settled, defects = settle(table)
    return said(settled), [(defect.name, defect.count, defect.detail) for defect in defects]


def names(rows: list[Row]) -> dict[str, int]:
    return {defect.name: defect.count for defect in settle(table_of(rows))[1]}


def test_the_same_span_twice_is_one_span() -> None:
    rows = [CLIENT, {"trace": "t", "id": 8}, CLIENT, CLIENT]
    settled, defects = settle(table_of(rows))
    assert (len(settled), defects) == (2, ())


def test_an_id_in_two_traces_is_two_spans() -> None:
    settled, defects = settle(table_of([CLIENT, {**CLIENT, "trace": "u"}]))
    assert (len(settled), defects) == (2, ())


DIFFERENCES: list[Row] = [
    {"end": 8},
    {"start": 2},
    {"name": "other"},
    {"parent": 5},
    {"kind": "internal"},
    {"status": "error"},
    {"status_message": "why"},
    {"trace_state": "a=b"},
    {"flags": 1},
    {"dropped_links": 1},
    {"attributes": {"a": 1}},
    {"attributes": [("a", 1), ("b", 2)]},
    {"attributes": [("b", 2), ("a", 1)]},
    {"resource": {"service.name": "x"}},
    {"scope": {"name": "x"}},
    {"events": [{"name": "e", "time": 1}]},
    {"events": [{"name": "e", "time": 2}]},
    {"events": [{"name": "e", "time": 1, "attributes": {"a": 1}}]},
    {"events": [{"name": "e", "time": 1}, {"name": "e", "time": 1}]},
    {"links": [{"trace": "z", "id": 1}]},
    {"links": [{"trace": "z", "id": 2}]},
    {"links": [{"trace": "z", "id": 1, "trace_state": "a=b"}]},
    {"links": [{"trace": "z", "id": 1, "flags": 1}]},
    {"links": [{"trace": "z", "id": 1, "attributes": {"a": 1}}]},
]


def test_every_difference_is_seen_and_one_version_kept_whatever_came_first() -> None:
    versions = [CLIENT, *({**CLIENT, **difference} for difference in DIFFERENCES)]
    for number, one in enumerate(versions):
        for other in versions[number + 1 :]:
            found = outcome(table_of([one, other]))
            assert [name for name, _, _ in found[1]] == ["conflicting_span"], (one, other)
            assert len(found[0]) == 1
            assert outcome(table_of([other, one])) == found


def test_many_versions_of_one_span_are_one_conflict() -> None:
    assert names([{**CLIENT, "end": n} for n in range(10, 15)]) == {"conflicting_span": 1}
    assert names([{**CLIENT, "end": n % 3} for n in range(5)]) == {"conflicting_span": 1}


def test_the_pair_that_zipkin_shares_is_parted() -> None:
    """The server half stands below the client half, and the children of the pair below the server half."""
    child = {"trace": "t", "id": 8, "parent": 7, "start": 4}
    elsewhere = {"trace": "u", "id": 9, "parent": 7, "start": 4}
    caller = {"trace": "t", "id": 6, "start": 1}
    rows = [{**CLIENT, "parent": 6}, {**SERVER, "parent": 6}, child, elsewhere, caller]
    settled, defects = settle(table_of(rows))
    assert [(defect.name, defect.count) for defect in defects] == [("shared_span_id", 1)]
    parent_of = dict(zip(settled.span_id.tolist(), settled.parent_span_id.tolist(), strict=True))
    server = 7 ^ int(_SERVER_BIT)
    assert parent_of == {6: 0, 7: 6, server: 7, 8: server, 9: 7}


def test_the_parted_id_is_never_zero() -> None:
    bit = int(_SERVER_BIT)
    rows = [{**CLIENT, "id": bit}, {**SERVER, "id": bit}, {"trace": "t", "id": 8, "parent": bit}]
    settled, _ = settle(table_of(rows))
    assert settled.span_id.min() == 1
    assert sorted(settled.parent_span_id.tolist()) == sorted([0, bit, 1])


def test_versions_of_a_shared_pair_are_chosen_for_each_half() -> None:
    rows = [CLIENT, {**CLIENT, "end": 99}, SERVER, {**SERVER, "kind": "internal"}]
    settled, defects = settle(table_of(rows))
    assert {defect.name: defect.count for defect in defects} == {"conflicting_span": 1, "shared_span_id": 1}
    assert settled.kind.tolist() == [3, 2]
    assert settled.end_time_unix_nano.tolist() == [9, 7]


def test_rows_are_sorted_by_trace_id_start_and_span_id() -> None:
    """Also where times are too far apart to be sorted by in one step, and where only ids differ."""
    for times in ([3, 1, 1, 2], [2**62, -(2**62), -(2**62), 5], [0, 2**63 - 1, 2**63 - 1, -(2**63)]):
        rows = [
            {"trace": trace, "id": n + 1, "start": start, "end": 0}
            for trace in ("b", "a", "c")
            for n, start in enumerate(times)
        ]
        settled, _ = settle(table_of(rows))
        found = [(trace_bytes(row["trace"]), row["start"], row["id"]) for row in rows]
        ids = settled.pool.traces.items_by_id
        assert [
            (ids[trace], start, span)
            for trace, start, span in zip(
                settled.trace, settled.start_time_unix_nano.tolist(), settled.span_id.tolist(), strict=True
            )
        ] == sorted(found)


def test_nothing_is_settled_as_nothing() -> None:
    table = table_of([])
    settled, defects = settle(table)
    assert (len(settled), defects) == (0, ())
    assert len(trace_ranks(table.pool, table.trace)) == 0


VERSION = st.fixed_dictionaries(
    {
        "trace": st.sampled_from("tu"),
        "id": st.integers(1, 4),
        "kind": st.sampled_from(["client", "server", "internal"]),
        "start": st.integers(0, 2),
        "parent": st.integers(0, 4),
        "attributes": st.sampled_from([{}, {"a": 1}, {"b": "x"}]),
        "events": st.sampled_from([[], [{"name": "e", "time": 1}]]),
        "links": st.sampled_from([[], [{"trace": "u", "id": 2}], [{"trace": "t", "id": 1, "attributes": {"k": 1}}]]),
    }
)


@settings(deadline=None, max_examples=150)
@given(st.lists(VERSION, max_size=10), st.data())
def test_the_result_is_the_same_for_any_order_repetition_and_pool(rows: list[Row], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(rows))
    again = data.draw(st.lists(st.sampled_from(rows), max_size=3)) if rows else []
    cut = data.draw(st.integers(0, len(rows)))
    pool = new_pool()
    table_of([{"trace": "elsewhere", "id": 5, "attributes": {"b": "x"}}, *reversed(rows)], pool)
    parts = [table_of(part).into(pool) for part in (shuffled[:cut], shuffled[cut:], again)]
    spans, defects = outcome(table_of(rows))
    assert outcome(concat(parts)) == (spans, defects)
    assert len({(span[0], span[1]) for span in spans}) == len(spans), "every id stands once"


def repeated(kinds: list[int]) -> SpanTable:
    """100,000 spans, half of them with the ids of the other half."""
    half = table_of([{"trace": "t", "id": n + 1, "start": n} for n in range(100)])
    table = concat([half.take(np.arange(50_000) % 100)] * 2)
    ids = np.tile(np.arange(1, 50_001, dtype=np.uint64), 2)
    columns = {name: getattr(table, name) for name in table.__dataclass_fields__}
    starts = ids.astype(np.int64)
    kind = np.repeat(np.array(kinds, np.int8), 50_000)
    return SpanTable(**{**columns, "span_id": ids, "kind": kind, "start_time_unix_nano": starts, "_columns": {}})


@pytest.mark.parametrize(
    ("kinds", "expected", "left"),
    [
        ([1, 1], [], 50_000),
        ([3, 2], [("shared_span_id", 50_000)], 100_000),
        ([1, 5], [("conflicting_span", 50_000)], 50_000),
    ],
)
def test_fifty_thousand_repeated_ids_are_settled_soon(
    kinds: list[int], expected: list[tuple[str, int]], left: int
) -> None:
    """The bound is generous; looking at all rows for each of them would miss it by far."""
    table = repeated(kinds)
    begun = time.perf_counter()
    settled, defects = settle(table)
    assert time.perf_counter() - begun < 2
    assert [(one.name, one.count) for one in defects] == expected
    assert len(settled) == left
