"""Spans that are scanned together and spans that protobuf reads say the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

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
from spanverdict.app.compiling import compile_all
from spanverdict.otlp import decode as decoding
from spanverdict.otlp.compiled import ROUTINES
from spanverdict.otlp.decode import decode, decode_all, new_pool
from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.scanning import MAX_FIELDS, Field, Unusual, scan
from spanverdict.telemetry import interning
from spanverdict.telemetry.machinecode import load
from spanverdict.telemetry.pool import Pool

HAS_NUMBA = find_spec("numba") is not None
ANY_NUMBER = 1
NEVER = 1 << 40
SPAN = b"\x0a\x10" + b"T" * 16 + b"\x12\x08" + b"S" * 8


def varint(number: int) -> bytes:
    head = b""
    while number >= 0x80:
        head += bytes([number & 0x7F | 0x80])
        number >>= 7
    return head + bytes([number])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def wrap(*serialised: bytes) -> bytes:
    return field(1, field(2, b"".join(field(2, span) for span in serialised)))


@pytest.fixture(scope="module", autouse=True)
def machine_code() -> None:
    if HAS_NUMBA:
        load(ROUTINES, compile_all())


@pytest.fixture(scope="module", autouse=True)
def few_are_numbered_together_too() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interning, "FEW", 0)
        yield


def outcome(payload: bytes, pool: Pool, many: int) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "MANY", many)
        try:
            found = decode(payload, pool)
        except Undecodable as error:
            return str(error)
    return table_rows(found.table), found.rejected, found.problems


def compiled_outcome(payload: bytes, pool: Pool) -> object:
    table, (tally,) = decode_all([payload], pool, compiled=True)
    return tally.undecodable or (table_rows(table), tally.rejected, tally.problems)


def both_ways(payload: bytes, recent: int = 0) -> tuple[object, object]:
    """Return what a scan, and compiled code where it is there, twice into one pool, and protobuf alone make of a request."""
    pool = new_pool(recent)
    once, again = (outcome(payload, pool, ANY_NUMBER) for _ in range(2))
    assert once == again
    if HAS_NUMBA:
        pool = new_pool(recent)
        assert [compiled_outcome(payload, pool) for _ in range(2)] == [once, once]
    return once, outcome(payload, new_pool(recent), NEVER)


USUAL = spans(GOOD_TRACE_IDS, GOOD_SPAN_IDS).filter(lambda span: span.kind >= 0)


@given(st.lists(USUAL, min_size=1, max_size=12), st.sampled_from([0, 5, 1000]))
@settings(max_examples=100, deadline=None)
def test_what_writers_of_otlp_send_is_scanned_and_says_what_full_decoding_says(sent: list[Span], recent: int) -> None:
    message = request_of(*sent)
    scan([span.SerializeToString() for span in sent])
    scanned, _ = both_ways(message.SerializeToString(), recent)
    assert scanned == (expected_rows(message), 0, ())


@given(requests(), st.sampled_from([0, 3]))
@settings(max_examples=100, deadline=None)
def test_good_and_bad_spans_are_accepted_and_rejected_alike(message, recent: int) -> None:
    scanned, read = both_ways(message.SerializeToString(), recent)
    assert scanned == read


@given(st.integers(0, 2**32), st.sampled_from([0, 100]))
@settings(max_examples=400, deadline=None)
def test_mutated_bytes_are_read_or_refused_alike(seed: int, recent: int) -> None:
    rng = random.Random(seed)
    payload = bytearray(make_payload(rng.randrange(1, 6), rng.choice((3, 12, 16)), seed=rng.randrange(8)))
    for _ in range(rng.randrange(1, 4)):
        mutate(payload, rng)
    scanned, read = both_ways(bytes(payload), recent)
    assert scanned == read


def mutate(payload: bytearray, rng: random.Random) -> None:
    """Change something inside, so that most spans stay framed."""
    at = rng.randrange(len(payload))
    match rng.randrange(4):
        case 0:
            payload[at] = rng.randrange(256)
        case 1:
            payload[at] ^= 1 << rng.randrange(8)
        case 2:
            size = rng.randrange(1, 20)
            payload[at : at + size] = payload[-size:] if at + size <= len(payload) else b""
        case _:
            other = rng.randrange(len(payload))
            payload[at : at + 2], payload[other : other + 2] = payload[other : other + 2], payload[at : at + 2]


TAGS = st.one_of(
    st.integers(1, 16).map(lambda number: number << 3),
    st.sampled_from([0, 17 << 3, 100 << 3, (1 << 29) - 1 << 3]),
)
CONTENTS = {
    0: st.one_of(st.integers(0, 2**64 - 1).map(varint), st.sampled_from([b"\x85\x00", b"\x80\x80\x80\x80\x80\x01"])),
    1: st.binary(min_size=8, max_size=8),
    2: st.one_of(
        st.binary(max_size=18).map(lambda content: varint(len(content)) + content),
        st.sampled_from([b"\x80\x00", b"\x83\x00abc", b"\x81\x80\x80\x80\x00z", b"\x90\x00" + b"X" * 16]),
        st.builds(KeyValue, key=st.just("k")).map(lambda item: field(1, item.SerializeToString())[1:]),
    ),
    5: st.binary(min_size=4, max_size=4),
    3: st.just(b""),
    4: st.just(b""),
    6: st.just(b""),
}
FIELDS = st.sampled_from(list(CONTENTS)).flatmap(
    lambda wire: st.builds(lambda tag, content: varint(tag | wire) + content, TAGS, CONTENTS[wire])
)


@given(st.lists(st.lists(FIELDS, max_size=6).map(b"".join), min_size=1, max_size=4))
@settings(max_examples=250, deadline=None)
def test_spans_of_random_fields_are_read_or_refused_alike(pieces: list[bytes]) -> None:
    scanned, read = both_ways(wrap(*(SPAN + piece for piece in pieces)))
    assert scanned == read


ODDITIES = {
    "an unknown field": b"\x88\x01\x05",
    "an unknown field of the last number": b"\xf8\xff\xff\xff\x0f\x01",
    "a field number of zero": b"\x00\x01",
    "a reserved wire type": b"\x0e",
    "a group": b"\x8b\x01\x8c\x01",
    "an open group": b"\x5b",
    "a number as a length": b"\x48\x05",
    "a length as a number": b"\x32\x01\x02",
    "a packed number": b"\x82\x01\x04abcd",
    "a fixed number of the other size": b"\x3d\x01\x02\x03\x04",
    "a name sent twice": field(5, b"a") + field(5, b"b"),
    "an empty name after a name": field(5, b"a") + field(5, b""),
    "a kind sent twice": b"\x30\x02\x30\x03",
    "a trace id sent twice": field(1, b"U" * 16),
    "a parent sent twice": field(4, b"P" * 8) + field(4, b""),
    "a status in pieces": field(15, field(2, b"why")) + field(15, b"\x18\x02"),
    "an empty parent": field(4, b""),
    "an empty status": field(15, b""),
    "a parent of four bytes": field(4, b"PPPP"),
    "a kind of two bytes": b"\x30\x80\x01",
    "a kind of two bytes that says 5": b"\x30\x85\x00",
    "a kind of ten bytes": b"\x30" + b"\xff" * 9 + b"\x01",
    "a kind of eleven bytes": b"\x30" + b"\xff" * 10 + b"\x01",
    "a dropped count of five bytes": b"\x50" + varint(2**32 - 1),
    "a dropped count beyond 32 bits": b"\x50" + varint(2**33 + 7),
    "a tag of two bytes for a name": b"\xaa\x00\x04name",
    "flags with a tag of three bytes": b"\x85\x81\x00abcd",
    "a length of two bytes": b"\x2a\x84\x00name",
    "a length of five bytes": b"\x2a\x84\x80\x80\x80\x00name",
    "a length of six bytes": b"\x2a\x84\x80\x80\x80\x80\x00name",
    "a trace id with a length of two bytes": b"\x0a\x90\x00" + b"X" * 16,
    "a length beyond the span": b"\x2a\x20name",
    "a long length beyond the span": b"\x2a\xff\x7fname",
    "a length beyond everything": b"\x4a\xff\xff\xff\xff\x07",
    "a tag and no more": b"\x39",
    "half a number": b"\x39abcd",
    "half a tag": b"\x85",
    "a name of 127 bytes": field(5, b"n" * 127),
    "a name of 128 bytes": field(5, b"n" * 128),
    "a name of 20,000 bytes": field(5, b"n" * 20_000),
    "a name that is not UTF-8": field(5, b"\xff\xfe"),
    "attributes of all sizes": b"".join(
        field(9, KeyValue(key="k", value=AnyValue(string_value="v" * size)).SerializeToString())
        for size in (0, 1, 20, 24, 25, 26, 52, 56, 57, 58, 117, 120, 121, 122, 123, 16_374, 17_000)
    ),
    "attributes that differ in a zero at their end": field(9, field(1, b"k")) + field(9, field(1, b"k") + b"\0"),
    "as many fields as a scan follows": field(9, field(1, b"k")) * (MAX_FIELDS - 2),
    "more fields than a scan follows": field(9, field(1, b"k")) * MAX_FIELDS,
}


@pytest.mark.parametrize("name", ODDITIES)
@pytest.mark.parametrize("recent", [0, 2])
def test_an_odd_span_among_usual_ones_is_read_as_protobuf_reads_it(name: str, recent: int) -> None:
    before = good_span(name="before", attributes=[KeyValue(key="k", value=AnyValue(int_value=1))])
    after = good_span(name="after", parent_span_id=b"P" * 8, flags=1, status=Status(code=2))
    serialised = before.SerializeToString(), SPAN + ODDITIES[name], after.SerializeToString(), SPAN + ODDITIES[name]
    scanned, read = both_ways(wrap(*serialised), recent)
    assert scanned == read


FALLING_BACK = ("an unknown field", "a name sent twice", "a parent of four bytes", "a length beyond the span")


@pytest.mark.parametrize("name", FALLING_BACK)
def test_what_is_not_usual_is_left_to_protobuf(name: str) -> None:
    with pytest.raises(Unusual):
        scan([SPAN, SPAN + ODDITIES[name], SPAN])


USUAL_ENOUGH = (
    "an empty parent",
    "an empty status",
    "a kind of two bytes",
    "a name of 20,000 bytes",
    "a length of five bytes",
)


@pytest.mark.parametrize("name", USUAL_ENOUGH)
def test_what_some_writers_send_is_scanned(name: str) -> None:
    assert scan([SPAN, SPAN + ODDITIES[name], SPAN]).n_spans == 3


@pytest.mark.parametrize("recent", [0, 500])
def test_requests_of_a_load_are_scanned_and_say_what_protobuf_says(recent: int) -> None:
    load = Load.build(300, 16, seed=3, run_id="r")
    payloads = [load.payload(number) for number in range(6)]
    scanned, tallies = decode_all(payloads, new_pool(recent))
    assert [tally.accepted for tally in tallies] == [300] * 6
    read = [outcome(payload, new_pool(), NEVER) for payload in payloads]
    assert table_rows(scanned) == [row for rows, _, _ in read for row in rows]


def test_an_attribute_that_cannot_be_read_is_refused_however_often_it_is_forgotten() -> None:
    bad = SPAN + field(9, b"\x0a\x05ab")
    others = [
        good_span(attributes=[KeyValue(key="k", value=AnyValue(int_value=number))]).SerializeToString()
        for number in range(40)
    ]
    pool = new_pool(3)
    for many in (ANY_NUMBER, NEVER) * 2:
        rows, rejected, _ = outcome(wrap(*others, bad, *others, bad), pool, many)
        assert (len(rows), rejected) == (80, 2)


def test_a_scan_finds_the_fields_of_each_span_in_order() -> None:
    fields = scan([good_span(name=f"n{number}").SerializeToString() for number in range(50)])
    names = fields.of(Field.NAME)
    assert fields.block.cut(names.starts, names.sizes) == [f"n{number}".encode() for number in range(50)]
    assert names.in_order(np.arange(50)).tolist() == list(range(50))
    assert np.diff(fields.of(Field.SPAN_ID).starts).min() > 0


def test_fields_out_of_the_usual_order_are_put_in_order() -> None:
    late, early = field(9, b"late"), field(9, b"early")
    fields = scan([SPAN + early + late, early + SPAN, SPAN, early + SPAN + b"\x30\x02" + late])
    found = fields.of(Field.ATTRIBUTES)
    assert found.offsets().tolist() == [0, 2, 3, 3, 5]
    starts, sizes = found.in_order(found.starts), found.in_order(found.sizes)
    assert fields.block.cut(starts, sizes) == [b"early", b"late", b"early", b"early", b"late"]
