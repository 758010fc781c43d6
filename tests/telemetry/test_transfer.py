"""Tables in another process are the tables here."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.load import make_payload
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.values import decode_attribute
from spanverdict.telemetry.alikes import Alikes
from spanverdict.telemetry.joining import concat
from spanverdict.telemetry.likening import likened
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import SpanTable
from spanverdict.telemetry.transfer import Liken, TableReader, TableWriter
from spanverdict.telemetry.vectors import constant

KEYS = ("request.id", "thread.id", "cached", "nothing")


def sent(table: SpanTable, writer: TableWriter, reader: TableReader, liken: Liken | None = None) -> SpanTable:
    packed = writer.pack(table, liken)
    body = b"".join(column.tobytes() for column in packed.columns)
    return reader.unpack(packed.head, np.frombuffer(body, np.uint8))


def assert_same(here: object, there: object) -> None:
    """Numbers for numbers, what they stand for included."""
    for entry in fields(here):  # type: ignore[arg-type]
        one, other = getattr(here, entry.name), getattr(there, entry.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype, entry.name
            assert one.tolist() == other.tolist(), entry.name
        elif not isinstance(one, Pool | dict):
            assert_same(one, other)


def assert_same_pool(here: Pool, there: Pool) -> None:
    for name in ("traces", "strings", "attributes", "resources", "scopes"):
        assert [*getattr(here, name).items_by_id] == [*getattr(there, name).items_by_id]
    assert here.resource_attributes == there.resource_attributes
    assert here.scope_attributes == there.scope_attributes
    assert here.scope_names == there.scope_names
    assert here.keys.names() == there.keys.names()
    assert here.keys.of_attributes().dtype == there.keys.of_attributes().dtype
    assert here.keys.of_attributes().tolist() == there.keys.of_attributes().tolist()


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 16), st.integers(0, 9)), min_size=1, max_size=6))
def test_a_table_arrives_as_it_was_sent(payloads: list[tuple[int, int, int]]) -> None:
    pool = new_pool(recent_attributes=30)
    writer, reader = TableWriter(pool), TableReader(decode_attribute)
    tables = [decode(make_payload(*payload, run_id="r"), pool).table for payload in payloads]
    arrived = [sent(table, writer, reader) for table in tables]
    for here, there in zip(tables, arrived, strict=True):
        assert_same(here, there)
        assert_same_pool(here.pool, there.pool)
    here, there = concat(tables), concat(arrived)
    for key in KEYS:
        assert here.attribute(key).codes.tolist() == there.attribute(key).codes.tolist()
        assert here.attribute(key).values == there.attribute(key).values
    assert_same(here.into(new_pool()), there.into(new_pool()))


def test_attributes_that_are_kept_as_rows_arrive_and_become_compact() -> None:
    pool = new_pool(recent_attributes=1000)
    writer, reader = TableWriter(pool), TableReader(decode_attribute)
    for seed, n_spans in enumerate((300, 3, 4000)):
        here = decode(make_payload(n_spans, 16, seed), pool).table
        there = sent(here, writer, reader)
        assert_same(here, there)
    assert_same_pool(pool, there.pool)
    kinds = [[type(part) for _, part in known.attributes.parts(0)] for known in (pool, there.pool)]
    assert np.ndarray in kinds[0]
    assert kinds[1] == [Alikes]


def test_many_attributes_are_made_compact_before_they_are_sent() -> None:
    pool = new_pool(recent_attributes=1000)
    writer, reader = TableWriter(pool), TableReader(decode_attribute)
    for seed, n_spans in enumerate((3, 600, 20, 100, 700)):
        here = decode(make_payload(n_spans, 16, seed, run_id="r"), pool).table
        there = sent(here, writer, reader, likened)
        assert_same(here, there)
        assert_same_pool(pool, there.pool)
    compact = [part for _, part in there.pool.attributes.parts(0) if isinstance(part, Alikes)]
    assert sum(map(len, compact)) > len(pool.attributes) / 2
    assert there.pool.weigh() < pool.weigh() / 2


@pytest.mark.parametrize("liken", [None, likened], ids=["as they are", "compact"])
def test_what_was_told_can_be_let_go(liken: Liken | None) -> None:
    pool = new_pool(recent_attributes=1000)
    writer, reader = TableWriter(pool), TableReader(decode_attribute)
    for seed, n_spans in enumerate((300, 3, 600, 20)):
        payload = make_payload(n_spans, 16, seed, run_id="r")
        there = sent(decode(payload, pool).table, writer, reader, liken)
        writer.let_go()
        for key in KEYS:
            one, other = there.attribute(key), decode(payload, new_pool()).table.attribute(key)
            assert [one[row] for row in range(len(there))] == [other[row] for row in range(len(there))]


def test_keys_arrive_when_there_are_more_than_two_bytes_can_number() -> None:
    pool = new_pool(recent_attributes=1000)
    writer, reader = TableWriter(pool), TableReader(decode_attribute)
    for first in range(0, 90_000, 30_000):
        keys = [b"key-%d" % number for number in range(first, first + 30_000)]
        pool.attributes.number_all([bytes((0x0A, len(key))) + key + b"\x12\x02\x10\x01" for key in keys])
        there = sent(SpanTable.empty(pool), writer, reader)
        writer.let_go()
        assert there.pool.keys.of_attributes().tolist() == list(range(first + 30_000))
        assert there.pool.keys.id_of("key-29999") == 29_999


def test_what_was_told_is_not_told_again() -> None:
    pool = new_pool()
    writer = TableWriter(pool)
    table = decode(make_payload(200, 10, 1), pool).table
    first, second = writer.pack(table), writer.pack(table)
    assert len(second.head) < len(first.head) / 10


def test_a_pool_that_follows_knows_the_way_back_and_numbers_nothing() -> None:
    pool = new_pool()
    writer, reader = TableWriter(pool), TableReader(decode_attribute)
    for seed in (1, 2):
        there = sent(decode(make_payload(30, 5, seed), pool).table, writer, reader).pool
        for number, trace in enumerate(pool.traces.items_by_id):
            assert there.traces.find(trace) == there.traces[trace] == number
    assert there.traces.number_all(pool.traces.items_by_id).tolist() == list(range(len(pool.traces)))
    assert there.traces.find(b"never seen") == -1
    with pytest.raises(LookupError):
        there.strings[b"never seen"]


def test_columns_are_aligned() -> None:
    pool = new_pool()
    there = sent(decode(make_payload(7, 5, 1), pool).table, TableWriter(pool), TableReader(decode_attribute))
    assert there.start_time_unix_nano.flags.aligned
    assert there.attributes.items.flags.aligned


def test_columns_that_hold_one_number_everywhere_are_written_out_to_be_sent() -> None:
    pool = new_pool()
    table = decode(make_payload(7, 5, 1), pool).table
    constants = replace(table, kind=constant(2, len(table), np.int8), flags=constant(1, len(table), np.uint32))
    packed = TableWriter(pool).pack(constants)
    assert all(column.data.c_contiguous for column in packed.columns)
    assert_same(constants, sent(constants, TableWriter(pool), TableReader(decode_attribute)))
