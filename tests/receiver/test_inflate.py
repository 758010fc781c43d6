"""gzip bodies: every valid one comes out whole, every dangerous one is stopped early."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.errors import Overloaded, TooLarge
from spanverdict.receiver.inflate import GzipInflater, InflateLimits
from spanverdict.receiver.inflate import inflate as inflate_members
from spanverdict.receiver.limits import ByteBudget

MIB = 1024 * 1024
WIDE = InflateLimits(max_bytes=64 * MIB)


@pytest.fixture(scope="module", params=["zlib", "isal.isal_zlib"], autouse=True)
def codec(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spanverdict.receiver.inflate._CODEC", pytest.importorskip(request.param))
        yield


def inflate(body, limits, held):
    return inflate_members(body, limits, held)[0]


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5), st.booleans())
def test_members_are_counted(parts, padded) -> None:
    body = b"".join(map(gzip.compress, parts)) + bytes(7 * padded)
    assert inflate_members(body, WIDE, lease()) == (b"".join(parts), len(parts))


def lease(capacity=256 * MIB):
    return ByteBudget(capacity).lease()


def zeros(size):
    """A gzip of `size` zero bytes, about a thousandth as long."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()


@given(
    members=st.lists(st.binary(max_size=2000), min_size=1, max_size=4),
    padding=st.lists(st.integers(0, 40), min_size=4, max_size=4),
    cuts=st.lists(st.integers(0, 5000)),
)
def test_any_members_in_any_pieces_come_out_as_one_body_whatever_zeros_are_behind_them(members, padding, cuts):
    body = b"".join(gzip.compress(member) + bytes(zeros) for member, zeros in zip(members, padding, strict=False))
    edges = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    held = lease()
    inflater = GzipInflater(WIDE, held)
    for start, end in pairwise(edges):
        inflater.feed(memoryview(body)[start:end])
    assert inflater.finish() == b"".join(members)
    assert inflater.members == len(members)
    assert held.size == sum(map(len, members))


@given(body=st.binary(max_size=300))
def test_what_is_not_gzip_is_undecodable_and_nothing_else(body):
    try:
        inflated = inflate(body, WIDE, lease())
    except Undecodable:
        return
    assert gzip.decompress(body) == inflated


@given(content=st.binary(min_size=1, max_size=500), data=st.data())
def test_a_truncated_body_is_undecodable(content, data):
    body = gzip.compress(content)
    with pytest.raises(Undecodable):
        inflate(body[: data.draw(st.integers(0, len(body) - 1))], WIDE, lease())


def test_zero_padding_after_a_member_is_allowed_and_other_trailing_bytes_are_not():
    assert inflate(gzip.compress(b"spans") + bytes(512), WIDE, lease()) == b"spans"
    assert inflate(gzip.compress(b"spans") + bytes(200_000), WIDE, lease()) == b"spans", "that reach into other pieces"
    with pytest.raises(Undecodable):
        inflate(gzip.compress(b"spans") + b"more", WIDE, lease())


def test_a_bomb_is_stopped_at_the_floor_however_large_it_would_become():
    held = lease()
    with pytest.raises(TooLarge, match="100 times"):
        inflate(zeros(128 * MIB), WIDE, held)
    assert held.size <= WIDE.floor_bytes


def test_a_bomb_of_many_small_members_is_stopped_too():
    held = lease()
    with pytest.raises(TooLarge):
        inflate(zeros(3 * MIB) * 100, WIDE, held)
    assert held.size <= WIDE.floor_bytes + 3 * MIB


def test_a_body_may_inflate_far_below_the_floor_and_moderately_above():
    assert len(inflate(zeros(3 * MIB), WIDE, lease())) == 3 * MIB
    lines = b"".join(b"span %d of a service\n" % n for n in range(400_000))
    assert inflate(gzip.compress(lines), WIDE, lease()) == lines


def test_the_hard_cap_holds_to_the_byte():
    noise = b"".join(n.to_bytes(3, "big") for n in range(100_000))
    cap = InflateLimits(max_bytes=len(noise))
    assert inflate(gzip.compress(noise), cap, lease()) == noise
    with pytest.raises(TooLarge, match="longer than 300000 bytes"):
        inflate(gzip.compress(noise + b"!"), cap, lease())


def test_output_beyond_the_budget_is_overload():
    with pytest.raises(Overloaded):
        inflate(zeros(3 * MIB), WIDE, lease(capacity=MIB))
