"""The API's connections at their edges: heads and bodies without end, too many of them, what is no HTTP at all."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from spanverdict.app.apiconnections import connection_class
from spanverdict.receiver.addresses import Address, bind
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.listen import port_of
from spanverdict.web.server import WebServer

REQUEST = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK"

Connect = Callable[[], socket.socket]


async def echo(_scope, receive, send) -> None:
    """Answer with the body."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def dial() -> Iterator[Callable[..., Connect]]:
    """Serve with the given settings, and open connections."""
    with ExitStack() as stack:

        def start(**settings) -> Connect:
            listener = bind(Address("127.0.0.1", 0))
            server = WebServer(echo, listener, connection_class(ReceiverConfig(**settings)))
            server.start()
            stack.callback(server.stop)
            address = ("127.0.0.1", port_of(listener))
            return lambda: stack.enter_context(socket.create_connection(address, timeout=10))

        yield start


def answer(client: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = b""
    try:
        while chunk := client.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def trickle(client: socket.socket) -> None:
    for _ in range(100):
        client.sendall(b"P")
        time.sleep(0.05)  # this is the trickle, nothing is waited for


def test_requests_are_answered_and_the_connection_kept(dial) -> None:
    client = dial()()
    for _ in range(3):
        client.sendall(REQUEST)
        assert client.recv(1000).startswith(OK)


def test_a_client_that_would_like_another_protocol_is_served_and_its_body_read(dial) -> None:
    client = dial()()
    wish = b"Connection: upgrade, close\r\nUpgrade: h2c\r\nContent-Length: 3"
    client.sendall(REQUEST.replace(b"Content-Length: 0", wish) + b"abc")
    assert answer(client).endswith(b"\r\n\r\nabc")


def test_a_head_without_end_is_cut_off_at_the_limit(dial) -> None:
    client = dial(max_header_bytes=4096)()
    client.sendall(REQUEST[:-2] + b"X-Long: ")
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        client.sendall(b"x" * 10_000_000)


def test_connections_that_never_finish_a_head_are_closed(dial) -> None:
    connect = dial(head_timeout_s=0.3)
    clients = [connect() for _ in range(6)]
    for client in clients[3:]:
        client.sendall(REQUEST[:30])
    assert [answer(client) for client in clients] == [b""] * 6


@pytest.mark.parametrize("begun", [b"", REQUEST.replace(b"Length: 0", b"Length: 50000")], ids=["head", "body"])
def test_what_trickles_has_no_more_time_for_that(dial, begun: bytes, monkeypatch) -> None:
    monkeypatch.setattr("spanverdict.app.apiconnections._GRACE_S", 0.2)
    client = dial(head_timeout_s=0.3, body_timeout_s=0.3)()
    client.sendall(begun)
    start = time.monotonic()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        trickle(client)
    assert time.monotonic() - start < 4


def test_connections_beyond_the_limit_are_closed_and_the_others_served(dial) -> None:
    connect = dial(max_connections=2)
    clients = [connect() for _ in range(2)]
    for client in clients:
        client.sendall(REQUEST)
        assert client.recv(1000).startswith(OK)
    assert answer(connect()) == b""
    clients[0].sendall(REQUEST)
    assert clients[0].recv(1000).startswith(OK)


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", REQUEST.replace(b"Host: a", b"Ho st: a")]
)
def test_what_is_no_http_gets_a_status_and_its_connection_closed(dial, garbage: bytes) -> None:
    client = dial()()
    client.sendall(garbage)
    head, _, body = answer(client).partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1.1 4\d\d ", head)
    assert json.loads(body)["message"]
