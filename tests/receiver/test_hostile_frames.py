"""Frames and heads made by hand to do harm: the server lives on, others are served, and nothing is left open."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress

import psutil
import pytest

from receiver.sinks import MemorySink, trace_request
from receiver.wires import GRPC_METHODS
from soaking import Progress, again, asked
from spanverdict.receiver.addresses import Address
from spanverdict.receiver.listen import Endpoints

PATIENCE_S = 10.0
SOCKETS = 1000
BODY = trace_request(name="known").SerializeToString()

DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY = 1, 4, 8, 32
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name: str, value: str) -> bytes:
    """Write a header without compressing it."""
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


HEAD = b"".join(
    literal(*pair)
    for pair in (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", GRPC_METHODS["traces"]),
        (":authority", "a"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    )
)
HELLO = PREFACE + frame(SETTINGS)
MESSAGE = b"\x00" + len(BODY).to_bytes(4, "big") + BODY


def opened(streams: Sequence[int], head: bytes = HEAD) -> bytes:
    return b"".join(frame(HEADERS, END_HEADERS, stream, head) for stream in streams)


def setting(number: int, value: int) -> bytes:
    return frame(SETTINGS, 0, 0, number.to_bytes(2, "big") + value.to_bytes(4, "big"))


ODD = range(1, 4001, 2)
HTTP2 = {
    "nothing": b"",
    "half a preface": PREFACE[:11],
    "another preface": b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n",
    "a preface and no settings": PREFACE,
    "rapid resets": HELLO + b"".join(opened([n]) + frame(RESET, 0, n, b"\x00\x00\x00\x08") for n in ODD),
    "resets of requests with a message": HELLO
    + b"".join(opened([n]) + frame(DATA, 0, n, MESSAGE) + frame(RESET, 0, n, b"\x00\x00\x00\x08") for n in ODD[:500]),
    "resets of streams that never were": HELLO + b"".join(frame(RESET, 0, n, bytes(4)) for n in ODD),
    "continuations without end": HELLO
    + frame(HEADERS, 0, 1, HEAD)
    + b"".join(frame(CONTINUATION, 0, 1, literal("x-more", "y" * 100)) for _ in range(5000)),
    "empty continuations without end": HELLO + frame(HEADERS, 0, 1, HEAD) + frame(CONTINUATION, 0, 1) * 5000,
    "something else between continuations": HELLO + frame(HEADERS, 0, 1, HEAD) + frame(PING, 0, 0, bytes(8)),
    "a window of nothing": HELLO + setting(4, 0) + opened(ODD[:100]) + frame(DATA, END_STREAM, 1, MESSAGE),
    "a window beyond its end": HELLO + frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff") * 3,
    "window updates of nothing": HELLO + frame(WINDOW, 0, 0, bytes(4)) * 50,
    "settings without end": HELLO + setting(3, 100) * 5000,
    "settings that are none": HELLO + frame(SETTINGS, 0, 0, b"\x00\x04\x00"),
    "settings of a stream": HELLO + frame(SETTINGS, 0, 3),
    "a frame size beyond its end": HELLO + setting(5, 2**31 - 1),
    "a header table of four gigabytes": HELLO + setting(1, 2**32 - 1) + opened([1]),
    "pings without end": HELLO + frame(PING, 0, 0, bytes(8)) * 5000,
    "pings of a wrong length": HELLO + frame(PING, 0, 0, bytes(7)),
    "a frame that claims to be huge": HELLO + frame(DATA, 0, 1, b"x", length=2**24 - 1),
    "data without a stream": HELLO + frame(DATA, 0, 0, MESSAGE),
    "data before headers": HELLO + frame(DATA, 0, 1, MESSAGE),
    "a body without end": HELLO + opened([1]) + frame(DATA, 0, 1, b"\x00\xff\xff\xff\xff" + bytes(9000)),
    "a message longer than said": HELLO + opened([1]) + frame(DATA, END_STREAM, 1, b"\x00\x00\x00\x00\x01" + BODY),
    "a message shorter than said": HELLO + opened([1]) + frame(DATA, END_STREAM, 1, MESSAGE[:-1]),
    "a message compressed by nothing known": HELLO + opened([1]) + frame(DATA, END_STREAM, 1, b"\x07" + MESSAGE[1:]),
    "more padding than frame": HELLO + frame(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + HEAD[:50]),
    "a stream that depends on itself": HELLO
    + frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, b"\x00\x00\x00\x01\x10" + HEAD),
    "priorities without end": HELLO + b"".join(frame(PRIORITY, 0, n, b"\x00\x00\x00\x00\x10") for n in ODD),
    "streams of even numbers": HELLO + opened(range(2, 40, 2)),
    "streams that count down": HELLO + opened([9, 7, 5, 3, 1]),
    "a promise from a client": HELLO + frame(PUSH, END_HEADERS, 1, b"\x00\x00\x00\x02" + HEAD),
    "headers that cannot be unpacked": HELLO + opened([1], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x0f"),
    "an index of no header": HELLO + opened([1], b"\xfe"),
    "a header name in capitals": HELLO + opened([1], HEAD + literal("X-Loud", "y")),
    "two paths": HELLO + opened([1], HEAD + literal(":path", "/other")),
    "a path that is no text": HELLO + opened([1], HEAD.replace(b"/Export", b"/Exp\xa7rt")),
    "a header that is no text": HELLO + opened([1], HEAD + literal("x-odd", "y").replace(b"odd", b"o\xffd")),
    "no path": HELLO + opened([1], HEAD[:20]),
    "more headers than allowed": HELLO + opened([1], HEAD + literal("x-more", "y" * 100) * 1000),
    "more streams than allowed": HELLO + opened(ODD),
    "frames of unknown kinds": HELLO + frame(0xEE, 0xFF, 7, b"x" * 100) * 500,
    "a farewell and more": HELLO + frame(GOAWAY, 0, 0, bytes(8)) + opened(ODD[:50]),
    "an HTTP/1.1 request": b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
}

POST = b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\n"
SMUGGLED = POST + b"Content-Length: 2\r\n\r\n\x0a\x00"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HTTP1 = {
    "a length and chunks": POST + CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunks and a length": POST + b"Content-Length: 4\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
    "a list of lengths": POST + b"Content-Length: 0, %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
    "a length with a sign": POST + b"Content-Length: +2\r\n\r\n\x0a\x00",
    "a length in hex": POST + b"Content-Length: 0x2\r\n\r\n\x0a\x00",
    "a length beyond 64 bits": POST + b"Content-Length: 18446744073709551617\r\n\r\n\x0a\x00",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked and more": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked behind a tab": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a folded header": POST + b"X-Long: a\r\n b\r\nContent-Length: 2\r\n\r\n\x0a\x00",
    "a NUL in a header": POST + b"X-Nul: a\x00b\r\nContent-Length: 2\r\n\r\n\x0a\x00",
    "a lone CR in a header": POST + b"X-Cr: a\rContent-Length: 2\r\n\r\n\x0a\x00",
    "a chunk size with a sign": POST + CHUNKED + b"\r\n-2\r\n\x0a\x00\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": POST + CHUNKED + b"\r\n1ffffffffffffffff\r\n\x0a\x00\r\n0\r\n\r\n",
    "a chunk longer than it says": POST + CHUNKED + b"\r\n1\r\n\x0a\x00\r\n0\r\n\r\n",
    "a chunk extension of a megabyte": POST + CHUNKED + b"\r\n2;x=" + b"y" * 2**20 + b"\r\n\x0a\x00\r\n0\r\n\r\n",
    "a trailer of a megabyte": POST + CHUNKED + b"\r\n0\r\nX-T: " + b"y" * 2**20 + b"\r\n\r\n",
    "ten thousand headers": POST + b"X: y\r\n" * 10_000 + b"\r\n",
    "one header of a megabyte": POST + b"X: " + b"y" * 2**20 + b"\r\n\r\n",
    "a target of a megabyte": b"POST /" + b"y" * 2**20 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "an unknown version": b"POST /v1/traces HTTP/9.9\r\nHost: a\r\n\r\n",
    "no version": b"POST /v1/traces\r\n\r\n",
    "bytes": bytes(range(256)) * 40,
    "line feeds": b"\n" * 100_000,
}
STAYS_WHOLE = {
    "a folded header",
    "a NUL in a header",
    "a lone CR in a header",
    "an unknown version",
    "a chunk extension of a megabyte",
    "a trailer of a megabyte",
}
"""Odd, and at most read as the one request that it is."""


def attack(address: Address, bytes_sent: bytes, wait_s: float = 0.3) -> bytes:
    """Send and return what is answered until the server closes, or for a while."""
    answered = b""
    with socket.create_connection((address.host, address.port), timeout=wait_s) as hostile, suppress(OSError):
        hostile.settimeout(PATIENCE_S)
        hostile.sendall(bytes_sent)
        hostile.settimeout(wait_s)
        while chunk := hostile.recv(65536):
            answered += chunk
    return answered


def files_open() -> int:
    return psutil.Process().num_fds()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def test_whatever_frames_one_client_sends_others_are_served_and_nothing_stays_open(receive, connect) -> None:
    sink = MemorySink()
    _, endpoints = receive(sink, http_address=None, head_timeout_s=2)
    honest = connect("grpc", endpoints)
    assert honest.send(BODY).ok
    before = files_open()
    for name, bytes_sent in HTTP2.items():
        attack(endpoints.grpc, bytes_sent)
        begun = time.monotonic()
        assert honest.send(BODY).ok, name
        assert time.monotonic() - begun < PATIENCE_S / 2, name
        newcomer = connect("grpc", endpoints)
        assert newcomer.send(BODY).ok, name
        newcomer.close()
    wait_until(lambda: files_open() <= before + 3, "files stay open")
    assert set(sink.payloads) <= {BODY, b""}, "a message that nobody sent"


def test_no_request_is_smuggled_behind_another(receive, connect) -> None:
    """What two servers could read as two different requests is read by ours as one at most."""
    sink = MemorySink()
    _, endpoints = receive(sink, grpc_address=None, head_timeout_s=2)
    honest = connect("http-protobuf", endpoints)
    assert honest.send(BODY).ok
    before = files_open()
    for name, bytes_sent in HTTP1.items():
        sink.clear()
        answered = attack(endpoints.http, bytes_sent)
        assert answered.count(b"HTTP/1.1 200") <= (name in STAYS_WHOLE), (name, answered)
        assert len(sink.payloads) <= (name in STAYS_WHOLE), name
        assert honest.send(BODY).ok, name
    wait_until(lambda: files_open() <= before + 3, "files stay open")


def mutated(whole: bytes, seeds: Sequence[int]) -> Iterator[bytes]:
    for seed in seeds:
        rng = random.Random(seed)
        changed = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(changed))
            match rng.randrange(4):
                case 0:
                    changed[at] = rng.randrange(256)
                case 1:
                    changed[at:at] = rng.choice((b"\r\n", b"\x00", b":", b" ", b"\xff\xff", bytes(9)))
                case 2:
                    del changed[at : at + rng.randrange(1, 9)]
                case _:
                    changed[at:at] = changed[: rng.randrange(1, 60)]
        yield bytes(changed)


GRPC_CALL = HELLO + opened([1]) + frame(DATA, END_STREAM, 1, MESSAGE)
HTTP_CALL = POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY + POST + CHUNKED + b"\r\n2\r\n\x0a\x00\r\n0\r\n\r\n"


def bombard(endpoints: Endpoints, connect, calls: Sequence[int], progress: Progress) -> None:
    honest = [connect("grpc", endpoints), connect("http-protobuf", endpoints)]
    assert all(wire.send(BODY).ok for wire in honest)
    before = files_open()
    for address, call in ((endpoints.grpc, GRPC_CALL), (endpoints.http, HTTP_CALL)):
        assert address is not None
        for number, bytes_sent in zip(progress.through(calls, len(calls), "calls"), mutated(call, calls), strict=True):
            attack(address, bytes_sent, 0.01)
            if number % 50 == 0:
                assert all(wire.send(BODY).ok for wire in honest), f"after call {number}"
    assert all(wire.send(BODY).ok for wire in honest)
    wait_until(lambda: files_open() <= before + 3, "files stay open")


def test_calls_with_a_few_bytes_changed_cost_nobody_else_anything(receive, connect, progress: Progress) -> None:
    _, endpoints = receive(MemorySink(), head_timeout_s=2)
    bombard(endpoints, connect, range(150), progress)


@pytest.mark.soak
@pytest.mark.timeout(3 * 3600)
def test_a_hundred_thousand_calls_with_a_few_bytes_changed(receive, connect, progress: Progress) -> None:
    """Each number is a call to either listener."""
    _, endpoints = receive(MemorySink(), head_timeout_s=2)
    calls = asked("SPANVERDICT_CALLS", 0, 50_000)
    print("again:", again("tests/receiver -k thousand_calls", SPANVERDICT_CALLS=f"{calls.start}:{calls.stop}"))
    bombard(endpoints, connect, calls, progress)


@pytest.mark.parametrize("begun", [b"", PREFACE[:5], POST[:40]], ids=["silent", "half a preface", "half a head"])
def test_a_thousand_connections_that_say_nothing_keep_nobody_out_and_are_closed(receive, connect, begun: bytes) -> None:
    _, endpoints = receive(MemorySink(), head_timeout_s=3)
    honest = [connect("grpc", endpoints), connect("http-protobuf", endpoints)]
    assert all(wire.send(BODY).ok for wire in honest)
    before = files_open()
    with ExitStack() as stack:
        for number in range(SOCKETS):
            address = endpoints.grpc if number % 2 else endpoints.http
            idle = stack.enter_context(socket.create_connection((address.host, address.port), timeout=PATIENCE_S))
            idle.sendall(begun)
        started = time.monotonic()
        assert all(wire.send(BODY).ok for wire in honest)
        assert time.monotonic() - started < PATIENCE_S / 2
        # Ours and theirs are both counted while both are open: the server closes its half.
        wait_until(lambda: files_open() <= before + SOCKETS + 3, "the server keeps silent connections open")
        assert all(wire.send(BODY).ok for wire in honest)
    wait_until(lambda: files_open() <= before + 3, "files stay open")


def test_clients_that_vanish_in_the_middle_of_a_body_leave_nothing_behind(receive, connect) -> None:
    _, endpoints = receive(MemorySink(), body_timeout_s=3)
    honest = [connect("grpc", endpoints), connect("http-protobuf", endpoints)]
    assert all(wire.send(BODY).ok for wire in honest)
    before = files_open()
    half_http = POST + b"Content-Length: 1000000\r\n\r\n" + bytes(5000)
    half_grpc = HELLO + opened([1]) + frame(DATA, 0, 1, b"\x00\x00\x0f\x00\x00" + bytes(5000))
    for _ in range(50):
        for address, half in ((endpoints.http, half_http), (endpoints.grpc, half_grpc)):
            with socket.create_connection((address.host, address.port), timeout=PATIENCE_S) as vanishing:
                vanishing.sendall(half)
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                vanishing.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)  # a reset, no farewell
    assert all(wire.send(BODY).ok for wire in honest)
    wait_until(lambda: files_open() <= before + 3, "files stay open")
