"""What is decoded by compiled code is what everything else decodes; `test_scanning.py` asks the same of single spans."""

from __future__ import annotations

import random

import numpy as np
import pytest

pytest.importorskip("numba")

from bench.load import Load, make_payload
from otlp.messages import good_span, table_rows
from otlp.test_scanning import ODDITIES, SPAN, field, mutate, wrap
from spanverdict.app.compiling import compile_all
from spanverdict.otlp import walking
from spanverdict.otlp.compiled import ROUTINES, walk
from spanverdict.otlp.decode import decode_all, new_pool
from spanverdict.otlp.scanning import Unusual
from spanverdict.otlp.values import decode_attribute
from spanverdict.telemetry.alikes import Alikes
from spanverdict.telemetry.blocks import PADDING, Pieces
from spanverdict.telemetry.compiling import Array
from spanverdict.telemetry.likening import likened
from spanverdict.telemetry.machinecode import load
from spanverdict.telemetry.transfer import TableReader, TableWriter

SAMPLE = wrap(SPAN)
RESOURCE = field(1, field(1, field(1, b"k") + field(2, field(1, b"v"))))
OTHER = field(1, field(1, field(1, b"k") + field(2, field(1, b"w"))))
SCOPE = field(1, field(1, b"scope"))
SPANS = field(2, SPAN) * 3
SCHEMA = field(3, b"https://schema")

USUAL = {
    "nothing": b"",
    "no spans": field(1, b""),
    "a scope without spans": field(1, RESOURCE + field(2, SCOPE)),
    "a resource and a scope": field(1, RESOURCE + field(2, SCOPE + SPANS + SCHEMA) + SCHEMA),
    "a resource behind its spans": field(1, field(2, SPANS + SCOPE) + field(2, SPANS) + RESOURCE),
    "several of each": field(1, RESOURCE + field(2, SPANS)) + field(1, OTHER + field(2, SCOPE + SPANS) * 3),
    "an empty resource": field(1, field(1, b"") + field(2, SPANS)),
}
UNUSUAL = {
    "a resource in pieces": field(1, RESOURCE + OTHER + field(2, SPANS)),
    "a scope in pieces": field(1, field(2, SCOPE + SPANS + SCOPE)),
    "an unknown field of a request": field(2, SPANS),
    "an unknown field of a resource": field(1, field(4, b"x") + field(2, SPANS)),
    "an unknown field of a scope": field(1, field(2, field(4, b"x") + SPANS)),
    "a number for a length": b"\x08\x01",
    "a length beyond the request": field(1, field(2, SPANS))[:-1],
    "half a length": b"\x0a\xff",
    "a span without ids": wrap(SPAN, b"", SPAN),
    "a span that is shorter than its ids": wrap(SPAN, b"\x0a\x10abc"),
    "many scopes without anything": field(1, field(2, b"") * 40),
    "many empty attributes": wrap(SPAN + b"\x4a\x00" * 40),
}


@pytest.fixture(scope="module", autouse=True)
def machine_code() -> None:
    load(ROUTINES, compile_all())


def outcome(payloads: list[bytes], recent: int, *, compiled: bool) -> object:
    table, tallies = decode_all(payloads, new_pool(recent), compiled=compiled)
    return table_rows(table), tallies


def test_machine_code_counts_no_references_to_arrays() -> None:
    assert [name for name, (_, object_file) in compile_all().items() if b"NRT_" in object_file] == []


@pytest.mark.parametrize("name", [*USUAL, *UNUSUAL])
@pytest.mark.parametrize("recent", [0, 5])
def test_requests_are_opened_as_protobuf_opens_them(name: str, recent: int) -> None:
    odd = {**USUAL, **UNUSUAL}[name]
    for payloads in ([odd], [make_payload(4, 3, 1), odd, b"", make_payload(2, 16, 2), odd]):
        assert outcome(payloads, recent, compiled=True) == outcome(payloads, recent, compiled=False)


@pytest.mark.parametrize("name", USUAL)
def test_what_writers_of_otlp_send_is_read_by_compiled_code(name: str) -> None:
    assert walk([USUAL[name], SAMPLE]).counts == [USUAL[name].count(SPAN), 1]


def test_spans_and_attributes_that_are_short_have_room() -> None:
    attribute = field(1, b"k") + field(2, b"\x10\x01")
    span = field(1, b"t" * 16) + field(2, b"s" * 8) + field(9, attribute) * 9
    for sent in (wrap(*[span] * 100), wrap(*[span[:28]] * 100)):
        assert walk([sent]).counts == [100]
        assert outcome([sent], 100, compiled=True) == outcome([sent], 100, compiled=False)


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_unusual_is_left_to_protobuf(name: str) -> None:
    with pytest.raises(Unusual):
        walk([SAMPLE, UNUSUAL[name]])


@pytest.mark.parametrize("recent", [0, 500, 20_000])
def test_a_load_is_decoded_alike_group_by_group(recent: int) -> None:
    load = Load.build(300, 16, seed=3, run_id="r")
    plain, compiled = new_pool(recent), new_pool(recent)
    for first in range(0, 12, 3):
        payloads = [load.payload(number) for number in range(first, first + 3)]
        table, tallies = decode_all(payloads, compiled, compiled=True)
        expected, expected_tallies = decode_all(payloads, plain)
        assert tallies == expected_tallies
        assert table_rows(table) == table_rows(expected)


def test_a_load_is_sent_compact_and_arrives_as_it_was() -> None:
    load = Load.build(300, 16, seed=3, run_id="r")
    pool = new_pool(20_000)
    writer, reader = TableWriter(pool), TableReader(decode_attribute)
    for first in range(0, 12, 4):
        table, _ = decode_all([load.payload(number) for number in range(first, first + 4)], pool, compiled=True)
        packed = writer.pack(table, likened)
        body = b"".join(column.tobytes() for column in packed.columns)
        there = reader.unpack(packed.head, np.frombuffer(body, np.uint8))
        assert table_rows(there) == table_rows(table)
    assert {type(part) for _, part in there.pool.attributes.parts(0)} == {Alikes}


def test_what_comes_again_keeps_its_number() -> None:
    pool = new_pool(20_000)
    payload = wrap(*[good_span(name=f"n{number % 7}").SerializeToString() for number in range(600)])
    first, _ = decode_all([payload], pool, compiled=True)
    known = len(pool.attributes), len(pool.strings)
    again, _ = decode_all([payload], pool, compiled=True)
    assert (len(pool.attributes), len(pool.strings)) == known
    assert np.array_equal(first.name, again.name)
    assert np.array_equal(first.attributes.items, again.attributes.items)


def test_damaged_requests_are_decoded_alike() -> None:
    rng = random.Random(7)
    for _ in range(300):
        payloads = [bytearray(make_payload(rng.randrange(1, 6), 12, seed=rng.randrange(8))) for _ in range(3)]
        mutate(payloads[1], rng)
        sent = [bytes(payload) for payload in payloads]
        assert outcome(sent, 100, compiled=True) == outcome(sent, 100, compiled=False)


def test_compiled_code_looks_at_nothing_beyond_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numpy holds every index against the bounds when the same functions are run as they were written."""
    for routine in ROUTINES:
        monkeypatch.setattr(routine, "machine", None)
    rng = random.Random(11)
    good = [make_payload(2, 12, 1), *USUAL.values(), *(wrap(SPAN + odd) for odd in ODDITIES.values() if len(odd) < 500)]
    with np.errstate(over="ignore"):  # as hashes do
        for payload in good:
            for _ in range(12):
                damaged = bytearray(payload)
                if damaged:
                    mutate(damaged, rng)
                cut = bytes(damaged[: rng.randrange(len(damaged) + 1)])
                for sent in (bytes(damaged), cut):
                    decode_all([sent], new_pool(5), compiled=True)


def test_requests_that_lie_in_padded_memory_are_decoded_where_they_are() -> None:
    load = Load.build(20, 12, seed=5, run_id="r")
    payloads = [load.payload(number) for number in range(3)] + [b"", wrap(SPAN + b"\xff")]
    array = np.frombuffer(bytearray(b"".join([*payloads, bytes(PADDING)])), np.uint8)
    for count in (3, 4, 5):
        sizes = [*map(len, payloads[:count])]
        pieces = Pieces(np.append(array[: sum(sizes)], np.zeros(PADDING, np.uint8)), sizes)
        assert [*map(bytes, pieces)] == payloads[:count]
        table, tallies = decode_all(pieces, new_pool(100), compiled=True)
        assert (table_rows(table), tallies) == outcome(payloads[:count], 100, compiled=False)
    assert pieces[3:] == [memoryview(b""), memoryview(payloads[4])]


def read_only() -> Array:
    array = np.zeros((1, 2), np.int64)
    array.flags.writeable = False
    return array


OTHERS = {
    "one that cannot be written": read_only(),
    "one that is not contiguous": np.zeros((2, 2), np.int64)[:, ::-1],
    "one of another number of dimensions": np.zeros(2, np.int64),
    "one of another kind": np.zeros((1, 2), np.int64).view(np.recarray),
    "no array": [[0, 0]],
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_machine_code_refuses_what_is_not_an_array_as_it_takes_them(other: Array) -> None:
    requests = np.zeros((1, 2), np.int64)
    data, found = (
        np.zeros(64, np.uint8),
        walking.Envelopes(
            np.empty((4, 2), np.int32), np.empty((4, 5), np.int64), np.zeros(2, np.int64), np.zeros(1, np.int64)
        ),
    )
    assert walking.find_spans(walking.Sent(data, requests), found) == 1
    with pytest.raises(TypeError, match="find_spans takes other arrays"):
        walking.find_spans(walking.Sent(data, other), found)
    with pytest.raises(TypeError, match="find_spans takes other arrays"):
        walking.find_spans(walking.Sent(data, requests))
