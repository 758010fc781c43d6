"""Compact tables hold the spans that they were made of, whatever these are."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.load import Load, make_payload
from spantables import table_of
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.telemetry.compact import FEW, CompactTable, compacted, unfolded, unfolded_into
from spanverdict.telemetry.joining import concat
from spanverdict.telemetry.narrow import Form, narrowed, plain, widened
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.ragged import Ragged, ragged
from spanverdict.telemetry.spantable import SpanTable

TYPES = ("i1", "u1", "i4", "u4", "i8", "u8")
NEAR = st.sampled_from([0, 1, 255, 256, 2**16 - 1, 2**16, 2**32 - 1, 2**32, 2**48 - 1, 2**48, 2**63 - 1])


def assert_same(here: object, there: object) -> None:
    for entry in fields(here):  # type: ignore[arg-type]
        one, other = getattr(here, entry.name), getattr(there, entry.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype, entry.name
            assert one.tolist() == other.tolist(), entry.name
        elif isinstance(one, Pool):
            assert one is other
        elif not isinstance(one, dict):
            assert_same(one, other)


@st.composite
def columns(draw: st.DrawFn) -> Any:
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    least, most = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    low = draw(st.integers(least, most))
    numbers = st.integers(low, min(most, low + draw(NEAR)))
    few = st.lists(numbers, min_size=1, max_size=3).flatmap(st.sampled_from)
    return draw(arrays(dtype, st.integers(0, 60), elements=draw(st.sampled_from([numbers, few])), fill=numbers))


@given(columns(), st.data())
def test_a_narrow_column_is_the_column(column: Any, data: st.DataObject) -> None:
    rows = data.draw(arrays(np.intp, 5, elements=st.integers(0, len(column) - 1))) if len(column) else np.zeros(0, int)
    for narrow in (plain(column), narrowed(column)):
        wide = widened(narrow, column.dtype)
        assert (wide.dtype, wide.tolist()) == (column.dtype, column.tolist())
        some = widened(narrow, column.dtype, rows)
        assert (some.dtype, some.tolist()) == (column.dtype, column[rows].tolist())
    assert len(narrowed(column).data) <= column.nbytes


@pytest.mark.parametrize(
    ("step", "form"),
    [(0, Form.FEW), (1, Form.ONE), (2, Form.TWO), (300, Form.FOUR), (2**26, Form.SIX), (2**42, Form.PLAIN)],
)
def test_a_column_takes_as_many_bytes_as_its_numbers_lie_apart(step: int, form: Form) -> None:
    column = np.arange(-100, 156, dtype=np.int64) * step
    narrow = narrowed(column)
    assert narrow.form == form
    assert len(narrow.data) == len(column) * {Form.FEW: 0, Form.PLAIN: 8}.get(form, form)


def test_what_is_unusual_costs_and_nothing_else() -> None:
    column = np.zeros(1000, np.int32)
    column[[3, 500]] = 7, -2
    narrow = narrowed(column)
    assert (narrow.form, len(narrow.data)) == (Form.FEW, 24)
    assert widened(narrow, np.int32).tolist() == column.tolist()


LISTS = st.lists(
    st.lists(st.one_of(st.integers(0, 9), st.integers(0, 2**31 - 1), st.integers(2**20, 2**20 + 999)), max_size=9),
    max_size=90,
)


def table_with(lists: Ragged) -> SpanTable:
    n = len(lists)
    table = table_of([{"trace": "t", "id": 1}]).take(np.zeros(n, np.intp))
    return replace(table, attributes=lists)


@settings(max_examples=200)
@given(LISTS, st.data())
def test_lists_of_any_numbers_come_back(lists: list[list[int]], data: st.DataObject) -> None:
    table = table_with(ragged(lists * 3))
    compact = compacted(table)
    assert_same(table, unfolded([(compact, None)]))
    rows = np.array(data.draw(st.lists(st.integers(0, len(table) - 1), max_size=6)) if len(table) else [], np.intp)
    assert_same(table.take(rows), unfolded([(compact, rows)]))


def test_more_frequent_numbers_than_there_are_codes_come_back() -> None:
    numbers = np.repeat(np.arange(1000, dtype=np.int32) * 7, 20)
    numbers = np.concatenate([numbers, np.arange(70_000, 90_000, dtype=np.int32)])
    np.random.default_rng(1).shuffle(numbers)
    table = table_with(Ragged(np.arange(0, len(numbers) + 1, 16), numbers))
    assert_same(table, unfolded([(compacted(table), None)]))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2 * FEW), st.integers(0, 16), st.integers(0, 9)), min_size=1, max_size=4),
    st.data(),
)
def test_tables_come_back_whole_and_in_parts(payloads: list[tuple[int, int, int]], data: st.DataObject) -> None:
    pool = new_pool(recent_attributes=30)
    tables = [decode(make_payload(*payload, run_id="r"), pool).table for payload in payloads]
    chosen = [
        None
        if data.draw(st.booleans())
        else np.array(data.draw(st.lists(st.integers(0, len(t) - 1))) if len(t) else [], int)
        for t in tables
    ]
    compact = [compacted(table) for table in tables]
    some = [table if rows is None else table.take(rows) for table, rows in zip(tables, chosen, strict=True)]
    assert_same(concat(some), unfolded([*zip(compact, chosen, strict=True)]))
    for one, other in zip(tables, compact, strict=True):
        assert (len(one), one.trace.tolist()) == (len(other), other.traces().tolist())


def test_times_that_lie_anywhere_come_back() -> None:
    ends = [(0, 2**63 - 1), (2**63 - 1, 0), (5, 3), (0, 0)] * FEW
    table = table_of([{"trace": "t", "id": 1 + n, "start": s, "end": e} for n, (s, e) in enumerate(ends)])
    assert_same(table, unfolded([(compacted(table), None)]))


def live(n_attributes: int) -> SpanTable:
    load, pool = Load.build(512, n_attributes, 1, run_id="r"), new_pool(20_000)
    return concat([decode(load.payload(number), pool).table for number in range(16)])


@pytest.mark.parametrize(("n_attributes", "most"), [(10, 50), (16, 56)])
def test_a_span_takes_little(n_attributes: int, most: int) -> None:
    table = live(n_attributes)
    assert compacted(table).nbytes / len(table) < most


def test_a_small_table_takes_little_besides_its_columns() -> None:
    tables = [table_of([{"trace": "t", "id": 1 + n, "attributes": {"a": n}}]) for n in range(3)]
    compact: list[CompactTable] = [compacted(table) for table in tables]
    assert compact[0]._places is compact[2]._places
    assert all(one.nbytes < 1500 for one in compact)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 2 * FEW), st.integers(0, 16), st.integers(0, 9), st.booleans()), min_size=1, max_size=5
    )
)
def test_tables_of_several_pools_come_together_in_one(payloads: list[tuple[int, int, int, bool]]) -> None:
    pools = new_pool(recent_attributes=30), new_pool(recent_attributes=30)
    tables = [decode(make_payload(*payload, run_id=f"r{which}"), pools[which]).table for *payload, which in payloads]
    for pool in pools:
        pool.weigh()
    there = unfolded_into(new_pool(recent_attributes=30), [(compacted(table), None) for table in tables])
    here = concat([table.into(there.pool) for table in tables])
    apart = new_pool()
    assert_same(here.into(apart), there.into(apart))
