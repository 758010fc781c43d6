"""What has come of a request that is refused is let go at once, and not when somebody looks for cycles."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from receiver.http2_peers import DATA, HELLO, opened
from receiver.sinks import MemorySink
from receiver.wires import GRPC_METHODS
from spanverdict.receiver.auth import BearerTokens
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.counters import Counters
from spanverdict.receiver.grpc_calls import ExportCalls
from spanverdict.receiver.http1.connection import READ_BYTES, Wiring
from spanverdict.receiver.http1.connection import Connection as Http1
from spanverdict.receiver.http2.connection import Connection as Http2
from spanverdict.receiver.http2.connection import Limits
from spanverdict.receiver.http2.frames import frame
from spanverdict.receiver.http2.hpack import literal
from spanverdict.receiver.http_calls import HttpCalls
from spanverdict.receiver.intake import Intake
from spanverdict.receiver.limits import ByteBudget
from spanverdict.receiver.ratelimit import RateLimiter

MIB = 1 << 20
SENT = 40 * 16_384
CALL = b"\x83\x86" + literal(b":path", GRPC_METHODS["traces"].encode()) + literal(b"content-type", b"application/grpc")
POST = b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\n"


def half_over_grpc(calls: ExportCalls, budget: ByteBudget) -> None:
    connection = Http2(calls.of_client("a"), Limits(16_384, 100), lambda _: None, lambda: None)
    connection.receive(memoryview(HELLO + opened(1, head=CALL)))
    connection.receive(memoryview(frame(DATA, 0, 1, b"\0" + MIB.to_bytes(4))))
    for _ in range(40):
        connection.receive(memoryview(frame(DATA, 0, 1, bytes(16_384))))
    assert budget.in_use >= SENT
    calls.end_all()


def half_over_http(calls: HttpCalls, budget: ByteBudget) -> None:
    buffer = bytearray(READ_BYTES)
    wiring = Wiring(lambda _: None, lambda _: None, lambda _: None, budget.lease())
    connection = Http1(calls.of_client("a"), calls.refuse_head, wiring, buffer, 16_384)
    head = POST + b"Content-Length: %d\r\n\r\n" % MIB
    connection.room()[: len(head)] = head
    connection.took(len(head))
    left = SENT
    while left:
        took = min(left, len(connection.room()))
        connection.took(took)
        left -= took
    assert budget.in_use >= SENT
    calls.end_all()


@pytest.mark.parametrize(("kind", "half"), [(ExportCalls, half_over_grpc), (HttpCalls, half_over_http)])
def test_what_has_come_is_let_go_at_once(kind: type, half: Callable[[object, ByteBudget], None]) -> None:
    async def refuse() -> int:
        config, counters, budget = ReceiverConfig(), Counters(), ByteBudget(64 * MIB)
        with ThreadPoolExecutor(1) as workers:
            intake = Intake(MemorySink(), config, counters, workers, RateLimiter(None))
            calls = kind(intake, BearerTokens(()), budget, counters, config)
            tracemalloc.start()
            try:
                half(calls, budget)
                assert tracemalloc.get_traced_memory()[1] >= SENT
                return tracemalloc.get_traced_memory()[0] - budget.in_use
            finally:
                tracemalloc.stop()

    gc.disable()
    try:
        assert asyncio.run(refuse()) < SENT // 2
    finally:
        gc.enable()
