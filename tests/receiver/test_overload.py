"""One client's load costs the others nothing: budgets, slow sinks, stalled senders, bombs."""

from __future__ import annotations

import gc
import gzip
import http.client
import socket
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
import psutil
import pytest

from busymachine import a_second
from receiver.bombs import bomb
from receiver.sinks import FaultySink, HeldSink, MemorySink, trace_request
from receiver.wires import Answer
from spanverdict.receiver.errors import Overloaded

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MIB = 1024 * 1024


def test_a_full_budget_is_retryable_and_clears_with_the_acknowledgement(receive, connect, wire_name):
    sink = HeldSink()
    receiver, endpoints = receive(sink, in_flight_bytes=2 * MIB, max_message_bytes=2 * MIB, retry_after_s=3)
    wire = connect(wire_name, endpoints)
    large, small = (
        trace_request(1, padding=MIB),
        trace_request(1, padding=(MIB if wire_name != "http-json" else 3 * MIB // 4)),
    )
    with ThreadPoolExecutor(1) as client:
        first = client.submit(wire.export, large)
        sink.wait_for(1)
        refused = wire.export(large)
        assert refused.code in ("UNAVAILABLE", 429)
        assert refused.retry_after_s == 3
        assert receiver.budget.in_use <= receiver.budget.capacity
        sink.release()
        assert first.result().ok
        second = client.submit(wire.export, small)
        sink.wait_for(1)
        sink.release()
        assert second.result().ok
    assert receiver.budget.in_use == 0
    assert list(receiver.counters.snapshot()["refused"].values()) == [{"overloaded": 1}]


def test_both_protocols_share_one_budget(receive, connect):
    sink = HeldSink()
    _, endpoints = receive(sink, in_flight_bytes=MIB, max_message_bytes=MIB)
    with ThreadPoolExecutor(1) as client:
        first = client.submit(connect("grpc", endpoints).export, trace_request(1, padding=MIB * 3 // 4))
        sink.wait_for(1)
        assert connect("http-protobuf", endpoints).export(trace_request(1, padding=MIB // 2)).code == 429
        sink.release()
        assert first.result().ok


def test_whatever_happens_to_a_request_its_bytes_are_given_back(receive, connect, wire_name):
    receiver, endpoints = receive(MemorySink(), max_message_bytes=MIB)
    wire = connect(wire_name, endpoints)
    wire.export(trace_request())
    wire.send(b"\xff")
    wire.send(b"\xff", zipped=True)
    wire.send(bytes(MIB + 1))
    wire.send(bytes(MIB + 1), zipped=True)
    wire.send(b"", signal="metrics")
    assert receiver.budget.in_use == 0


def test_a_client_that_leaves_gives_its_bytes_back_after_the_commit(receive, connect):
    sink = HeldSink()
    receiver, endpoints = receive(sink)
    call = connect("grpc", endpoints).method().future(trace_request().SerializeToString())
    sink.wait_for(1)
    call.cancel()
    with socket.create_connection((endpoints.http.host, endpoints.http.port)) as client:
        client.sendall(_head(2) + b"\n\x00")
        sink.wait_for(2)
    assert receiver.budget.in_use > 0
    sink.release()
    assert receiver.budget.in_use == 0


def test_a_slow_sink_does_not_keep_others_from_being_refused_or_served(receive, connect):
    sink = HeldSink()
    receiver, endpoints = receive(sink)
    with ThreadPoolExecutor(100) as clients:
        wires = [connect("grpc", endpoints) for _ in range(5)]
        waiting = [clients.submit(wires[n % 5].export, trace_request()) for n in range(100)]
        sink.wait_for(100)
        assert connect("http-protobuf", endpoints).send(b"", signal="logs").ok
        assert connect("grpc", endpoints).send(b"", signal="metrics").ok
        assert connect("grpc", endpoints).send(b"\xff", signal="metrics").code == "INVALID_ARGUMENT"
        sink.release()
        assert all(answer.result().ok for answer in waiting)
    assert receiver.counters.snapshot()["spans_accepted"] == {"grpc": 100}


def test_long_requests_are_worked_on_beside_the_event_loop(receive, connect):
    """Converting a long request, up to its hand-over, does not hold up a short one."""
    working, finish = threading.Event(), threading.Event()

    class Thinking(MemorySink):
        def submit(self, payload, as_sent=b""):
            if len(payload) > MIB:
                working.set()
                assert finish.wait(10)
            return super().submit(payload)

    _, endpoints = receive(Thinking())
    with ThreadPoolExecutor(1) as client:
        long = client.submit(connect("http-json", endpoints).export, trace_request(1, padding=2 * MIB))
        assert working.wait(10)
        assert connect("grpc", endpoints).export(trace_request()).ok
        assert connect("http-protobuf", endpoints).export(trace_request()).ok
        finish.set()
        assert long.result().ok


def test_senders_that_stall_before_the_message_cost_the_others_nothing_and_end(receive, connect):
    receiver, endpoints = receive(MemorySink(), body_timeout_s=0.5, in_flight_bytes=64 * MIB, max_message_bytes=MIB)
    never = threading.Event()

    def messages():
        never.wait(10)
        yield b""

    channel = connect("grpc", endpoints).channel
    stalled = [channel.stream_unary(EXPORT).future(messages(), timeout=10) for _ in range(50)]
    sockets = [socket.create_connection((endpoints.http.host, endpoints.http.port), timeout=10) for _ in range(50)]
    for client in sockets:
        client.sendall(_head(100) + b"half")
    for name in ("grpc", "http-protobuf", "http-json"):
        assert connect(name, endpoints).export(trace_request()).ok
    assert {call.code() for call in stalled} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    for client in sockets:
        assert client.recv(100).startswith(b"HTTP/1.1 408 ")
        client.close()
    never.set()
    assert receiver.budget.in_use == 0


def test_of_too_many_slow_messages_over_grpc_the_oldest_give_way_and_come_again(receive, connect):
    """Two messages of the largest size fit; ten stop in the middle, and whoever comes now is served all the same."""
    receiver, endpoints = receive(MemorySink(), in_flight_bytes=2 * MIB, max_message_bytes=MIB, retry_after_s=3)
    never = threading.Event()

    def messages():
        never.wait(30)
        yield trace_request().SerializeToString()

    channel = connect("grpc", endpoints).channel
    stalled = [channel.stream_unary(EXPORT).future(messages(), timeout=30) for _ in range(8)]
    ended = threading.Semaphore(0)
    for call in stalled:
        call.add_done_callback(lambda _: ended.release())
    assert all(ended.acquire(timeout=10) for _ in range(6))
    evicted = [call for call in stalled if call.done()]
    assert {call.code() for call in evicted} == {grpc.StatusCode.UNAVAILABLE}
    assert all(dict(call.trailing_metadata())["google.rpc.retryinfo-bin"] for call in evicted)
    left = [call for call in stalled if call not in evicted]
    assert len(left) == 2
    assert all(connect("grpc", endpoints).export(trace_request()).ok for _ in range(5))
    never.set()
    assert all(call.result(timeout=10) == b"" for call in left)
    assert receiver.budget.in_use == 0
    assert receiver.counters.snapshot()["refused"] == {"grpc": {"overloaded": 6}}


def test_a_sender_that_ends_without_a_message_is_told(receive, connect):
    receiver, endpoints = receive(MemorySink())
    with pytest.raises(grpc.RpcError) as refused:
        connect("grpc", endpoints).channel.stream_unary(EXPORT)(iter(()), timeout=10)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert receiver.budget.in_use == 0


class Memory:
    """How far this process' resident memory grew at most."""

    def __enter__(self):
        self._process = psutil.Process()
        self._before = self._peak = self._process.memory_info().rss
        self._end = threading.Event()
        self._watching = threading.Thread(target=self._watch)
        self._watching.start()
        return self

    def _watch(self):
        while not self._end.wait(0.005):
            self._peak = max(self._peak, self._process.memory_info().rss)

    def __exit__(self, *exc_info):
        self._end.set()
        self._watching.join()

    @property
    def growth(self):
        return self._peak - self._before


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_messages_that_were_refused_are_let_go_at_once(receive, connect, protocol):
    """Not when the collector of cycles comes by, which is seldom in a server."""
    sink = FaultySink(*[Overloaded() for _ in range(200)])
    _, endpoints = receive(sink)
    body = trace_request(1, padding=MIB).SerializeToString()
    send = partial(_post, endpoints.http) if protocol == "http" else connect("grpc", endpoints).send
    send(body)
    gc.collect()
    gc.disable()
    try:
        with Memory() as memory:
            assert {send(body).code for _ in range(100)} <= {"UNAVAILABLE", 429}
    finally:
        gc.enable()
    assert memory.growth < 50 * MIB


def _post(address, body):
    """Send a request with a client that keeps nothing of it."""
    client = http.client.HTTPConnection(address.host, address.port, timeout=10)
    try:
        client.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        return Answer(client.getresponse().status)
    finally:
        client.close()


def test_a_bomb_is_what_it_is_said_to_be():
    for n_members in (1, 64):
        inflated = zlib.decompressobj(wbits=31).decompress(bomb(n_members), 2 * MIB)
        assert inflated == bytes(2 * MIB)
        assert len(bomb(n_members)) < 2 * MIB
    assert gzip.decompress(bomb(64)[: len(bomb(64)) // 64]) == bytes(16 * MIB)


@pytest.mark.parametrize("n_members", [1, 64], ids=["one member", "many members"])
def test_64_bombs_at_once_take_little_memory_and_others_are_served(receive, connect, n_members):
    bombs = bomb(n_members)
    receiver, endpoints = receive(MemorySink())
    grpc_wire, http_wire = connect("grpc", endpoints), connect("http-protobuf", endpoints)
    others = connect("http-protobuf", endpoints)
    with Memory() as memory, ThreadPoolExecutor(64) as clients:
        # sent uncompressed over gRPC, the bomb looks to the server as if its client had compressed it
        over_grpc = [clients.submit(grpc_wire.send, bombs) for _ in range(32)]
        over_http = [clients.submit(http_wire.post, bombs, content_encoding="gzip") for _ in range(32)]
        took = []
        while not all(answer.done() for answer in over_grpc + over_http):
            start = time.monotonic()
            assert others.export(trace_request()).ok
            took.append(time.monotonic() - start)
    assert {answer.result().code for answer in over_grpc} == {"RESOURCE_EXHAUSTED"}
    assert {answer.result().code for answer in over_http} == {413}
    assert sorted(took)[len(took) * 99 // 100] < a_second()
    assert memory.growth < 300_000_000  # clients included, of 64 GiB
    assert receiver.budget.in_use == 0


def test_a_compressed_message_is_counted_as_it_was_sent(receive, connect):
    """So it is we who inflate it, within the budget, and with a bound on how much it becomes."""
    receiver, endpoints = receive(MemorySink())
    body = trace_request(1, padding=MIB).SerializeToString()
    assert connect("grpc", endpoints).send(body, zipped=True).ok
    assert receiver.counters.snapshot()["wire_bytes"]["grpc"] < MIB / 10


def _head(length: int) -> bytes:
    return (
        b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\nContent-Length: %d\r\n\r\n"
        % length
    )
