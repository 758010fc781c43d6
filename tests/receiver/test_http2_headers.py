"""HPACK held against an independent implementation, and against blocks made to do harm."""

from __future__ import annotations

import time

import hpack
import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.receiver.http2.frames import StreamFault
from spanverdict.receiver.http2.heads import head_of
from spanverdict.receiver.http2.hpack import TABLE_BYTES, BadBlock, HeaderReader, literal
from spanverdict.receiver.http2.huffman import BadCode, decoded

HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
PLENTY = 1_000_000

NAMES = st.sampled_from([b":path", b"te", b"content-type", b"authorization", b"x-own", b"grpc-timeout", b"\xff\x00"])
FIELDS = st.tuples(NAMES | st.binary(min_size=1, max_size=20), st.binary(max_size=40) | st.just(b"v" * 1500))


@given(st.binary(max_size=200))
def test_what_was_huffman_coded_is_decoded_to_the_same(text: bytes) -> None:
    assert decoded(HUFFMAN.encode(text)) == text


def test_every_byte_has_the_code_of_the_standard() -> None:
    assert decoded(HUFFMAN.encode(bytes(range(256)) * 3)) == bytes(range(256)) * 3


@pytest.mark.parametrize(
    "code",
    ["ff", "1fff", "ffffffff", "07fffffffc", "00", "18"],
    ids=[
        "eight bits of padding",
        "more behind a symbol",
        "end of string",
        "end behind a symbol",
        "zeros",
        "a zero and ones",
    ],
)
def test_a_code_with_wrong_padding_or_an_end_within_it_is_none(code: str) -> None:
    with pytest.raises(BadCode):
        decoded(bytes.fromhex(code))


@given(
    st.lists(
        st.tuples(st.lists(FIELDS, max_size=8), st.booleans(), st.none() | st.integers(0, TABLE_BYTES)), max_size=12
    )
)
def test_blocks_of_another_encoder_are_read_as_they_were_meant(blocks) -> None:
    """Also after the table was resized, so after entries were evicted; Huffman coded and not."""
    encoder, reader = hpack.Encoder(), HeaderReader(PLENTY)
    for fields, huffman, resized in blocks:
        if resized is not None:
            encoder.header_table_size = resized
        block = encoder.encode(fields, huffman=huffman)
        read, size = reader.read(block)
        assert read == fields
        assert size == sum(len(name) + len(value) + 32 for name, value in fields)


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_of_any_bytes_what_both_can_read_they_read_alike(blocks: list[bytes]) -> None:
    other, reader = hpack.Decoder(PLENTY), HeaderReader(PLENTY)
    for block in blocks:
        try:
            read, _ = reader.read(block)
        except BadBlock:
            return
        try:
            theirs = other.decode(block, raw=True)
        except hpack.HPACKError:
            return
        assert read == [tuple(field) for field in theirs]


@pytest.mark.parametrize(
    "block",
    ["80", "be", "ff80", "ffffffffffff", "7f", "0a", "000a61", "00816100", "3fe23f", "8320", "3f", "00017f"],
    ids=[
        "index zero", "an index beyond the table", "half an index", "an endless number", "half a literal", "no value", "half a name",
        "a bad code", "a table above the limit", "a resize behind a field", "half a resize", "no string",
    ],
)  # fmt: skip
def test_a_block_that_is_none_is_told(block: str) -> None:
    with pytest.raises(BadBlock):
        HeaderReader(PLENTY).read(bytes.fromhex(block))


def test_a_small_block_never_becomes_large_in_memory() -> None:
    """One entry of four kilobytes, referred to by every byte of a block."""
    reader = HeaderReader(16_384)
    value = b"v" * 4000
    fields, size = reader.read(
        b"\x40\x01a\x7f"
        + (4000 - 127 & 127 | 128).to_bytes(1)
        + ((4000 - 127) >> 7).to_bytes(1)
        + value
        + b"\xbe" * 60_000
    )
    assert size > 200 * 2**20
    assert sum(len(value) for _, value in fields) <= 16_384
    assert reader.read(b"\xbe")[0] == [(b"a", value)], "the connection's table is as it should be"


def test_the_worst_block_takes_no_time() -> None:
    literals = (b"\x00\x01a\x00" * 16_384)[:65_536]
    begun = time.process_time()
    for block in (
        literals,
        b"\x20" * 65_536,
        b"\x40\x01a\x00" * 16_384,
        literal(b"a", HUFFMAN.encode(b"\x01" * 15_000)),
    ):
        HeaderReader(PLENTY).read(block)
    assert time.process_time() - begun < 2


def test_a_written_field_is_read_by_others() -> None:
    for size in (0, 1, 126, 127, 128, 254, 255, 300, 5000, 40_000):
        block = literal(b"grpc-message", b"m" * size)
        assert hpack.Decoder(PLENTY).decode(block, raw=True) == [(b"grpc-message", b"m" * size)]


GOOD = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a"), (b":authority", b"a"), (b"te", b"trailers"))


@pytest.mark.parametrize(
    "fields",
    [
        GOOD[1:], GOOD[:1] + GOOD[2:], GOOD[:2] + GOOD[3:], (*GOOD, (b":path", b"/b")), (*GOOD[:3], (b":path", b"/b")),
        (*GOOD[:3], (b":status", b"200")), (*GOOD, (b"Upper", b"a")), (*GOOD, (b"", b"a")), (*GOOD, (b"a b", b"a")),
        (*GOOD, (b"a", b"b\r\nc: d")), (*GOOD, (b"a", b"\0")), (*GOOD, (b"a", b" b")), (*GOOD, (b"a", b"b\t")),
        (*GOOD, (b"connection", b"close")), (*GOOD, (b"transfer-encoding", b"chunked")), (*GOOD[:4], (b"te", b"gzip")),
        (*GOOD[:2], (b":path", b"")),
    ],
    ids=[
        "no method", "no scheme", "no path", "a path behind fields", "two paths", "a response's field", "capitals", "no name",
        "a space in a name", "a line break", "a NUL", "a space before", "a tab behind", "connection", "transfer-encoding",
        "another te", "an empty path",
    ],
)  # fmt: skip
def test_a_malformed_head_ends_its_stream(fields) -> None:
    with pytest.raises(StreamFault):
        head_of(fields)


def test_of_a_field_that_comes_twice_the_first_counts() -> None:
    assert head_of((*GOOD, (b"authorization", b"a"), (b"authorization", b"b"))).fields[b"authorization"] == b"a"
