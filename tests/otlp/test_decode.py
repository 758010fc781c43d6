from __future__ import annotations

import random

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

from bench.load import Load, make_payload
from otlp.messages import (
    GOOD_SPAN_IDS,
    GOOD_TRACE_IDS,
    expected_rows,
    good_span,
    request_of,
    requests,
    spans,
    table_rows,
)
from spanverdict.otlp import columns
from spanverdict.otlp.decode import CHUNK, Decoded, Tally, decode, decode_all, new_pool
from spanverdict.otlp.errors import Undecodable
from spanverdict.telemetry.joining import concat
from spanverdict.telemetry.spantable import MAX_TIME

SPAN = b"\x0a\x10" + b"T" * 16 + b"\x12\x08" + b"S" * 8


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field, as a hostile or odd writer may put it."""
    size, tag = len(content), number << 3 | 2
    head = bytes([tag]) if tag < 0x80 else bytes([tag & 0x7F | 0x80, tag >> 7])
    length = bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])
    return head + length + content


def wrap(*serialised_spans: bytes, scope: bytes = b"", resource: bytes = b"") -> bytes:
    inside = resource + field(2, scope + b"".join(field(2, span) for span in serialised_spans))
    return field(1, inside)


def decoded(message: TracesData) -> Decoded:
    return decode(message.SerializeToString(), new_pool())


@given(requests())
@settings(max_examples=300, deadline=None)
def test_every_field_of_every_acceptable_span_is_what_full_decoding_says(message: TracesData) -> None:
    found = decoded(message)
    assert table_rows(found.table) == expected_rows(message)
    sent = sum(len(scope.spans) for resource in message.resource_spans for scope in resource.scope_spans)
    assert found.rejected == sent - len(found.table)
    assert bool(found.problems) == bool(found.rejected)


@given(st.lists(spans(GOOD_TRACE_IDS, GOOD_SPAN_IDS), min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
def test_reading_by_column_and_by_row_agree(sent: list[Span]) -> None:
    serialised = [span.SerializeToString() for span in sent]
    by_column, by_row = columns._by_column(serialised), columns._by_row(serialised)
    for name in ("trace_ids", "names", "attributes"):
        assert getattr(by_column, name) == getattr(by_row, name)
    assert (by_column.trace_states or [b""] * len(serialised)) == by_row.trace_states
    assert statuses_of(by_column, len(serialised)) == statuses_of(by_row, len(serialised))
    for name in ("span_ids", "parent_span_ids", "kinds", "times", "flags"):
        assert getattr(by_column, name).tolist() == getattr(by_row, name).tolist()
    for name in ("events", "links"):
        one, other = getattr(by_column, name), getattr(by_row, name)
        assert other.items == (one.items if one else [])
        assert other.offsets.tolist() == (one.offsets.tolist() if one else [0] * (len(serialised) + 1))
    dropped = np.zeros((3, len(serialised))) if by_column.dropped is None else by_column.dropped
    assert dropped.tolist() == by_row.dropped.tolist()


def statuses_of(found: columns.Columns, n: int) -> list[bytes]:
    if found.statuses is None:
        return [b""] * n
    offsets, items = found.statuses.offsets, found.statuses.items
    return [b"".join(items[offsets[row] : offsets[row + 1]]) for row in range(n)]


@given(
    st.lists(st.lists(st.sampled_from([b"", b"a", b"bc", b"\xff\xfe", b"d\xff"]), max_size=2), min_size=1, max_size=8)
)
@settings(max_examples=200)
def test_lists_come_apart_at_their_marks_whatever_their_items_look_like(lists: list[list[bytes]]) -> None:
    marked = [item for items in lists for item in (*items, columns.END)]
    found = columns._lists(marked, len(lists))
    expected = [item for items in lists for item in items]
    assert (found.items if found else []) == expected
    if found:
        assert found.offsets.tolist() == [sum(map(len, lists[:row])) for row in range(len(lists) + 1)]
    few = columns._few(marked, len(lists))
    assert few is None or few == columns._unmarked(marked, columns.END, len(lists))


def test_where_few_spans_have_an_item_items_that_look_like_marks_are_still_found() -> None:
    for odd in (b"", b"\xff\xfe", b"\xfe\xff", b"\xff\xff", b"plain"):
        lists = [[] for _ in range(40)]
        lists[7], lists[31] = [odd], [b"other"]
        found = columns._lists([item for items in lists for item in (*items, columns.END)], 40)
        assert found is not None
        assert found.items == [odd, b"other"]
        assert np.flatnonzero(np.diff(found.offsets)).tolist() == [7, 31]


def test_the_spans_of_a_large_request_stay_in_order_across_chunks() -> None:
    n = 2 * CHUNK + 17
    payload = make_payload(n, 3, seed=5)
    found = decode(payload, new_pool())
    expected = [span.span_id for span in TracesData.FromString(payload).resource_spans[0].scope_spans[0].spans]
    assert found.table.span_id.astype(">u8").tobytes() == b"".join(expected)
    assert table_rows(found.table.take(np.array([0, CHUNK - 1, CHUNK, n - 1]))) == [
        expected_rows(TracesData.FromString(payload))[row] for row in (0, CHUNK - 1, CHUNK, n - 1)
    ]


def one_by_one(payloads: list[bytes]) -> tuple[list[dict], list[Tally]]:
    rows, tallies, pool = [], [], new_pool()
    for payload in payloads:
        try:
            found = decode(payload, pool)
        except Undecodable as error:
            tallies.append(Tally(0, undecodable=str(error)))
            continue
        rows += table_rows(found.table)
        tallies.append(Tally(len(found.table), found.rejected, found.problems))
    return rows, tallies


BAD_PAYLOADS = st.sampled_from([b"", b"\xff", b"\x0a\x7f", wrap(b"\xff\xff"), wrap(SPAN + b"\x2a\x7fabc")])


@given(st.lists(BAD_PAYLOADS | requests(max_spans=3).map(TracesData.SerializeToString), max_size=4))
@settings(max_examples=100, deadline=None)
def test_reading_requests_together_is_reading_them_one_by_one(payloads: list[bytes]) -> None:
    table, tallies = decode_all(payloads, new_pool())
    assert (table_rows(table), list(tallies)) == one_by_one(payloads)


def test_many_good_requests_are_read_together_in_order() -> None:
    load = Load.build(30, 10, seed=1)
    payloads = [load.payload(number) for number in range(200)]
    table, tallies = decode_all(payloads, new_pool())
    assert (table_rows(table), list(tallies)) == one_by_one(payloads)


def test_a_pool_of_recent_attributes_says_the_same_as_one_that_remembers_all() -> None:
    load = Load.build(30, 10, seed=1)
    payloads = [load.payload(number) for number in range(20)]
    forgetful, table = (
        concat([decode(payload, pool).table for payload in payloads]) for pool in (new_pool(50), new_pool())
    )
    assert len(forgetful.pool.attributes) > len(table.pool.attributes)
    assert table_rows(forgetful) == table_rows(table)
    for key in ("http.route", "request.id", "zone"):
        assert forgetful.attribute(key).codes.tolist() == forgetful.into(new_pool()).attribute(key).codes.tolist()
        assert sorted(map(str, forgetful.attribute(key).values)) == sorted(map(str, table.attribute(key).values))


def test_each_request_of_a_load_has_spans_of_its_own() -> None:
    load = Load.build(25, 10, seed=1)
    table, _ = decode_all([load.payload(number) for number in range(40)], new_pool())
    assert len(set(table.span_id.tolist())) == len(table) == 1000
    assert len(set(table.trace.tolist())) == 40 * 3
    assert len(set(table.attribute("request.id").codes.tolist())) == 1000
    assert set(table.attribute("method").codes.tolist()) == {-1}
    parents = set(zip(table.trace.tolist(), table.parent_span_id.tolist(), strict=True))
    own = set(zip(table.trace.tolist(), table.span_id.tolist(), strict=True))
    assert {parent for parent in parents if parent[1]} <= own


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_read(kind: type) -> None:
    assert len(decode(kind(make_payload(5, 2, seed=1)), new_pool()).table) == 5


@pytest.mark.parametrize("payload", [b"", b"\x0a\x00", b"\x0a\x02\x12\x00", wrap()])
def test_an_empty_request_or_envelope_is_a_table_without_rows(payload: bytes) -> None:
    found = decode(payload, new_pool())
    assert (len(found.table), found.rejected, found.problems) == (0, 0, ())


@pytest.mark.parametrize("payload", [b"\xff", b"{}", b"\x0a\x05abc", wrap(b"\xff\xff"), wrap(SPAN + b"\x2a\x05abc")])
def test_what_is_not_otlp_is_undecodable_and_leaves_the_pool_usable(payload: bytes) -> None:
    pool = new_pool()
    with pytest.raises(Undecodable, match="readable"):
        decode(payload, pool)
    message = request_of(good_span(name="after"))
    assert table_rows(decode(message.SerializeToString(), pool).table) == expected_rows(message)


BAD_SPANS = {
    "a trace id of 15 bytes": (good_span(trace_id=b"T" * 15), "trace_id"),
    "a zero trace id": (good_span(trace_id=bytes(16)), "trace_id"),
    "no trace id": (good_span(trace_id=b""), "trace_id"),
    "a span id of 9 bytes": (good_span(span_id=b"S" * 9), "span_id"),
    "a zero span id": (good_span(span_id=bytes(8)), "span_id"),
    "no span id": (good_span(span_id=b""), "span_id"),
    "a parent id of 4 bytes": (good_span(parent_span_id=b"P" * 4), "parent_span_id"),
    "a parent id of 16 bytes": (good_span(parent_span_id=b"P" * 16), "parent_span_id"),
    "a link's trace id of 3 bytes": (good_span(links=[Span.Link(trace_id=b"abc")]), "link"),
    "a link's span id of 3 bytes": (good_span(links=[Span.Link(trace_id=b"T" * 16, span_id=b"abc")]), "link"),
    "a name that is not UTF-8": (SPAN + field(5, b"\xc3\x28"), "UTF-8"),
    "the end mark of texts as a name": (SPAN + field(5, columns.END), "UTF-8"),
    "a trace state that is not UTF-8": (SPAN + field(3, b"\xff"), "UTF-8"),
    "a status message that is not UTF-8": (SPAN + field(15, field(2, b"\xff")), "UTF-8"),
    "an event name that is not UTF-8": (SPAN + field(11, field(2, b"\xff")), "UTF-8"),
    "a link's trace state that is not UTF-8": (SPAN + field(13, field(3, b"\xff")), "UTF-8"),
    "a malformed status": (SPAN + field(15, b"\xff"), "status"),
    "a malformed event": (SPAN + field(11, b"\xff"), "event"),
    "a malformed link": (SPAN + field(13, b"\x0a\x10"), "link"),
    "a malformed attribute": (SPAN + field(9, b"\x0a\x05ab"), "attribute"),
    "an attribute key that is not UTF-8": (SPAN + field(9, field(1, b"\xff")), "attribute"),
    "an attribute text that is not UTF-8": (SPAN + field(9, field(1, b"k") + field(2, field(1, b"\xff"))), "attribute"),
    "a malformed attribute of an event": (SPAN + field(11, field(3, b"\xff")), "attribute"),
    "a malformed attribute of a link": (SPAN + field(13, field(4, b"\xff")), "attribute"),
}


@pytest.mark.parametrize("name", BAD_SPANS)
def test_a_bad_span_is_rejected_alone_every_time_and_said_why(name: str) -> None:
    bad, why = BAD_SPANS[name]
    good = good_span(name="good")
    serialised = [good.SerializeToString(), bad if isinstance(bad, bytes) else bad.SerializeToString()]
    pool = new_pool()
    for _ in range(2):
        found = decode(wrap(*serialised, serialised[0]), pool)
        assert [row["name"] for row in table_rows(found.table)] == ["good", "good"]
        assert found.rejected == 1
        assert len(found.problems) == 1
        assert found.problems[0].startswith("1 span: ")
        assert why in found.problems[0]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (wrap(SPAN, SPAN, resource=field(1, b"\xff")), "resource"),
        (wrap(SPAN, SPAN, resource=field(1, field(1, b"\xff"))), "resource"),
        (wrap(SPAN, SPAN, scope=field(1, b"\xff")), "scope"),
        (wrap(SPAN, SPAN, scope=field(1, field(3, b"\xff"))), "scope"),
        (wrap(SPAN, SPAN, scope=field(1, field(1, b"\xff"))), "scope"),
    ],
)
def test_an_unreadable_resource_or_scope_rejects_its_spans_and_no_others(payload: bytes, why: str) -> None:
    pool = new_pool()
    for _ in range(2):
        found = decode(payload + wrap(SPAN), pool)
        assert (len(found.table), found.rejected) == (1, 2)
        assert why in found.problems[0]
    assert len(pool.resource_attributes) == len(pool.resources)
    assert len(pool.scope_attributes) == len(pool.scope_names) == len(pool.scopes)


def test_problems_are_counted_once_a_reason_and_at_most_five() -> None:
    bad = [span if isinstance(span, bytes) else span.SerializeToString() for span, _ in BAD_SPANS.values()]
    found = decode(wrap(*bad), new_pool())
    assert (len(found.table), found.rejected, len(found.problems)) == (0, len(bad), 5)
    assert found.problems[0].startswith("6 spans: ")


@pytest.mark.parametrize(
    ("depth", "accepted"), [(1, True), (40, True), (63, True), (64, True), (65, False), (90, False)]
)
def test_values_nest_64_deep_and_no_deeper(depth: int, accepted: bool) -> None:
    value = b"\x08\x01"[:0]
    for _ in range(depth - 1):
        value = field(5, field(1, value))
    found = decode(wrap(SPAN + field(9, field(1, b"k") + field(2, value)), SPAN), new_pool())
    assert (len(found.table), found.rejected) == ((2, 0) if accepted else (1, 1))


def test_nesting_without_end_is_rejected_quickly() -> None:
    value = b""
    while len(value) < 8000:
        value = field(5, field(1, value))
    assert decode(wrap(SPAN + field(9, field(2, value))), new_pool()).rejected == 1


def test_a_zero_parent_id_is_a_root() -> None:
    found = decoded(request_of(good_span(parent_span_id=bytes(8)), good_span(parent_span_id=b"P" * 8)))
    assert found.table.parent_span_id.tolist() == [0, int.from_bytes(b"P" * 8, "big")]


def test_times_beyond_63_bits_become_the_greatest_time() -> None:
    found = decoded(request_of(good_span(start_time_unix_nano=2**63 - 1, end_time_unix_nano=2**64 - 1)))
    assert found.table.start_time_unix_nano.tolist() == [2**63 - 1]
    assert found.table.end_time_unix_nano.tolist() == [MAX_TIME]


def test_of_a_field_sent_twice_the_last_counts_and_messages_are_merged() -> None:
    twice = SPAN + field(5, b"first") + field(5, b"last") + b"\x30\x02\x30\x03"
    twice += field(15, field(2, b"why")) + field(15, b"\x18\x02")
    plain = good_span(name="plain").SerializeToString()
    payload = wrap(plain, twice, plain)
    assert table_rows(decode(payload, new_pool()).table) == expected_rows(TracesData.FromString(payload))
    found = decode(payload, new_pool()).table
    assert (found.pool.string(found.name[1]), found.kind[1], found.status_code[1]) == ("last", 3, 2)
    assert found.pool.string(found.status_message[1]) == "why"


@pytest.mark.parametrize(
    "twice", [field(15, field(2, b"why")) + field(15, b"\x18\x02"), b"\x30\x02\x30\x03", field(5, b"a") * 2]
)
def test_one_field_sent_twice_is_read_as_protobuf_reads_it(twice: bytes) -> None:
    payload = wrap(SPAN, SPAN + twice, SPAN)
    assert table_rows(decode(payload, new_pool()).table) == expected_rows(TracesData.FromString(payload))


def test_resources_and_scopes_sent_in_pieces_are_merged() -> None:
    def attribute(key: str) -> bytes:
        return KeyValue(key=key, value=AnyValue(int_value=1)).SerializeToString()

    pieces = b"".join(field(1, field(1, attribute(key))) for key in "ab")
    payload = wrap(SPAN, resource=pieces, scope=field(1, field(1, b"n")) + field(1, field(2, b"v")))
    rows = table_rows(decode(payload, new_pool()).table)
    assert rows == expected_rows(TracesData.FromString(payload))
    assert len(rows[0]["resource"]) == 2


@pytest.mark.parametrize(
    "forged", [columns.END, columns._USUAL_MARK, columns._EVERY_MARK], ids=["end", "usual", "every"]
)
def test_marks_sent_from_outside_do_not_move_fields_from_span_to_span(forged: bytes) -> None:
    """Even a sender who knew this process's random bytes could only spoil spans of the same request."""
    named = [good_span(name=name, span_id=name.encode() * 8).SerializeToString() for name in "abc"]
    named[1] += field(5, forged) + field(11, forged) + field(15, forged)
    found = decode(wrap(*named), new_pool())
    assert [row["name"] for row in table_rows(found.table)] == ["a", "c"]
    assert found.rejected == 1


@pytest.mark.parametrize(
    "tail",
    [b"\x2a\x20", b"\x4a\x7f", b"\x5b", b"\x7b", b"\x39", b"\x80", b"\x4a" + bytes([len(columns._USUAL_MARK)])],
    ids=["name", "attribute", "group-11", "group-15", "fixed", "tag", "mark"],
)
def test_a_span_that_would_swallow_what_follows_it_is_undecodable(tail: bytes) -> None:
    with pytest.raises(Undecodable):
        decode(wrap(SPAN + tail, SPAN, SPAN), new_pool())


def test_equal_things_are_interned_once_over_all_requests() -> None:
    pool = new_pool()
    message = request_of(good_span(attributes=[KeyValue(key="k", value=AnyValue(int_value=1))]), service="a")
    tables = [decode(message.SerializeToString(), pool).table for _ in range(3)]
    assert (
        len({int(table.resource[0]) for table in tables})
        == len({int(table.attributes.items[0]) for table in tables})
        == 1
    )
    assert len(pool.resources) == len(pool.traces) == 1
    assert len(pool.attributes) == 2


def test_a_value_that_protobuf_reads_whole_or_by_level_is_the_same() -> None:
    value = AnyValue(int_value=7)
    for _ in range(30):
        value = AnyValue(array_value=ArrayValue(values=[value, AnyValue(string_value="x")]))
    message = request_of(good_span(attributes=[KeyValue(key="k", value=value)]))
    assert table_rows(decoded(message).table) == expected_rows(message)


def test_status_without_code_and_empty_status_are_unset() -> None:
    found = decoded(request_of(good_span(status=Status()), good_span(), good_span(status=Status(message="m"))))
    assert found.table.status_code.tolist() == [0, 0, 0]


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_mutated_bytes_are_decoded_or_refused_and_whatever_protobuf_accepts_is_accepted(data: st.DataObject) -> None:
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    payload = bytearray(make_payload(rng.randrange(1, 6), 12, seed=rng.randrange(4)))
    for _ in range(rng.randrange(1, 6)):
        mutate(payload, rng)
    pool = new_pool()
    try:
        found = decode(bytes(payload), pool)
    except Undecodable:
        with pytest.raises(DecodeError):
            TracesData.FromString(bytes(payload))
        return
    finally:
        assert len(pool.resource_attributes) == len(pool.resources)
    table_rows(found.table)
    pool.keys.names()


def mutate(payload: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(payload) + 1)
    match rng.randrange(5):
        case 0:
            payload[at : at + 1] = bytes([rng.randrange(256)])
        case 1:
            payload[at:at] = rng.randbytes(rng.randrange(1, 4))
        case 2:
            del payload[at : at + rng.randrange(1, 9)]
        case 3:
            payload[at : at + 1] = bytes([payload[at - 1] ^ 1 << rng.randrange(8)]) if payload else b"\x0a"
        case _:
            payload[at:at] = payload[at : at + rng.randrange(1, 40)]
