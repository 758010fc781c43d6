"""A message that comes in pieces: it is what was sent, and takes no more memory than its bytes."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from spanverdict.receiver.grpc_message import IncomingMessage
from spanverdict.receiver.limits import ByteBudget

LIMIT = 1 << 20


def message_of(content: bytes) -> bytes:
    return b"\0" + len(content).to_bytes(4) + content


@given(content=st.binary(max_size=300), cuts=st.lists(st.integers(0, 305), max_size=12))
def test_any_pieces_come_to_the_same_message(content: bytes, cuts: list[int]) -> None:
    sent = message_of(content)
    message = IncomingMessage(LIMIT, ByteBudget(LIMIT).lease(0))
    at = 0
    for cut in [*sorted(cuts), len(sent)]:
        buffer = bytearray(sent[at:cut])
        message.feed([memoryview(buffer)])
        buffer[:] = bytes(len(buffer))
        at = max(at, cut)
    assert message.body() == content


def test_what_comes_byte_by_byte_takes_little_more_than_its_bytes() -> None:
    content = b"x" * 40_000
    message = IncomingMessage(LIMIT, ByteBudget(LIMIT).lease(0))
    tracemalloc.start()
    try:
        for byte in message_of(content):
            message.feed([memoryview(bytes([byte]))])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2 * len(content)
    assert message.body() == content
