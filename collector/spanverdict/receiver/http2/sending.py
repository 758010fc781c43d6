"""What goes out, within the windows that the peer opens (RFC 9113, 5.2 and 6.9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from spanverdict.receiver.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    NUMBER,
    ConnectionFault,
    ErrorCode,
    StreamFault,
    frame,
)

FIRST_WINDOW: Final = 65535
_FRAME_BYTES: Final = 16384
"""Every peer takes frames of this size, and no answer is long enough for larger ones to matter."""


class Outlet:
    """An answer's way out of one stream. `window` is what the peer will take of it now."""

    __slots__ = ("_rest", "_trailers", "number", "window")

    def __init__(self, number: int, window: int) -> None:
        self.number = number
        self.window = window
        self._rest = b""
        self._trailers = b""

    def give(self, body: bytes, trailers: bytes) -> None:
        """Have a body and a block of trailers to send."""
        self._rest, self._trailers = body, trailers

    def flow(self, window: int) -> tuple[list[bytes], int, bool]:
        """Return the frames that may be sent now, what of the window they take, and whether they are the last."""
        frames = []
        taken = 0
        while self._rest and (size := min(len(self._rest), self.window, window - taken, _FRAME_BYTES)) > 0:
            frames.append(frame(DATA, 0, self.number, self._rest[:size]))
            self._rest = self._rest[size:]
            self.window -= size
            taken += size
        if not self._rest:
            frames.append(frame(HEADERS, END_HEADERS | END_STREAM, self.number, self._trailers))
        return frames, taken, not self._rest


class Sending:
    """The sending half of a connection: answers wait here until the peer has room for them."""

    def __init__(self, send: Callable[[bytes], None], ended: Callable[[int], None]) -> None:
        self.send = send
        self._ended = ended
        """Called with the number of a stream whose answer is out."""
        self._window = FIRST_WINDOW
        self.first_window = FIRST_WINDOW
        """What streams begin with."""
        self._waiting: dict[int, Outlet] = {}

    def answer(self, outlet: Outlet, head: bytes, body: bytes, trailers: bytes) -> None:
        """Send an answer, or as much of it as may be sent now. Head and trailers are header blocks."""
        outlet.give(body, trailers)
        self._flow(outlet, frame(HEADERS, END_HEADERS, outlet.number, head))

    def answer_head(self, outlet: Outlet, head: bytes) -> None:
        """Send an answer that is over with its head."""
        self.send(frame(HEADERS, END_HEADERS | END_STREAM, outlet.number, head))
        self._ended(outlet.number)

    def forget(self, number: int) -> None:
        """Send no more of a stream."""
        self._waiting.pop(number, None)

    def widen(self, by: int) -> None:
        """Take note of more room on the connection, or raise `ConnectionFault`."""
        self._window += by
        if self._window > NUMBER:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window is too large")
        self._flow_all()

    def widen_stream(self, outlet: Outlet, by: int) -> None:
        """Take note of more room on one stream, or raise `StreamFault`."""
        outlet.window += by
        if outlet.window > NUMBER:
            raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR, "the stream's window is too large")
        if outlet.number in self._waiting:
            self._flow(outlet)

    def resize_streams(self, first_window: int, outlets: list[Outlet]) -> None:
        """Take note of another window that streams begin with; those that are open change by as much."""
        by, self.first_window = first_window - self.first_window, first_window
        for outlet in outlets:
            outlet.window += by
            if outlet.window > NUMBER:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a stream's window is too large")
        self._flow_all()

    def _flow_all(self) -> None:
        for outlet in list(self._waiting.values()):
            self._flow(outlet)

    def _flow(self, outlet: Outlet, head: bytes = b"") -> None:
        frames, taken, is_over = outlet.flow(self._window)
        self._window -= taken
        if head or frames:
            self.send(b"".join((head, *frames)))
        if is_over:
            self._waiting.pop(outlet.number, None)
            self._ended(outlet.number)
        else:
            self._waiting[outlet.number] = outlet
