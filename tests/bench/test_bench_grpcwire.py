"""The benchmarks' gRPC client against the published server: messages of all sizes, compressed ones, refusals, ends."""

from __future__ import annotations

import doctest
import gzip
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import grpc
import pytest

from bench import grpcwire
from bench.grpcwire import METHOD, Broken, GrpcWire
from bench.ledger import ACKNOWLEDGED, REFUSED, UNKNOWN
from bench.sender import grpc_connection

Handler = Callable[[bytes, grpc.ServicerContext], bytes]
LARGEST = 4 << 20


@contextmanager
def listening(answer: Handler) -> Iterator[tuple[str, grpc.Server]]:
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", LARGEST)])
    service, _, name = METHOD[1:].partition("/")
    handlers = {name: grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", server
    finally:
        server.stop(None).wait()


def digest(message: bytes, _context: grpc.ServicerContext) -> bytes:
    return b"%d %d" % (len(message), sum(message))


def refuse(_message: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "later")
    raise AssertionError


def test_its_examples_hold() -> None:
    assert doctest.testmod(grpcwire) == (0, 1)


@pytest.mark.parametrize("compressed", [False, True])
def test_messages_of_all_sizes_arrive_whole_on_one_connection(compressed: bool) -> None:
    with listening(digest) as (address, _), closing(GrpcWire(address, compressed)) as wire:
        for size in (0, 1, 16379, 16384, 65535, 300_000, 3_000_000, 7):
            message = bytes(range(251)) * (size // 251) + b"\7" * (size % 251)
            sent = gzip.compress(message, 1) if compressed else message
            assert wire.call(sent) == digest(message, None), size  # type: ignore[arg-type]


def test_a_refusal_is_no_answer_and_the_connection_goes_on() -> None:
    with listening(refuse) as (address, _), closing(GrpcWire(address, compressed=False)) as wire:
        assert [wire.call(b"x" * size) for size in (1, 100_000, 1)] == [None] * 3


def test_a_message_that_is_too_large_is_refused() -> None:
    with listening(digest) as (address, _), closing(GrpcWire(address, compressed=False)) as wire:
        assert wire.call(b"x" * (LARGEST + 1)) is None
        assert wire.call(b"x") == b"1 120"


def test_a_connection_that_ends_is_told_and_opened_anew() -> None:
    def slow(message: bytes, context: grpc.ServicerContext) -> bytes:
        if message == b"end":
            server.stop(None)
            context.abort(grpc.StatusCode.UNAVAILABLE, "ends")
        return b""

    with listening(slow) as (address, server), closing(GrpcWire(address, compressed=False)) as wire:
        assert wire.call(b"x") == b""
        with pytest.raises(Broken):
            list(map(wire.call, [b"end"] * 3))
    with pytest.raises(Broken):
        wire.call(b"x")


def test_an_answer_may_be_compressed() -> None:
    def answer(message: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_compression(grpc.Compression.Gzip)
        return b"a" * 1000 + message

    with listening(answer) as (address, _), closing(GrpcWire(address, compressed=True)) as wire:
        assert wire.call(gzip.compress(b"b")) == b"a" * 1000 + b"b"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(lambda *_: b"", ACKNOWLEDGED), (lambda *_: b"\x0a\x02\x08\x01", REFUSED), (refuse, REFUSED)],
)
def test_the_sender_tells_answers_apart(answer: Handler, outcome: int) -> None:
    with listening(answer) as (address, _), grpc_connection(address, compressed=False) as send:
        assert send(b"payload") == outcome


def test_the_sender_says_unknown_where_nobody_listens() -> None:
    with grpc_connection("127.0.0.1:1", compressed=False) as send:
        assert send(b"payload") == UNKNOWN
