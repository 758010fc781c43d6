"""HTTP/1.1 at its edges, on real sockets: heads without end, idle connections, what is no HTTP at all."""

from __future__ import annotations

import json
import re
import socket
import time
from contextlib import ExitStack

import pytest

from receiver.sinks import MemorySink, trace_request
from spanverdict.receiver.http1 import listener as http1

REQUEST = b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK"


@pytest.fixture
def dial(receive):
    """Start a receiver with the given settings and open connections to it."""
    with ExitStack() as stack:

        def start(**settings):
            receiver, endpoints = receive(MemorySink(), grpc_address=None, **settings)

            def connect():
                address = endpoints.http
                return stack.enter_context(socket.create_connection((address.host, address.port), timeout=10))

            return receiver, connect

        yield start


def answer(client) -> bytes:
    """Everything until the server closes."""
    received = b""
    while chunk := _received(client):
        received += chunk
    return received


def _received(client) -> bytes:
    try:
        return client.recv(65536)
    except ConnectionResetError:
        return b""


def test_a_request_is_answered_and_the_connection_kept(dial):
    _, connect = dial()
    client = connect()
    for _ in range(3):
        client.sendall(REQUEST)
        assert client.recv(1000).startswith(OK)


def test_a_head_that_comes_byte_by_byte_is_a_head(dial):
    _, connect = dial()
    client = connect()
    for byte in REQUEST:
        client.sendall(bytes([byte]))
    assert client.recv(1000).startswith(OK)


def test_a_head_without_end_is_cut_off_at_the_limit(dial):
    receiver, connect = dial(max_header_bytes=4096)
    client = connect()
    client.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nX-Long: ")
    sent = 0
    try:
        while sent < 10_000_000:
            client.sendall(b"x" * 1000)
            sent += 1000
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert sent < 5_000_000
    assert receiver.budget.in_use == 0


def test_a_complete_head_that_is_too_long_is_refused_with_a_status(dial):
    _, connect = dial(max_header_bytes=4096)
    client = connect()
    client.sendall(REQUEST.replace(b"\r\n\r\n", b"\r\nX-Long: " + b"x" * 5000 + b"\r\nConnection: close\r\n\r\n"))
    assert answer(client).startswith(b"HTTP/1.1 431 ")


def test_connections_that_never_finish_a_head_are_closed(dial):
    _, connect = dial(head_timeout_s=0.3)
    clients = [connect() for _ in range(20)]
    for client in clients[10:]:
        client.sendall(REQUEST[:30])
    clients[0].sendall(REQUEST)
    assert clients[0].recv(1000).startswith(OK)
    start = time.monotonic()
    assert all(answer(client) == b"" for client in clients[1:])
    assert time.monotonic() - start < 5


def test_a_second_head_must_end_in_time_too(dial):
    _, connect = dial(head_timeout_s=0.3)
    client = connect()
    client.sendall(REQUEST)
    assert client.recv(1000).startswith(OK)
    client.sendall(REQUEST[:30])
    assert answer(client) == b""


def test_a_trickled_head_does_not_extend_its_time(dial):
    _, connect = dial(head_timeout_s=0.4)
    client = connect()
    start = time.monotonic()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        _trickle(client, seconds=5)
    assert time.monotonic() - start < 3


def _trickle(client, seconds):
    for _ in range(int(seconds / 0.05)):
        client.sendall(b"P")
        time.sleep(0.05)  # this is the trickle, nothing is waited for


@pytest.mark.parametrize("why", ["nobody may send", "it is too slow"])
def test_a_trickled_body_does_not_hold_a_connection_for_ever(dial, why, monkeypatch):
    monkeypatch.setattr(http1, "_GRACE_S", 0.2)
    refused = why == "nobody may send"
    _, connect = dial(body_timeout_s=0.3, **({"bearer_tokens": ("right",)} if refused else {}))
    client = connect()
    client.sendall(REQUEST.replace(b"Length: 0", b"Length: 50000"))
    if refused:
        assert client.recv(1000).startswith(b"HTTP/1.1 401 ")
    start = time.monotonic()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        _trickle(client, seconds=5)
    assert time.monotonic() - start < 3


def test_each_body_has_its_own_time(dial, monkeypatch):
    monkeypatch.setattr(http1, "_GRACE_S", 0.2)
    _, connect = dial(body_timeout_s=0.6)
    client = connect()
    start = time.monotonic()
    while time.monotonic() - start < 1.6:
        client.sendall(REQUEST.replace(b"Length: 0", b"Length: 3") + b"\xfa\x7f")
        time.sleep(0.1)  # this is how slow the body is
        client.sendall(b"\x00")
        assert client.recv(1000).startswith(OK)


def test_an_idle_connection_is_closed(dial):
    _, connect = dial(idle_timeout_s=0.5)
    client = connect()
    client.sendall(REQUEST)
    assert answer(client).startswith(OK)


def test_connections_beyond_the_limit_are_closed_and_the_others_served(dial):
    _, connect = dial(max_connections=5)
    clients = []
    for _ in range(5):
        clients.append(connect())
        clients[-1].sendall(REQUEST)
        assert clients[-1].recv(1000).startswith(OK)
    assert answer(connect()) == b""
    clients[0].sendall(REQUEST)
    assert clients[0].recv(1000).startswith(OK)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHo st: a\r\n\r\n",
        b"\r\n\r\n\x00\x00\x00",
    ],
)
def test_what_is_no_http_gets_a_status_and_its_connection_closed(dial, garbage):
    _, connect = dial(head_timeout_s=1)
    client = connect()
    client.sendall(garbage)
    head, _, body = answer(client).partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1.1 4\d\d ", head)
    assert json.JSONDecoder().raw_decode(body.decode())[0]["message"]
    other = connect()
    other.sendall(REQUEST)
    assert other.recv(1000).startswith(OK)


def test_a_chunked_body_is_read(dial):
    _, connect = dial()
    client = connect()
    head = REQUEST.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    client.sendall(head + b"2\r\n\n\x00\r\n0\r\n\r\n")
    assert client.recv(1000).startswith(OK)


def test_a_refused_body_without_end_costs_its_sender_the_connection(dial):
    _, connect = dial(bearer_tokens=("secret",))
    client = connect()
    client.sendall(REQUEST.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"2\r\n\n\x00\r\n")
    received = answer(client)
    assert received.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in received


def test_a_client_that_would_like_http2_is_served_and_its_body_kept(receive):
    """Java's HttpClient asks for an upgrade; a body that is skipped and acknowledged would be lost."""
    sink = MemorySink()
    _, endpoints = receive(sink, grpc_address=None)
    body = trace_request().SerializeToString()
    head = (
        b"POST /v1/traces HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: %d\r\nHost: a\r\n"
        b"HTTP2-Settings: AAEAAEAA\r\nUpgrade: h2c\r\nContent-Type: application/x-protobuf\r\n\r\n" % len(body)
    )
    with socket.create_connection((endpoints.http.host, endpoints.http.port), timeout=10) as client:
        for _ in range(2):
            client.sendall(head + body)
            assert client.recv(1000).startswith(OK)
    assert sink.payloads == [body, body]


def test_however_a_wish_to_upgrade_is_cut_its_body_is_never_acknowledged_unread(receive):
    sink = MemorySink()
    _, endpoints = receive(sink, grpc_address=None)
    body = trace_request().SerializeToString()
    wish = b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: %d" % len(body)
    request = REQUEST.replace(b"Content-Length: 0", wish)
    acknowledged = 0
    for cut in range(request.index(b"\r\nUpgrade: "), request.index(b" h2c")):
        with socket.create_connection((endpoints.http.host, endpoints.http.port), timeout=10) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(request[:cut])
            client.sendall(request[cut:] + body)
            acknowledged += client.recv(1000).startswith(OK)
    assert sink.payloads == [body] * acknowledged


def test_pipelined_requests_are_answered_in_order(dial):
    _, connect = dial()
    client = connect()
    client.sendall(
        REQUEST + REQUEST.replace(b"/v1/traces", b"/v1/other") + REQUEST.replace(b"Host", b"Connection: close\r\nHost")
    )
    received = answer(client)
    assert re.findall(rb"HTTP/1.1 (\d+) ", received) == [b"200", b"404", b"200"]
