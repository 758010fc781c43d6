"""One connection of HTTP/1.1, without its socket: bytes go in, calls are made, bytes come out (RFC 9112)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Final, Protocol

from spanverdict.receiver.errors import Overloaded
from spanverdict.receiver.http1.chunks import ChunkReader
from spanverdict.receiver.http1.dates import date
from spanverdict.receiver.http1.heads import Head, HeadReader, Malformed, TooLong
from spanverdict.receiver.limits import Lease

READ_BYTES: Final = 256 * 1024
_HEAD_READ_BYTES: Final = 64 * 1024
"""What is read at once where a head may come: small requests in one piece."""
_NARROW_READ_BYTES: Final = 8 * 1024
"""The same, of a client whose bodies are long: what comes with the head is copied, and what follows is not."""
_LONG: Final = 32 * 1024
"""What is missing of a body is read to where it stays, from so much on."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
_NO_BODY: Final = b"HEAD"

_LOGGER = logging.getLogger(__name__)


class Call(Protocol):
    """What becomes of a request. None of these raises anything; whatever is wrong is answered."""

    def room(self, most: int) -> memoryview | None:
        """Lend memory for what comes next of the body, at most so much; None to be fed it instead."""

    def took(self, count: int) -> None:
        """Take note of bytes that were put where there was room."""

    def feed(self, pieces: Sequence[memoryview]) -> None:
        """Copy what is to be kept of some pieces of the body: the buffer that they are in is used again."""

    def end(self) -> None:
        """Know that the body is here as a whole, and that nothing refers to memory that was lent."""

    def cancel(self) -> None:
        """Nobody waits for an answer any more."""


class Answer(Protocol):
    """Takes the answer to a request, once: a status, lines of headers, and a body."""

    def __call__(self, status: int, fields: bytes, body: bytes, *, closes: bool = False) -> None:
        """Send it; with `closes` it is the last one of its connection."""


OpenCall = Callable[[Answer, Head, int], Call]
"""Begins a call with the length of its body, as far as it is known; it may be answered at once."""


class Phase(Enum):
    """What a connection waits for."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    REST = auto()
    """Of a body whose request is answered."""
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Wiring:
    """How a connection reaches its socket."""

    send: Callable[[bytes], object]
    close: Callable[[bool], None]
    """Called once; whether the client may still be sending, which it is better let do until it has read the answer."""
    hold: Callable[[bool], None]
    """Whether to read nothing for now."""
    lease: Lease
    """For what comes before it is wanted."""


class Connection:
    """The server's side of a connection. Not for several threads at once. Whatever a client sends, nothing is raised.

    Give what comes into the memory of `room`, say so to `took`, and call `proceed` afterwards, when nothing refers to
    that memory any more, where `is_due`.
    """

    def __init__(
        self,
        open_call: OpenCall,
        refuse: Callable[[Answer, Malformed | TooLong], None],
        wiring: Wiring,
        buffer: bytearray,
        head_bytes: int,
    ) -> None:
        self._open_call = open_call
        self._refuse = refuse
        """Answers what is no request."""
        self._wiring = wiring
        self._buffer = buffer
        """Shared by all connections: what is read into it is taken in before the next one reads."""
        self._view = memoryview(buffer)
        self._heads = HeadReader(head_bytes)
        self._head: Head | None = None
        self._call: Call | None = None
        self._chunks: ChunkReader | None = None
        self._left = 0
        """Of a body whose length is known."""
        self._rest = bytearray()
        """Begin of a head, or what came behind a request that is not answered."""
        self._is_lent = self._is_reading = self._is_held = self._is_leaving = False
        self._width = _HEAD_READ_BYTES
        self.phase = Phase.HEAD
        self.answered = 0
        """Requests so far."""
        self.is_due = False
        """Whether `proceed` has to be called."""

    @property
    def is_within_a_head(self) -> bool:
        """Whether a head has begun and is not over."""
        return self.phase is Phase.HEAD and bool(self._rest)

    def room(self) -> memoryview:
        """Lend memory for what comes next."""
        self._is_lent = False
        if self.phase is Phase.BODY and self._chunks is None:
            if self._left >= _LONG and self._call is not None:
                lent = self._call.room(min(self._left, READ_BYTES))
                if lent is not None:
                    self._is_lent = True
                    return lent
            if self._left:
                return self._view[: self._left]
        return self._view[: self._width] if self.phase is Phase.HEAD else self._view

    def took(self, count: int) -> None:
        """Take in what came."""
        if self._is_lent:
            assert self._call is not None
            self._call.took(count)
            self._left -= count
            self.is_due = not self._left
        elif self.phase is Phase.HEAD and self._rest:
            self._rest += self._view[:count]
            data, self._rest = self._rest, bytearray()
            self._read(data, len(data))
        else:
            self._read(self._buffer, count)

    def proceed(self) -> None:
        """Hand over a body that came to where it stays."""
        self.is_due = False
        if self.phase is Phase.BODY:
            self._body_ended()

    def answer(self, status: int, fields: bytes, body: bytes, *, closes: bool = False) -> None:
        """Answer the request that is here, and go on to the next one."""
        if self.phase is Phase.NOTHING:
            return
        is_over = self.phase is Phase.ANSWER or (self.phase is Phase.BODY and not (self._left or self._chunks))
        closes = closes or self._is_leaving or not self._can_go_on(is_over=is_over)
        without_body = self._head is not None and self._head.method == _NO_BODY
        self._wiring.send(
            b"HTTP/1.1 %d %b\r\n%bdate: %b\r\n%bcontent-length: %d\r\n\r\n%b"
            % (
                status, _PHRASES[status], fields, date(int(time.time())), b"connection: close\r\n" if closes else b"",
                len(body), b"" if without_body else body,
            )
        )  # fmt: skip
        self.answered += 1
        self._call = self._head = self._chunks = None
        if closes:
            self._finish(lingers=not is_over)
            return
        self.phase = Phase.REST if self._left else Phase.HEAD
        if not self._is_reading:
            self._go_on()

    def drain(self) -> None:
        """Take no more requests; close when the one that is here is answered."""
        self._is_leaving = True
        if self.phase is Phase.HEAD and not self._rest:
            self._finish(lingers=False)

    def lose(self) -> None:
        """Let the call go: nobody is there any more."""
        call, self._call, self.phase = self._call, None, Phase.NOTHING
        self._rest = bytearray()
        self._wiring.lease.release()
        if call is not None:
            call.cancel()

    def _can_go_on(self, *, is_over: bool) -> bool:
        """Whether another request may follow the one that is answered now."""
        head = self._head
        if head is None or not head.keeps:
            return False
        # Who waits to be told that a body is welcome may send it or not, and a rest in chunks has no known end.
        return is_over or not (head.is_chunked or head.expects)

    def _go_on(self) -> None:
        """Read what came while the request was answered."""
        rest, self._rest = self._rest, bytearray()
        if rest:
            self._wiring.lease.release()
            self._read(rest, len(rest))
        if self._is_held and self.phase is not Phase.ANSWER:
            self._hold(holds=False)

    def _hold(self, *, holds: bool) -> None:
        self._is_held = holds
        self._wiring.hold(holds)

    def _read(self, data: bytearray, end: int) -> None:
        """Take in the begin of some bytes, of any number of requests."""
        self._is_reading = True
        try:
            at = 0
            while at < end:
                at = self._step(data, at, end)
        except (Malformed, TooLong) as fault:
            self._refused(fault)
        except Exception:
            _LOGGER.exception("a connection failed")
            self._finish(lingers=False)
        finally:
            self._is_reading = False

    def _step(self, data: bytearray, at: int, end: int) -> int:
        """Take in what is wanted next, and return what comes behind it."""
        if self.phase is Phase.HEAD:
            return self._read_head(data, at, end)
        if self.phase is Phase.BODY:
            return self._read_body(data, at, end)
        if self.phase is Phase.REST:
            skipped = min(self._left, end - at)
            self._left -= skipped
            if not self._left:
                self.phase = Phase.HEAD
            return at + skipped
        if self.phase is Phase.ANSWER:
            self._keep(memoryview(data)[at:end])
        return end

    def _keep(self, data: memoryview) -> None:
        """Keep what comes behind a request that is not answered, and read no more of it."""
        try:
            self._wiring.lease.grow(len(data))
        except Overloaded:
            self._is_leaving = True
        else:
            self._rest += data
        if not self._is_held:
            self._hold(holds=True)

    def _read_head(self, data: bytearray, at: int, end: int) -> int:
        found = self._heads.read(data, at, end)
        if found is None:
            self._rest = data[at:end]
            return end
        head, length, at = found
        self._head, self._left = head, length
        self._width = _NARROW_READ_BYTES if length > _HEAD_READ_BYTES else _HEAD_READ_BYTES
        self._chunks = ChunkReader() if head.is_chunked else None
        self.phase = Phase.BODY
        call = self._open_call(self.answer, head, length)
        if self.phase is not Phase.BODY:
            return at
        self._call = call
        if not (length or head.is_chunked):
            self._body_ended()
        elif head.expects and at == end:
            self._wiring.send(_CONTINUE)
        return at

    def _read_body(self, data: bytearray, at: int, end: int) -> int:
        assert self._call is not None
        view = memoryview(data)[at:end]
        if self._chunks is not None:
            chunks = self._chunks
            pieces, taken = chunks.read(view)
            is_whole = chunks.is_over
        else:
            taken = min(self._left, end - at)
            self._left -= taken
            pieces, is_whole = [view[:taken]], not self._left
        self._call.feed(pieces)
        if is_whole and self.phase is Phase.BODY:
            self._body_ended()
        return at + taken

    def _body_ended(self) -> None:
        assert self._call is not None
        self.phase = Phase.ANSWER
        self._call.end()

    def _refused(self, fault: Malformed | TooLong) -> None:
        """Answer what is no request, as nobody can tell where the next one begins."""
        call, self._call, self._head = self._call, None, None
        if call is not None:
            call.cancel()
        self._refuse(self.answer, fault)

    def _finish(self, *, lingers: bool) -> None:
        if self.phase is not Phase.NOTHING:
            self.lose()
            self._wiring.close(lingers)
