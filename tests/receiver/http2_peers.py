"""What stands in for both ends of a connection of HTTP/2: calls that keep what they get, and frames made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from spanverdict.receiver.http2.connection import Connection, Limits
from spanverdict.receiver.http2.frames import FrameReader, frame
from spanverdict.receiver.http2.heads import Head
from spanverdict.receiver.http2.hpack import literal
from spanverdict.receiver.http2.streams import Stream

DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY, ACK = 1, 4, 8, 32, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HELLO = PREFACE + frame(SETTINGS, 0, 0)
HEAD = b"\x83\x86" + literal(b":path", b"/a") + literal(b"te", b"trailers")
STATUS = b"\x88"
ENDED = literal(b"grpc-status", b"0")


class RecordedCall:
    """Keeps the pieces of a request, in memory that is its own, and what else was said."""

    def __init__(self, peer: Peer, stream: Stream, head: Head) -> None:
        self.peer, self.stream, self.head = peer, stream, head
        self.pieces: list[bytes] = []
        self.said: list[str] = []

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def feed(self, pieces: Sequence[memoryview]) -> None:
        assert "end" not in self.said
        assert "cancel" not in self.said
        self.pieces += map(bytes, pieces)

    def end(self) -> None:
        assert not self.said
        self.said.append("end")
        if self.peer.echoes:
            self.stream.answer(STATUS, self.body, ENDED)

    def cancel(self) -> bool:
        assert "cancel" not in self.said
        self.said.append("cancel")
        return self.peer.works_on and "end" in self.said


@dataclass
class Peer:
    """A server's side of one connection, with what it sent and the calls that it made."""

    echoes: bool = True
    """Answer each request with its body."""
    works_on: bool = False
    """Go on with calls that nobody waits for."""
    limits: Limits = field(default_factory=lambda: Limits(header_bytes=16_384, streams=100))
    calls: dict[int, RecordedCall] = field(default_factory=dict)
    sent: bytearray = field(default_factory=bytearray)
    is_closed: bool = False

    def __post_init__(self) -> None:
        self.now = 0.0
        self.connection = Connection(self._open, self.limits, self._send, self._close, lambda: self.now)
        self.connection.greet()

    def _send(self, data: bytes) -> None:
        assert not self.is_closed, "sent behind the end"
        self.sent += data

    def _open(self, stream: Stream, head: Head) -> RecordedCall:
        call = self.calls[stream.outlet.number] = RecordedCall(self, stream, head)
        return call

    def _close(self) -> None:
        assert not self.is_closed, "closed twice"
        self.is_closed = True

    def take(self, data: bytes) -> list[tuple[int, int, int, bytes]]:
        """Give it bytes in memory that is then used for something else; return the frames that are sent for them."""
        before, buffer = len(self.sent), bytearray(data)
        self.connection.receive(memoryview(buffer))
        buffer[:] = b"?" * len(buffer)
        return frames_of(bytes(self.sent[before:]))


def frames_of(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Read frames that are whole."""
    reader = FrameReader(2**24, 2**24)
    reader._preface = b""
    frames = [
        (kind, flags, stream, bytes(piece))
        for kind, flags, stream, pieces in reader.read(memoryview(data))
        for piece in pieces or (b"",)
    ]
    assert not reader.is_within_a_frame
    return frames


def opened(stream: int, *, ends: bool = False, head: bytes = HEAD) -> bytes:
    return frame(HEADERS, END_HEADERS | (END_STREAM if ends else 0), stream, head)


def setting(number: int, value: int) -> bytes:
    return frame(SETTINGS, 0, 0, number.to_bytes(2) + value.to_bytes(4))
