from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otlp.messages import table_rows
from spantables import new_pool, table_of
from spanverdict.telemetry.joining import concat
from spanverdict.telemetry.ragged import gather, ragged
from spanverdict.telemetry.spantable import MAX_TIME, Ragged, SpanTable

VALUES = st.sampled_from([None, True, 1, 1.0, "a", "ü", b"x", (1, "a"), {"k": 1}])
PAIRS = st.lists(st.tuples(st.sampled_from(["a", "b", "service.name"]), VALUES), max_size=4)
ATTRIBUTES = st.dictionaries(st.sampled_from(["a", "b", "service.name"]), VALUES, max_size=3)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"trace": st.sampled_from(["t1", "t2", "t3"]), "id": st.integers(1, 2**64 - 1)},
        optional={
            "parent": st.integers(0, 2**64 - 1),
            "name": st.sampled_from(["", "n", "m"]),
            "start": st.integers(0, MAX_TIME // 2),
            "end": st.integers(0, MAX_TIME),
            "status_message": st.sampled_from(["", "oh"]),
            "trace_state": st.sampled_from(["", "a=b"]),
            "flags": st.integers(0, 2**32 - 1),
            "dropped_links": st.integers(0, 2**32 - 1),
            "attributes": PAIRS,
            "resource": ATTRIBUTES,
            "scope": st.fixed_dictionaries({"name": st.sampled_from(["", "lib"]), "attributes": ATTRIBUTES}),
            "events": st.lists(
                st.fixed_dictionaries(
                    {"name": st.sampled_from(["e", "f"]), "time": st.integers(0, 9), "attributes": PAIRS}
                ),
                max_size=2,
            ),
            "links": st.lists(
                st.fixed_dictionaries(
                    {"trace": st.sampled_from(["t1", "elsewhere"]), "id": st.integers(1, 9), "attributes": PAIRS},
                    optional={"trace_state": st.just("c=d"), "flags": st.integers(0, 9)},
                ),
                max_size=2,
            ),
        },
    ),
    max_size=6,
)


def same_types(one: SpanTable, other: SpanTable) -> bool:
    return all(
        getattr(one, name).dtype == getattr(other, name).dtype
        for name in ("trace", "span_id", "resource", "scope", "name", "kind", "flags", "start_time_unix_nano")
    )


@given(ROWS, st.data())
@settings(deadline=None)
def test_taking_rows_is_taking_them_one_by_one(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    table = table_of(rows)
    picked = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8)) if rows else []
    taken = table.take(np.array(picked, np.intp))
    whole = table_rows(table)
    assert table_rows(taken) == [whole[row] for row in picked]
    assert same_types(taken, table)


@given(st.lists(ROWS, min_size=1, max_size=4))
@settings(deadline=None)
def test_joining_tables_is_joining_their_rows(parts: list[list[dict[str, Any]]]) -> None:
    pool = new_pool()
    tables = [table_of(rows, pool) for rows in parts]
    joined = concat(tables)
    assert table_rows(joined) == [row for table in tables for row in table_rows(table)]
    assert same_types(joined, tables[0])


def test_tables_of_different_pools_are_not_joined() -> None:
    with pytest.raises(ValueError, match="different pools"):
        concat([table_of([]), table_of([])])


@given(ROWS, ROWS)
@settings(deadline=None)
def test_moving_a_table_into_another_pool_changes_nothing_that_it_says(
    there: list[dict[str, Any]], here: list[dict[str, Any]]
) -> None:
    resident, guest = table_of(here), table_of(there)
    before = table_rows(resident)
    moved = guest.into(resident.pool)
    assert moved.pool is resident.pool
    assert table_rows(moved) == table_rows(guest)
    assert table_rows(concat([resident, moved])) == before + table_rows(guest)
    assert same_types(moved, guest)
    pool = resident.pool
    assert len(pool.resource_attributes) == len(pool.resources)
    assert len(pool.scope_attributes) == len(pool.scope_names) == len(pool.scopes)


def test_moving_adds_only_what_is_used_and_equal_things_once() -> None:
    guest = table_of([{"trace": "a", "id": 1, "attributes": {"k": 1}}, {"trace": "b", "id": 2, "attributes": {"k": 2}}])
    resident = table_of([{"trace": "a", "id": 3, "attributes": {"k": 1}}])
    moved = guest.take(np.array([0])).into(resident.pool)
    assert (moved.trace[0], moved.attributes.items[0]) == (resident.trace[0], resident.attributes.items[0])
    assert (len(resident.pool.traces), len(resident.pool.attributes)) == (1, 1)


def test_columns_of_a_moved_table_are_its_own() -> None:
    guest = table_of([{"trace": "a", "id": 1, "attributes": {"k": "old"}}])
    assert guest.attribute("k")[0] == "old"
    pool = new_pool()
    table_of([{"trace": "z", "id": 9, "attributes": {"other": 1}}], pool)
    assert guest.into(pool).attribute("k")[0] == "old"


def model_column(rows: list[dict[str, Any]], key: str) -> list[Any]:
    """Of a repeated key the last counts; a dict of the pairs says just that."""
    return [dict(row.get("attributes", ())).get(key) for row in rows]


def exact(values: list[Any]) -> list[tuple[str, Any]]:
    return [(type(value).__name__, value) for value in values]


@given(ROWS, st.sampled_from(["a", "b", "service.name", "absent"]))
@settings(deadline=None)
def test_attribute_columns_hold_each_rows_last_value(rows: list[dict[str, Any]], key: str) -> None:
    table = table_of(rows)
    n = range(len(rows))
    events = [event for row in rows for event in row.get("events", ())]
    links = [link for row in rows for link in row.get("links", ())]
    assert exact([table.attribute(key)[row] for row in n]) == exact(model_column(rows, key))
    assert exact([table.event_attribute(key)[e] for e in range(len(events))]) == exact(model_column(events, key))
    assert exact([table.link_attribute(key)[e] for e in range(len(links))]) == exact(model_column(links, key))
    assert exact([table.resource_attribute(key)[row] for row in n]) == exact(
        [r.get("resource", {}).get(key) for r in rows]
    )
    scopes = [row.get("scope", {}) for row in rows]
    assert exact([table.scope_attribute(key)[row] for row in n]) == exact(model_column(scopes, key))
    assert len(table.attribute(key).codes) == len(rows)


def test_an_absent_attribute_and_an_empty_one_are_told_apart_by_their_codes() -> None:
    table = table_of([{"trace": "a", "id": 1, "attributes": {"k": None}}, {"trace": "a", "id": 2}])
    column = table.attribute("k")
    assert column.codes.tolist() == [0, -1]
    assert column.values == (None,)


def test_a_column_is_made_once() -> None:
    table = table_of([{"trace": "a", "id": 1, "attributes": {"k": 1}}])
    assert table.attribute("k") is table.attribute("k")
    assert table.attribute("k") is not table.resource_attribute("k")


def test_durations_are_exact_and_negative_where_the_span_says_so() -> None:
    table = table_of(
        [{"trace": "a", "id": 1, "start": 5, "end": 3}, {"trace": "a", "id": 2, "start": 0, "end": MAX_TIME}]
    )
    assert table.duration().tolist() == [-2, MAX_TIME]


def test_an_empty_table_has_every_column_of_a_full_one() -> None:
    pool = new_pool()
    empty, full = (
        SpanTable.empty(pool),
        table_of([{"trace": "a", "id": 1, "events": [{}], "links": [{"trace": "b", "id": 1}]}], pool),
    )
    assert len(empty) == 0
    assert same_types(empty, full)
    assert table_rows(concat([empty, full, empty])) == table_rows(full)
    assert len(empty.attribute("k").codes) == len(empty.resource_attribute("k").codes) == 0


def test_the_size_of_a_table_grows_with_its_rows() -> None:
    row = {"trace": "a", "id": 1, "attributes": {"k": 1}, "events": [{"attributes": {"k": 1}}]}
    small, large = table_of([row]), table_of([row] * 100)
    columns = ("trace", "resource", "scope", "name", "status_message", "trace_state", "flags")
    assert small.nbytes > 4 * len(columns) + 4 * 8
    assert 90 * (small.nbytes - SpanTable.empty(small.pool).nbytes) < large.nbytes < 110 * small.nbytes


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=6), st.data())
def test_ragged_lists_are_lists(lists: list[list[int]], data: st.DataObject) -> None:
    found = ragged(lists)
    assert [found.row(row).tolist() for row in range(len(found))] == lists
    assert found.owners().tolist() == [row for row, items in enumerate(lists) for _ in items]
    rows = data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=6)) if lists else []
    taken = found.take(np.array(rows, np.intp))
    assert [taken.row(place).tolist() for place in range(len(taken))] == [lists[row] for row in rows]
    offsets, places = gather(found.offsets, np.array(rows, np.intp))
    assert (offsets[-1], found.items[places].tolist()) == (len(places), taken.items.tolist())


def test_empty_ragged_lists_have_the_rows_they_were_given() -> None:
    assert [len(Ragged.empty(n)) for n in (0, 3)] == [0, 3]
