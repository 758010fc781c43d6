"""What stands in for both ends of a connection of HTTP/1.1: calls that keep what they get, and a client's bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from spanverdict.receiver.http1.connection import READ_BYTES, Answer, Connection, Wiring
from spanverdict.receiver.http1.heads import Head, Malformed, TooLong
from spanverdict.receiver.incoming import IncomingBytes
from spanverdict.receiver.limits import ByteBudget

HEAD_BYTES = 4096
MOST = 1 << 22


class RecordedCall:
    """Keeps the body of a request, in memory that it lends, or is fed."""

    def __init__(self, peer: Peer, answer: Answer, head: Head, length: int) -> None:
        self.peer, self.answer, self.head, self.length = peer, answer, head, length
        size = MOST if head.is_chunked else length
        self._content = IncomingBytes(size, peer.budget.lease(), is_exact=not head.is_chunked)
        self.body = b""
        self.said: list[str] = []

    def room(self, most: int) -> memoryview | None:
        return self._content.room(most) if self.peer.lends else None

    def took(self, count: int) -> None:
        self._content.took(count)

    def feed(self, pieces: Sequence[memoryview]) -> None:
        assert not self.said
        self._content.add(pieces)

    def end(self) -> None:
        assert not self.said
        self.said.append("end")
        self.body = self._content.whole()
        if self.peer.answers:
            self.answer(200, b"", b"ok")

    def cancel(self) -> None:
        assert "cancel" not in self.said
        self.said.append("cancel")


@dataclass
class Peer:
    """A server's side of one connection, with what it sent and the calls that it made."""

    answers: bool = True
    """At once."""
    lends: bool = True
    refuses: int | None = None
    """A status that all requests get before their body comes."""
    budget: ByteBudget = field(default_factory=lambda: ByteBudget(1 << 30))
    calls: list[RecordedCall] = field(default_factory=list)
    sent: bytearray = field(default_factory=bytearray)
    faults: list[Exception] = field(default_factory=list)
    closed: list[bool] = field(default_factory=list)
    """Whether it lingered."""
    is_held: bool = False

    def __post_init__(self) -> None:
        self.kept = self.budget.lease()
        self._buffer = bytearray(READ_BYTES)
        self._unread: deque[bytes] = deque()
        wiring = Wiring(self._send, self.closed.append, self._hold, self.kept)
        self.connection = Connection(self._open, self._refuse, wiring, self._buffer, HEAD_BYTES)

    def take(self, data: bytes) -> bytes:
        """Give it bytes, as far as it reads; return what it sends for them."""
        before = len(self.sent)
        self._unread.append(data)
        while self._unread and not self.is_held and not self.closed:
            rest = self._unread.popleft()
            room = self.connection.room()
            assert len(room) > 0
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            if count < len(rest):
                self._unread.appendleft(rest[count:])
            self.connection.took(count)
            del room
            if self.connection.is_due:
                self.connection.proceed()
            self._buffer[:count] = b"?" * count
        return bytes(self.sent[before:])

    @property
    def requests(self) -> list[tuple[bytes, bytes, bytes]]:
        """Method, path and body of those that are whole."""
        return [(call.head.method, call.head.path, call.body) for call in self.calls if "end" in call.said]

    def _send(self, data: bytes) -> None:
        assert not self.closed, "sent behind the end"
        self.sent += data

    def _hold(self, holds: bool) -> None:
        assert holds != self.is_held
        self.is_held = holds

    def _open(self, answer: Answer, head: Head, length: int) -> RecordedCall:
        call = RecordedCall(self, answer, head, length)
        self.calls.append(call)
        if self.refuses is not None:
            call.said.append("refused")
            answer(self.refuses, b"", b"no")
        return call

    def _refuse(self, answer: Answer, fault: Malformed | TooLong) -> None:
        self.faults.append(fault)
        answer(431 if isinstance(fault, TooLong) else 400, b"", b"")
