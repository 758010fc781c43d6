"""OTLP/gRPC frame by frame: what published clients do not send, and when an answer comes."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import grpc
import hpack
import pytest
import trustme
from google.rpc.status_pb2 import Status

from receiver.http2_peers import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    HELLO,
    PING,
    RESET,
    SETTINGS,
    frame,
    setting,
)
from receiver.sinks import HeldSink, MemorySink, trace_request
from receiver.test_new_credentials import issue, trusting
from receiver.wires import GRPC_METHODS
from spanverdict.receiver import listen
from spanverdict.receiver.errors import Overloaded, TooLarge
from spanverdict.receiver.grpc_replies import refusal_head
from spanverdict.receiver.http2.hpack import literal
from spanverdict.receiver.status import refusal_of

PATIENCE_S = 10.0
MIB = 1024 * 1024
BODY = trace_request(3).SerializeToString()
OK, INVALID, DEADLINE, EXHAUSTED, UNIMPLEMENTED, UNAVAILABLE, UNAUTHENTICATED = 0, 3, 4, 8, 12, 14, 16


def head(
    *fields: tuple[bytes, bytes], path: bytes = GRPC_METHODS["traces"].encode(), media: bytes = b"application/grpc"
) -> bytes:
    named = [(b":path", path), (b"te", b"trailers"), (b"content-type", media), *fields]
    return b"\x83\x86" + b"".join(literal(*field) for field in named)


def message(body: bytes = BODY, *, flag: int = 0, size: int | None = None) -> bytes:
    return bytes([flag]) + (len(body) if size is None else size).to_bytes(4) + body


@dataclass
class Raw:
    """A client that sends frames as they are given, and reads what comes back."""

    socket: socket.socket
    fields: dict[int, dict[str, str]] = field(default_factory=dict)
    """Of answers, by stream; the reader of headers is an independent one."""
    resets: dict[int, int] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    bodies: dict[int, bytes] = field(default_factory=dict)
    others: list[int] = field(default_factory=list)
    is_closed: bool = False
    _rest: bytes = b""
    _decoder: hpack.Decoder = field(default_factory=hpack.Decoder)

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def call(self, stream: int, *parts: bytes, block: bytes | None = None) -> dict[str, str]:
        """Open a call, send the parts of its body, and wait for its end."""
        self.send(frame(HEADERS, END_HEADERS, stream, head() if block is None else block))
        for number, part in enumerate(parts, 1):
            self.send(frame(DATA, END_STREAM if number == len(parts) else 0, stream, part))
        return self.answer(stream)

    def answer(self, stream: int) -> dict[str, str]:
        self.until(lambda: stream in self.ended or stream in self.resets)
        return self.fields.get(stream, {})

    def until(self, reached: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not reached():
            assert not self.is_closed, "the server closed the connection"
            self.socket.settimeout(max(0.001, end - time.monotonic()))
            self._take()

    def closed(self) -> bool:
        """Wait for the end of the connection."""
        self.socket.settimeout(PATIENCE_S)
        while not self.is_closed:
            self._take()
        return True

    def _take(self) -> None:
        try:
            data = self.socket.recv(65_536)
        except ConnectionResetError:
            data = b""
        self.is_closed = not data
        self._rest += data
        while len(self._rest) >= 9 and len(self._rest) >= 9 + int.from_bytes(self._rest[:3]):
            size = int.from_bytes(self._rest[:3])
            self._heed(self._rest[3], self._rest[4], int.from_bytes(self._rest[5:9]), self._rest[9 : 9 + size])
            self._rest = self._rest[9 + size :]

    def _heed(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == HEADERS:
            self.fields.setdefault(stream, {}).update(self._decoder.decode(payload))
        elif kind == DATA:
            self.bodies[stream] = self.bodies.get(stream, b"") + payload
        elif kind == RESET:
            self.resets[stream] = int.from_bytes(payload)
        else:
            self.others.append(kind)
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.ended.add(stream)


@pytest.fixture
def raw() -> Iterator[Callable[..., Raw]]:
    with ExitStack() as stack:

        def connected(endpoints: listen.Endpoints, *more: bytes) -> Raw:
            address = endpoints.grpc
            assert address is not None
            client = Raw(
                stack.enter_context(socket.create_connection((address.host, address.port), timeout=PATIENCE_S))
            )
            client.send(HELLO, frame(SETTINGS, ACK, 0), *more)
            return client

        yield connected


@pytest.fixture(params=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event loop in turn."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="the optional event loop is not installed")
    else:
        monkeypatch.setattr(listen, "find_spec", lambda _name: None)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


@pytest.mark.parametrize("over_tls", [False, True], ids=["plain", "TLS"])
def test_messages_of_any_size_arrive_whole_on_either_event_loop(loop, receive, connect, tmp_path, over_tls) -> None:
    sink, authority = MemorySink(), trustme.CA()
    files = issue(authority, tmp_path)
    tls = {"tls_certificate": files.certificate, "tls_key": files.key} if over_tls else {}
    receiver, endpoints = receive(sink, **tls)
    wire = connect("grpc", endpoints, **(trusting(authority)["grpc"] if over_tls else {}))
    bodies = [trace_request(1, padding=size).SerializeToString() for size in (0, 10, 16_300, 16_400, 300_000, 3 * MIB)]
    for body in bodies:
        assert wire.send(body).ok
        assert wire.send(body, zipped=True).ok
    assert sink.payloads == [body for body in bodies for _ in range(2)]
    assert receiver.budget.in_use == 0


def test_a_stop_is_announced_and_what_runs_is_answered(loop, receive, raw) -> None:
    sink = HeldSink()
    receiver, endpoints = receive(sink)
    client = raw(endpoints, frame(HEADERS, END_HEADERS, 1, head()), frame(DATA, END_STREAM, 1, message()))
    sink.wait_for(1)
    stop = threading.Thread(target=receiver.stop, args=(PATIENCE_S,))
    stop.start()
    client.until(lambda: GOAWAY in client.others)
    client.send(frame(HEADERS, END_HEADERS, 3, head()))
    client.until(lambda: 3 in client.resets)
    assert client.resets[3] == 7, "refused, and not begun"
    sink.release()
    assert client.answer(1)["grpc-status"] == "0"
    assert client.closed()
    stop.join(PATIENCE_S)
    assert not stop.is_alive()


@pytest.mark.parametrize(
    ("block", "status", "http"),
    [
        (head(path=b"/no/such"), UNIMPLEMENTED, "200"),
        (head(path=b"/opentelemetry.proto.collector.trace.v1.TraceService/Exp\xa7rt"), UNIMPLEMENTED, "200"),
        (head((b"grpc-encoding", b"deflate")), UNIMPLEMENTED, "200"),
        (head((b"x", b"y" * 20_000)), EXHAUSTED, "200"),
        (head(media=b"application/grpc-web"), None, "415"),
        (head(media=b"application/json"), None, "415"),
        (b"\x82" + head()[1:], None, "405"),
    ],
    ids=["method", "no text", "encoding", "long head", "grpc-web", "JSON", "GET"],
)
def test_a_call_that_cannot_be_is_refused_by_its_head_alone(receive, raw, block, status, http) -> None:
    receiver, endpoints = receive(MemorySink())
    client = raw(endpoints, frame(HEADERS, END_HEADERS, 1, block))
    answer = client.answer(1)
    assert (answer[":status"], answer.get("grpc-status")) == (http, None if status is None else str(status))
    client.until(lambda: 1 in client.resets)
    assert client.resets[1] == 0, "nothing is wrong, only nothing more is needed"
    assert client.call(3, message())["grpc-status"] == "0"
    assert sum(receiver.counters.snapshot()["refused"]["grpc"].values()) == 1


def test_who_names_an_unknown_encoding_is_told_the_known_ones(receive, raw) -> None:
    _, endpoints = receive(MemorySink())
    assert (
        raw(endpoints).call(1, message(), block=head((b"grpc-encoding", b"zstd")))["grpc-accept-encoding"]
        == "identity,gzip"
    )


@pytest.mark.parametrize("media", [b"application/grpc", b"application/grpc+proto", b"application/grpc; charset=x"])
def test_the_media_types_of_grpc_are_taken(receive, raw, media: bytes) -> None:
    _, endpoints = receive(MemorySink())
    assert raw(endpoints).call(1, message(), block=head(media=media))["grpc-status"] == "0"


def test_a_wrong_token_is_refused_before_anything_is_sent(receive, raw) -> None:
    receiver, endpoints = receive(MemorySink(), bearer_tokens=("right",))
    client = raw(endpoints, frame(HEADERS, END_HEADERS, 1, head((b"authorization", b"Bearer wrong"))))
    assert client.answer(1)["grpc-status"] == str(UNAUTHENTICATED)
    assert client.call(3, message(), block=head((b"authorization", b"Bearer right")))["grpc-status"] == "0"
    assert receiver.budget.in_use == 0


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([b""], INVALID),
        ([b"\0\0"], INVALID),
        ([message()[:-1]], INVALID),
        ([message() + b"\0"], INVALID),
        ([message(), message()], INVALID),
        ([message(flag=7)], INVALID),
        ([message(gzip.compress(BODY), flag=1)], INVALID),
        ([message(b"", size=2 * MIB)], EXHAUSTED),
        ([message(b"\xff")], INVALID),
        ([message(), b""], OK),
        ([bytes([byte]) for byte in message()], OK),
        ([message(b"")], OK),
    ],
    ids=[
        "none", "half a prefix", "too short", "too long", "two", "no flag", "compressed somehow", "larger than allowed", "no protobuf",
        "an end apart", "byte by byte", "empty",
    ],
)  # fmt: skip
def test_a_call_has_exactly_one_message(receive, raw, parts, status) -> None:
    sink = MemorySink()
    receiver, endpoints = receive(sink, max_message_bytes=MIB)
    client = raw(endpoints)
    answer = client.call(1, *parts)
    assert int(answer["grpc-status"]) == status
    assert (client.bodies.get(1) == bytes(5)) == (status == OK)
    assert receiver.budget.in_use == 0
    assert "google.rpc.retryinfo-bin" not in answer


def test_bytes_count_as_they_come_and_not_only_when_a_message_is_whole(receive, raw, connect) -> None:
    most = 4 * MIB + 256 * 1024  # room for two messages of whatever capacity they grow to, and not for three
    receiver, endpoints = receive(MemorySink(), in_flight_bytes=most, max_message_bytes=2 * MIB, body_timeout_s=30)
    client = raw(endpoints)
    for stream in (1, 3, 5):
        client.send(frame(HEADERS, END_HEADERS, stream, head()), frame(DATA, 0, stream, message(b"", size=2 * MIB)))
    wait_until(lambda: receiver.budget.in_use > 0, "nothing counts")
    assert receiver.budget.in_use < 3 * 70_000, "what was announced counts, though it did not come"
    for stream in (1, 3):
        client.send(*[frame(DATA, 0, stream, bytes(16_384))] * 100)
    wait_until(lambda: receiver.budget.in_use > 3 * MIB, "what has come does not count")
    client.send(*[frame(DATA, 0, 5, bytes(16_384))] * 100)
    answer = client.answer(5)
    assert answer["grpc-status"] == str(UNAVAILABLE)
    assert "google.rpc.retryinfo-bin" in answer
    assert receiver.budget.in_use <= most
    client.socket.close()
    wait_until(lambda: receiver.budget.in_use == 0, "bytes of a client that is gone still count")
    assert connect("grpc", endpoints).send(BODY).ok


@pytest.mark.parametrize("sent", [b"", message()[:-1]], ids=["nothing", "half a message"])
def test_a_callers_deadline_holds_while_its_message_comes(receive, raw, sent: bytes) -> None:
    _, endpoints = receive(MemorySink())
    client = raw(endpoints, frame(HEADERS, END_HEADERS, 1, head((b"grpc-timeout", b"100m"))), frame(DATA, 0, 1, sent))
    assert client.answer(1)["grpc-status"] == str(DEADLINE)


def test_a_callers_deadline_holds_while_it_waits_for_the_commit(receive, raw) -> None:
    sink = HeldSink()
    receiver, endpoints = receive(sink)
    client = raw(endpoints)
    assert client.call(1, message(), block=head((b"grpc-timeout", b"300000u")))["grpc-status"] == str(DEADLINE)
    assert receiver.budget.in_use > 0
    sink.wait_for(1)
    sink.release()
    wait_until(lambda: receiver.budget.in_use == 0, "what is committed still counts")


def test_an_answer_that_a_client_has_no_room_for_is_given_up(receive, raw) -> None:
    _, endpoints = receive(MemorySink(), body_timeout_s=0.5)
    client = raw(endpoints, setting(4, 0))
    client.call(1, message())
    client.until(lambda: 1 in client.resets)
    assert client.resets[1] == 8


def test_a_head_that_is_never_finished_ends_its_connection(receive, raw) -> None:
    _, endpoints = receive(MemorySink(), head_timeout_s=0.4)
    begun = raw(endpoints, frame(HEADERS, 0, 1, head()))
    halved = raw(endpoints, frame(HEADERS, END_HEADERS, 1, head())[:20])
    assert begun.closed()
    assert halved.closed()


def test_a_silent_client_is_asked_whether_it_is_there(receive, raw) -> None:
    _, endpoints = receive(MemorySink(), idle_timeout_s=0.4, head_timeout_s=0.6)
    answering, vanished = raw(endpoints), raw(endpoints)
    for _ in range(3):
        answering.until(lambda: PING in answering.others)
        answering.others.clear()
        answering.send(frame(PING, ACK, 0, bytes(8)))
    assert vanished.closed()
    assert PING in vanished.others
    assert answering.call(1, message())["grpc-status"] == "0"


def test_connections_above_the_limit_are_closed(receive, raw) -> None:
    _, endpoints = receive(MemorySink(), max_connections=2)
    first, second = raw(endpoints), raw(endpoints)
    assert first.call(1, message())["grpc-status"] == "0"
    assert second.call(1, message())["grpc-status"] == "0"
    with pytest.raises((AssertionError, OSError)):
        raw(endpoints).call(1, message())
    assert first.call(3, message())["grpc-status"] == "0"


def test_http2_is_agreed_on_over_tls(receive, tmp_path) -> None:
    authority = trustme.CA()
    files = issue(authority, tmp_path)
    _, endpoints = receive(MemorySink(), tls_certificate=files.certificate, tls_key=files.key)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    for address, agreed in ((endpoints.grpc, "h2"), (endpoints.http, None)):
        with (
            socket.create_connection((address.host, address.port), timeout=PATIENCE_S) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            assert connection.selected_alpn_protocol() == agreed


def test_a_status_is_written_so_that_clients_read_it() -> None:
    fields = dict(hpack.Decoder().decode(refusal_head(refusal_of(TooLarge("50 % é\n\N{SNOWMAN}")))))
    assert fields["grpc-message"] == "50 %25 %C3%A9%EF%BF%BD%E2%98%83"
    assert fields["grpc-status"] == str(EXHAUSTED)
    assert "google.rpc.retryinfo-bin" not in fields


def test_the_longest_status_fits_one_frame() -> None:
    block = refusal_head(refusal_of(Overloaded(3.0, "\N{GRINNING FACE}" * 1000)))
    assert len(block) < 16_384


def test_details_reach_published_clients(receive, connect) -> None:
    _, endpoints = receive(MemorySink())
    with pytest.raises(grpc.RpcError) as refused:
        connect("grpc", endpoints).method()(b"\xff", timeout=PATIENCE_S)
    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    assert Status.FromString(details).code == INVALID
    assert refused.value.details() == Status.FromString(details).message
