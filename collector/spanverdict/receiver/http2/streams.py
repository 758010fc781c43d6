"""The requests of one connection and their answers, as the two sides of HTTP/2 see them (RFC 9113, 5.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from spanverdict.receiver.http2.frames import RST_STREAM, ConnectionFault, ErrorCode, StreamFault, frame
from spanverdict.receiver.http2.heads import Head
from spanverdict.receiver.http2.sending import Outlet, Sending


class Call(Protocol):
    """What becomes of a request. None of these raises anything; whatever is wrong is answered."""

    def feed(self, pieces: Sequence[memoryview]) -> None:
        """Copy what is to be kept of some pieces of the body: the buffer that they are in is used again."""

    def end(self) -> None:
        """Know that the request is here as a whole. Also said of one that is answered already."""

    def cancel(self) -> bool:
        """Nobody waits for an answer any more; return whether work goes on all the same, which `answer` then ends."""


class Stream:
    """Where a request came from and its answer goes. An answer that nobody waits for any more goes nowhere."""

    __slots__ = ("_streams", "call", "is_gone", "is_receiving", "outlet")

    call: Call

    def __init__(self, number: int, streams: Streams) -> None:
        self.outlet = Outlet(number, streams.sending.first_window)
        self.is_receiving = True
        """Whether the client may send more of its request."""
        self.is_gone = False
        """Whether nobody waits for the answer, or for more of it."""
        self._streams = streams

    def answer(self, head: bytes, body: bytes, trailers: bytes) -> None:
        """Answer with a body; `head` and `trailers` are header blocks."""
        if self.is_gone:
            self._streams.forget(self.outlet.number)
        else:
            self._streams.sending.answer(self.outlet, head, body, trailers)

    def answer_head(self, head: bytes) -> None:
        """Answer with a header block alone."""
        if self.is_gone:
            self._streams.forget(self.outlet.number)
        else:
            self._streams.sending.answer_head(self.outlet, head)

    def give_up(self) -> None:
        """Send no more of an answer that the client has no room for."""
        if not self.is_gone:
            self._streams.reset(self.outlet.number, ErrorCode.CANCEL)


OpenCall = Callable[[Stream, Head], Call]
"""Begins a call; it may be answered at once."""


class Streams:
    """The streams of one connection that are open, or that work goes on for. Clients open odd ones, in their order."""

    def __init__(
        self,
        most: int,
        send: Callable[[bytes], None],
        *,
        one_answered: Callable[[], None],
        none_left: Callable[[], None],
    ) -> None:
        self.sending = Sending(send, self._answered)
        self.last = 0
        """The highest that was opened."""
        self._most = most
        self._one_answered = one_answered
        self._none_left = none_left
        """Called whenever the last one has ended."""
        self._open: dict[int, Stream] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __getitem__(self, number: int) -> Stream | None:
        """Return a stream, unless it is over.

        Raises:
            ConnectionFault: there never was one.
        """
        stream = self._open.get(number)
        if stream is not None:
            return None if stream.is_gone else stream
        if number > self.last or not number % 2:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a frame of a stream that was never opened")
        return None

    def open(self, number: int) -> Stream:
        """Open a stream, or raise `StreamFault` where there are too many."""
        if len(self._open) >= self._most:
            raise StreamFault(ErrorCode.REFUSED_STREAM, "there are too many calls")
        self._open[number] = stream = Stream(number, self)
        return stream

    def resize(self, first_window: int) -> None:
        """Take note of the window that streams begin with."""
        self.sending.resize_streams(first_window, [stream.outlet for stream in self._open.values()])

    def reset(self, number: int, code: ErrorCode) -> None:
        """End one stream, whatever its state."""
        self.sending.send(frame(RST_STREAM, 0, number, code.to_bytes(4)))
        self.drop(number)

    def drop(self, number: int) -> None:
        """Wait for nothing more of a stream. It counts until work on it ends, or resets would be a way to have more."""
        stream = self._open.get(number)
        if stream is None or stream.is_gone:
            return
        self.sending.forget(number)
        stream.is_gone = True
        if not stream.call.cancel():
            self.forget(number)

    def forget(self, number: int) -> None:
        """Take note that work on a stream has ended that nobody waits for."""
        self._open.pop(number, None)
        if not self._open:
            self._none_left()

    def lose(self) -> None:
        """Wait for nothing more at all."""
        streams, self._open = self._open, {}
        for stream in streams.values():
            if not stream.is_gone:
                stream.is_gone = True
                stream.call.cancel()

    def _answered(self, number: int) -> None:
        stream = self._open[number]
        stream.is_gone = True
        if stream.is_receiving:  # and the rest of the request is of no use
            self.sending.send(frame(RST_STREAM, 0, number, ErrorCode.NO_ERROR.to_bytes(4)))
        self._one_answered()
        self.forget(number)
