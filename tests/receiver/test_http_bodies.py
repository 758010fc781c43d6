"""Bodies over HTTP on real sockets: they are what was sent, however they are sent, and hold no more than they may."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import time
from contextlib import ExitStack

import pytest
import trustme

from receiver.sinks import HeldSink, MemorySink, trace_request
from spanverdict.receiver import listen

MIB = 1024 * 1024
HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\n"
SIZES = 0, 1, 40_000, 70_000, 500_000, 3 * MIB


@pytest.fixture(params=["the fast loop", "the loop of the standard library"])
def loop(request, monkeypatch) -> None:
    if request.param == "the fast loop":
        pytest.importorskip("uvloop", reason="the optional loop is not installed")
    else:
        monkeypatch.setattr(listen, "_loop_factory", lambda: asyncio.new_event_loop)


def bodies() -> list[bytes]:
    return [trace_request(1, padding=size).SerializeToString() for size in SIZES]


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> tuple[dict[str, object], dict[str, object]]:
    """Settings of a server that speaks it, and options of a client that trusts it."""
    authority = trustme.CA()
    both = tmp_path_factory.mktemp("tls") / "both.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(both)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return {"tls_certificate": both, "tls_key": both}, {"verify": trusting}


@pytest.mark.usefixtures("loop")
@pytest.mark.parametrize("speaks_tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("how", ["with a length", "in chunks", "compressed"])
def test_bodies_of_any_length_are_what_was_sent(receive, connect, tls, speaks_tls, how) -> None:
    settings, options = tls if speaks_tls else ({}, {})
    sink = MemorySink()
    receiver, endpoints = receive(sink, grpc_address=None, **settings)
    wire = connect("http-protobuf", endpoints, **options)
    for _ in range(2):
        for body in bodies():
            if how == "in chunks":
                pieces = (body[at : at + 50_001] for at in range(0, len(body), 50_001))
                assert wire.post(pieces).ok
            else:
                assert wire.send(body, zipped=how == "compressed").ok
    assert sink.payloads == bodies() * 2
    assert receiver.budget.in_use == 0
    if how == "compressed":
        kept = [(sent, body) for sent, body in zip(sink.as_sent, sink.payloads, strict=True) if sent]
        assert len(kept) >= 8
        assert all(gzip.decompress(sent) == body for sent, body in kept)


@pytest.mark.usefixtures("loop")
def test_a_client_that_leaves_in_the_middle_of_a_body_gives_everything_back(receive) -> None:
    receiver, endpoints = receive(MemorySink(), grpc_address=None)
    for length in (100, 300_000, 10 * MIB):
        with socket.create_connection((endpoints.http.host, endpoints.http.port), timeout=10) as client:
            client.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % length + bytes(length - 1))
    _wait(lambda: receiver.budget.in_use == 0)


def _wait(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_of_slow_bodies_that_hold_half_of_the_budget_the_oldest_give_way_and_come_again(receive, connect) -> None:
    receiver, endpoints = receive(
        MemorySink(), grpc_address=None, in_flight_bytes=4 * MIB, max_message_bytes=MIB, retry_after_s=3
    )
    with ExitStack() as stack:
        slow = []
        for _ in range(3):
            client = stack.enter_context(
                socket.create_connection((endpoints.http.host, endpoints.http.port), timeout=10)
            )
            client.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % MIB + bytes(MIB - 1))
            slow.append(client)
        refused = slow[0].recv(1000)
        assert refused.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: 3\r\n" in refused
        assert b"connection: close\r\n" in refused
        assert connect("http-protobuf", endpoints).export(trace_request()).ok
        assert receiver.budget.in_use == 2 * MIB
        for client in slow[1:]:
            client.sendall(b"\0")
            assert client.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert receiver.budget.in_use == 0


def test_who_is_still_sending_what_was_refused_reads_why(receive) -> None:
    """Closed at once, what it sends would be answered with a reset, and the answer lost."""
    _, endpoints = receive(MemorySink(), grpc_address=None, bearer_tokens=("secret",))
    for _ in range(5):
        with socket.create_connection((endpoints.http.host, endpoints.http.port), timeout=10) as client:
            client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(10):
                client.sendall(b"4000\r\n" + bytes(0x4000) + b"\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 401 ")
            assert client.recv(1000) == b""


def test_a_commit_that_takes_too_long_is_to_be_sent_again_and_leaves_nothing_behind(receive, connect) -> None:
    sink = HeldSink()
    receiver, endpoints = receive(sink, grpc_address=None, commit_timeout_s=0.3)
    answer = connect("http-protobuf", endpoints).export(trace_request())
    assert (answer.code, answer.retry_after_s) == (503, 1)
    assert receiver.budget.in_use > 0
    sink.release()
    assert receiver.budget.in_use == 0


def test_what_is_no_request_is_counted(receive) -> None:
    receiver, endpoints = receive(MemorySink(), grpc_address=None)
    with socket.create_connection((endpoints.http.host, endpoints.http.port), timeout=10) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert receiver.counters.snapshot()["refused"] == {"http/json": {"undecodable": 1}}
