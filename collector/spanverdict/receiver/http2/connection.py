"""One connection of HTTP/2, without its socket: bytes go in, calls are made, bytes come out (RFC 9113)."""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from spanverdict.receiver.http2 import frames, settings
from spanverdict.receiver.http2.blocks import PACKED_TIMES, HeaderBlocks
from spanverdict.receiver.http2.frames import ConnectionFault, ErrorCode, StreamFault, check_size, check_stream, frame
from spanverdict.receiver.http2.patience import Patience
from spanverdict.receiver.http2.sending import FIRST_WINDOW
from spanverdict.receiver.http2.streams import OpenCall, Streams

WINDOW: Final = frames.NUMBER
"""What clients may send without waiting for us: all that the protocol allows. The budget bounds what is kept of it."""
DATA_FRAME_BYTES: Final = 1024 * 1024
_ANY_FRAME_BYTES: Final = 16_384
"""Frames of any kind may be so long."""
_RESET_COST: Final = 4.0
_SETTINGS_AT_A_PRICE: Final = 60
"""Bytes of settings that cost as much as another frame."""
_FAREWELL_BYTES: Final = 8

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may ask for."""

    header_bytes: int
    """Of a request's head as it unpacks; more is for the call to refuse."""
    streams: int
    """Calls at a time."""


class Connection:
    """The server's side of a connection. Not for several threads at once.

    Whatever a client sends, nothing is raised: it ends its stream or its connection, as the RFC says, and no other.
    """

    def __init__(
        self,
        open_call: OpenCall,
        limits: Limits,
        send: Callable[[bytes], None],
        close: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_call = open_call
        self._limits = limits
        self._close = close
        """Called once, when all that is to be sent was given to `send`."""
        self._send = send
        self._patience = Patience(clock)
        self._streams = Streams(limits.streams, send, one_answered=self._patience.earn, none_left=self._close_if_done)
        self._frames = frames.FrameReader(DATA_FRAME_BYTES, max(_ANY_FRAME_BYTES, PACKED_TIMES * limits.header_bytes))
        self._blocks = HeaderBlocks(limits.header_bytes)
        self._due: int | None = frames.SETTINGS
        """The kind of frame that must come next."""
        self._granted = FIRST_WINDOW
        """Bytes that the client may have sent in all."""
        self._is_leaving = False
        self.is_over = False

    @property
    def owes(self) -> bool:
        """Whether the client began something other than data and has not ended it."""
        return self._due is not None or self._frames.is_within_a_frame

    def greet(self) -> None:
        """Say what we take."""
        limits = {
            settings.MAX_STREAMS: self._limits.streams,
            settings.FIRST_WINDOW: WINDOW,
            settings.MAX_FRAME: DATA_FRAME_BYTES,
            settings.MAX_HEADERS: self._limits.header_bytes,
        }
        self._send(settings.written(limits))
        self._grant()

    def receive(self, data: memoryview) -> None:
        """Take what came. The memory is the caller's again afterwards."""
        if self.is_over:
            return
        try:
            self._read(data)
        except ConnectionFault as fault:
            self.end(fault.code, str(fault))
        except Exception:
            _LOGGER.exception("a connection failed")
            self.end(ErrorCode.INTERNAL_ERROR, "internal error")

    def ping(self) -> None:
        """Ask whether anybody is there."""
        self._send(frame(frames.PING, 0, 0, bytes(8)))

    def drain(self) -> None:
        """Take no more requests; close when those that are here are answered."""
        if not (self._is_leaving or self.is_over):
            self._send(self._goodbye(ErrorCode.NO_ERROR, ""))
        self._is_leaving = True
        self._close_if_done()

    def end(self, code: ErrorCode, message: str) -> None:
        """Say why, close, and let all calls go."""
        if not self.is_over:
            self._send(self._goodbye(code, message))
        self._finish()

    def lose(self) -> None:
        """Let all calls go: nobody is there any more."""
        self.is_over = True
        self._streams.lose()

    def _read(self, data: memoryview) -> None:
        for kind, flags, number, pieces in self._frames.read(data):
            if kind == frames.DATA and self._due is None:
                self._data(flags, number, pieces)
            else:
                self._other(kind, flags, number, pieces)
            if self.is_over:
                return
        if self._frames.small:
            self._patience.spend(self._frames.small)
            self._frames.small = 0
        self._grant()

    def _data(self, flags: int, number: int, pieces: Sequence[memoryview]) -> None:
        ends = flags & frames.END_STREAM
        stream = self._streams[number]
        if stream is None:
            return
        if not stream.is_receiving:
            self._streams.reset(number, ErrorCode.STREAM_CLOSED)
            return
        call = stream.call
        stream.is_receiving = not ends
        if pieces:
            call.feed(pieces)
        if ends:
            call.end()

    def _other(self, kind: int, flags: int, number: int, pieces: Sequence[memoryview]) -> None:
        if self._due is not None and kind != self._due:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a frame comes where another must")
        handle = self._HANDLERS.get(kind)
        if handle is None:
            self._patience.spend()  # a kind of frame that others know
            return
        try:
            handle(self, flags, number, pieces[0])
        except StreamFault as fault:
            self._patience.spend(_RESET_COST)
            self._streams.reset(number, fault.code)

    def _on_headers(self, flags: int, number: int, payload: memoryview) -> None:
        if not number % 2:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "headers of a stream that a client cannot open")
        self._block_came(is_whole=self._blocks.begin(flags, number, payload))

    def _on_continuation(self, flags: int, number: int, payload: memoryview) -> None:
        if self._due is None:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "headers go on that did not begin")
        self._patience.spend()
        self._block_came(is_whole=self._blocks.extend(flags, number, payload))

    def _block_came(self, *, is_whole: bool) -> None:
        self._due = None if is_whole else frames.CONTINUATION
        number = self._blocks.stream
        if not is_whole:
            return
        if number <= self._streams.last:
            self._trailers(number)
            return
        self._streams.last = number
        head = self._blocks.head()
        if self._is_leaving:
            raise StreamFault(ErrorCode.REFUSED_STREAM, "this connection closes")
        stream = self._streams.open(number)
        stream.is_receiving = not self._blocks.ends_stream
        stream.call = self._open_call(stream, head)
        if not stream.is_receiving:
            stream.call.end()

    def _trailers(self, number: int) -> None:
        """End a request with a second block, of which nothing is of interest here."""
        self._blocks.skip()
        if not self._blocks.ends_stream:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, "a stream begins twice, or behind its successor")
        stream = self._streams[number]
        if stream is not None and stream.is_receiving:
            stream.is_receiving = False
            stream.call.end()
        else:
            self._patience.spend()

    def _on_priority(self, _flags: int, number: int, payload: memoryview) -> None:
        check_size(payload, 5)
        check_stream(number, is_one=True)
        self._patience.spend()

    def _on_reset(self, _flags: int, number: int, payload: memoryview) -> None:
        check_size(payload, 4)
        if self._streams[number] is None:
            self._patience.spend()
        else:
            self._patience.spend(_RESET_COST)
            self._streams.drop(number)

    def _on_settings(self, flags: int, number: int, payload: memoryview) -> None:
        check_stream(number, is_one=False)
        self._patience.spend(1 + len(payload) // _SETTINGS_AT_A_PRICE)
        if flags & frames.ACK:
            check_size(payload, 0)
            if self._due is not None:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "settings are acknowledged before any were sent")
            return
        self._due = None
        windows = list(settings.first_windows(payload))
        self._send(frame(frames.SETTINGS, frames.ACK, 0))  # before what the client gave room for with them
        for first_window in windows:
            self._streams.resize(first_window)

    def _on_push(self, _flags: int, _number: int, _payload: memoryview) -> None:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a client promises a request")

    def _on_ping(self, flags: int, number: int, payload: memoryview) -> None:
        check_stream(number, is_one=False)
        check_size(payload, 8)
        self._patience.spend()
        if not flags & frames.ACK:
            self._send(frame(frames.PING, frames.ACK, 0, bytes(payload)))

    def _on_goaway(self, _flags: int, number: int, payload: memoryview) -> None:
        check_stream(number, is_one=False)
        check_size(payload[:_FAREWELL_BYTES], _FAREWELL_BYTES)  # some words may follow
        self.drain()

    def _on_window(self, _flags: int, number: int, payload: memoryview) -> None:
        check_size(payload, 4)
        self._patience.spend()
        by = int.from_bytes(payload) & frames.NUMBER
        if number == 0:
            if by == 0:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a window grows by nothing")
            self._streams.sending.widen(by)
            return
        stream = self._streams[number]
        if stream is None:
            return
        if by == 0:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR, "a window grows by nothing")
        self._streams.sending.widen_stream(stream.outlet, by)

    def _grant(self) -> None:
        """Let the client send on, long before it has to wait."""
        left = self._granted - self._frames.controlled
        if left < 0:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more was sent than there was room for")
        if left < WINDOW // 2:
            self._granted += WINDOW - left
            self._send(frame(frames.WINDOW_UPDATE, 0, 0, (WINDOW - left).to_bytes(4)))

    def _close_if_done(self) -> None:
        if self._is_leaving and not self._streams:
            self._finish()

    def _finish(self) -> None:
        if not self.is_over:
            self.lose()
            self._close()

    def _goodbye(self, code: ErrorCode, message: str) -> bytes:
        return frame(frames.GOAWAY, 0, 0, struct.pack(">II", self._streams.last, code) + message.encode())

    _HANDLERS: ClassVar = {
        frames.HEADERS: _on_headers,
        frames.PRIORITY: _on_priority,
        frames.RST_STREAM: _on_reset,
        frames.SETTINGS: _on_settings,
        frames.PUSH_PROMISE: _on_push,
        frames.PING: _on_ping,
        frames.GOAWAY: _on_goaway,
        frames.WINDOW_UPDATE: _on_window,
        frames.CONTINUATION: _on_continuation,
    }
