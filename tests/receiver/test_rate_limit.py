"""One client's share of a second, by token or address, over every form of OTLP."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.sinks import MemorySink, trace_request
from spanverdict.receiver import ratelimit
from spanverdict.receiver.errors import RateLimited
from spanverdict.receiver.ratelimit import BURST_S, RateLimiter

KIB = 1024


def test_who_sends_too_much_is_told_when_to_come_back(receive, connect, wire_name):
    sink = MemorySink()
    receiver, endpoints = receive(sink, client_bytes_per_s=10 * KIB)
    wire = connect(wire_name, endpoints)
    assert wire.export(trace_request(padding=60 * KIB)).ok, "a single message may be longer than the burst"
    refused = wire.export(trace_request())
    assert refused.code in ("RESOURCE_EXHAUSTED", 429)
    assert 3 <= refused.retry_after_s <= 10, "some 60 KiB, 10 a second, 20 at once"
    assert len(sink.payloads) == 1
    assert [list(reasons) for reasons in receiver.counters.snapshot()["refused"].values()] == [["rate_limited"]]
    receiver.rates.bytes_per_s = None
    assert wire.export(trace_request()).ok


def test_what_counts_is_what_comes_out_of_gzip(receive, connect, wire_name):
    _, endpoints = receive(MemorySink(), client_bytes_per_s=10 * KIB)
    wire = connect(wire_name, endpoints)
    assert wire.export(trace_request(padding=60 * KIB), zipped=True).ok
    assert wire.export(trace_request(), zipped=True).code in ("RESOURCE_EXHAUSTED", 429)


def test_tokens_have_shares_of_their_own_over_all_wires(receive, connect):
    _, endpoints = receive(MemorySink(), client_bytes_per_s=10 * KIB, bearer_tokens=("greedy", "modest"))
    assert connect("grpc", endpoints).export(trace_request(padding=60 * KIB), token="greedy").ok
    for name in ("grpc", "http-protobuf", "http-json"):
        wire = connect(name, endpoints)
        assert wire.export(trace_request(), token="greedy").code in ("RESOURCE_EXHAUSTED", 429)
        assert wire.export(trace_request(), token="modest").ok


def test_over_http_the_refusal_comes_before_the_body(receive, connect):
    _, endpoints = receive(MemorySink(), client_bytes_per_s=KIB)
    assert connect("http-protobuf", endpoints).export(trace_request(padding=60 * KIB)).ok
    head = b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection((endpoints.http.host, endpoints.http.port), timeout=10) as client:
        client.sendall(head)
        assert client.makefile("rb").readline() == b"HTTP/1.1 429 Too Many Requests\r\n"


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 5000)), max_size=40))
def test_over_any_time_no_more_is_let_in_than_the_rate_a_burst_and_one_message(sends):
    rate, now = 1000, 0.0
    limiter = RateLimiter(rate, clock=lambda: now)
    taken, longest = 0, 0
    for pause, size in sends:
        now += pause
        try:
            limiter.admit("a")
        except RateLimited as error:
            then, now = now, now + error.retry_after_s + 1e-6
            limiter.admit("a")
            now = then
            continue
        limiter.charge("a", size)
        taken, longest = taken + size, max(longest, size)
        assert taken <= rate * (now + BURST_S) + longest + 1e-6


def test_clients_beyond_number_are_forgotten_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ratelimit, "MAX_CLIENTS", 3)
    limiter = RateLimiter(10, clock=lambda: 0.0)
    for number in range(100):
        limiter.charge(str(number), 1000)
    with pytest.raises(RateLimited):
        limiter.admit("99")
    limiter.admit("0")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_the_port_of_a_client_does_not_matter(receive, connect, wire_name, host):
    _, endpoints = receive(MemorySink(), client_bytes_per_s=1000, grpc_address=f"{host}:0", http_address=f"{host}:0")
    assert connect(wire_name, endpoints).export(trace_request(1, padding=100_000)).ok
    assert connect(wire_name, endpoints).export(trace_request()).code in ("RESOURCE_EXHAUSTED", 429)
