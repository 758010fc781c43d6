"""Frames of HTTP/2: what they are made of, and how the bytes of a connection become them (RFC 9113, 4 and 6)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES: Final = 9

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
WITH_PRIORITY: Final = 0x20

NUMBER: Final = 0x7FFFFFFF
"""The bits of a stream's number or of a window's increment; the first one is reserved."""

Frame = tuple[int, int, int, Sequence[memoryview]]
"""Kind, flags, stream, payload: in several pieces where frames of data that have the same head follow each other."""

_SMALL: Final = 256

_HEAD = struct.Struct(">IBI")


class ErrorCode(IntEnum):
    """Why a stream or a connection ends."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class ConnectionFault(Exception):  # noqa: N818 - RFC 9113 calls it a connection error; it is the peer's, not ours
    """The peer broke the protocol in a way after which nothing on the connection can be relied on."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class StreamFault(Exception):  # noqa: N818 - likewise, of one stream
    """The peer broke the protocol within one stream; the others are unharmed."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Write a frame.

    >>> frame(PING, ACK, 0, b"12345678").hex()
    '0000080601000000003132333435363738'
    """
    return _HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def without_padding(flags: int, payload: memoryview) -> memoryview:
    """Return the content of a HEADERS frame: its padding and its priority, which is obsolete, are left out.

    Raises:
        ConnectionFault: there is more padding than frame.
    """
    start = (1 if flags & PADDED else 0) + (5 if flags & WITH_PRIORITY else 0)
    end = len(payload) - (payload[0] if flags & PADDED and payload else 0)
    if start > len(payload):
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a frame is shorter than its fields")
    if start > end:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "there is more padding than frame")
    return payload[start:end]


def check_size(payload: memoryview, size: int) -> None:
    """Raise `ConnectionFault` for a payload of another length than its kind of frame has."""
    if len(payload) != size:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a frame of a wrong length")


def check_stream(stream: int, *, is_one: bool) -> None:
    """Raise `ConnectionFault` for a frame that is of a stream and cannot be, or the other way round."""
    if (stream > 0) != is_one:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a frame of a stream that it cannot be of")


class FrameReader:
    """Cuts what one peer sends into frames, in whatever pieces it comes.

    DATA comes as soon as it is here, so its frames may be long and none is kept: what is yielded are parts, of which
    the last has the frame's flags and the others none. All other frames come whole, in one piece, and are no longer
    than `other_bytes`. Payloads are views of what was given to `read` and hold until the next frame is asked for.
    """

    def __init__(self, data_bytes: int, other_bytes: int) -> None:
        self._data_bytes = data_bytes
        self._other_bytes = other_bytes
        self._preface = PREFACE
        self._rest = b""
        """The begin of a frame that is not here whole."""
        self._left = self._padding = 0
        """Of the DATA frame that is not over."""
        self._flags = self._stream = 0
        self.controlled = 0
        """Bytes so far that count for flow control."""
        self.small = 0
        """DATA frames that brought little forward, and did not end anything."""

    @property
    def is_within_a_frame(self) -> bool:
        """Whether the peer owes us the rest of something other than data."""
        return bool(self._rest or self._preface)

    def read(self, data: memoryview) -> Iterator[Frame]:
        """Yield the frames that these bytes complete.

        Raises:
            ConnectionFault: this is not HTTP/2, or a frame is too long.
        """
        if self._rest:
            data, self._rest = memoryview(self._rest + data), b""
        at, end = self._greeted(data) if self._preface else 0, len(data)
        if self._left or self._padding:
            at, piece = self._continued(data, at)
            if piece is not None:
                yield piece
        while end - at >= HEAD_BYTES:
            size, flags, stream = _HEAD.unpack_from(data, at)
            kind, size, stop = size & 0xFF, size >> 8, at + HEAD_BYTES + (size >> 8)
            if kind == DATA and not flags & PADDED and stop <= end and size <= self._data_bytes:
                pieces = self._alike(data, at, HEAD_BYTES + size) if not flags else (data[at + HEAD_BYTES : stop],)
                self.controlled += size * len(pieces)
                self.small += len(pieces) if size < _SMALL and not flags & END_STREAM else 0
                yield kind, flags, stream & NUMBER, pieces
                at += (HEAD_BYTES + size) * len(pieces)
            elif kind == DATA:
                if flags & PADDED and size and end - at == HEAD_BYTES:
                    break  # how much padding there is comes next
                at, piece = self._begun(data, at, size, flags, stream & NUMBER)
                if piece is not None:
                    yield piece
            else:
                if size > self._other_bytes:
                    raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a frame is too long")
                if stop > end:
                    break
                yield kind, flags, stream & NUMBER, (data[at + HEAD_BYTES : stop],)
                at = stop
        self._rest = bytes(data[at:])

    @staticmethod
    def _alike(data: memoryview, at: int, step: int) -> list[memoryview]:
        """Return the payloads of whole frames that have one head: clients cut a message into many of one length."""
        head, end = data[at : at + HEAD_BYTES], len(data)
        pieces = []
        while at + step <= end and data[at : at + HEAD_BYTES] == head:
            pieces.append(data[at + HEAD_BYTES : at + step])
            at += step
        return pieces

    def _greeted(self, data: memoryview) -> int:
        """Return how much of the data is the connection's preface."""
        size = min(len(self._preface), len(data))
        if data[:size] != self._preface[:size]:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "this is no HTTP/2")
        self._preface = self._preface[size:]
        return size

    def _begun(self, data: memoryview, at: int, size: int, flags: int, stream: int) -> tuple[int, Frame | None]:
        """Begin a DATA frame that has padding, or is not here whole."""
        if size > self._data_bytes or (flags & PADDED and not size):
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a frame is too long, or shorter than its fields")
        self.controlled += size
        at += HEAD_BYTES
        self._padding = 0
        if flags & PADDED:
            self._padding = data[at]
            at, size = at + 1, size - 1
        if self._padding > size:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "there is more padding than frame")
        self._left, self._flags, self._stream = size - self._padding, flags, stream
        self.small += self._left < _SMALL and not flags & END_STREAM
        if not size:
            return at, (DATA, flags, stream, ())
        return self._continued(data, at)

    def _continued(self, data: memoryview, at: int) -> tuple[int, Frame | None]:
        """Take what is here of a DATA frame; return where it ends, and the piece."""
        start, at = at, min(at + self._left, len(data))
        self._left -= at - start
        piece = data[start:at]
        if not self._left:
            skipped = min(self._padding, len(data) - at)
            self._padding -= skipped
            at += skipped
        if not (self._left or self._padding):
            return at, (DATA, self._flags, self._stream, (piece,))
        return at, (DATA, 0, self._stream, (piece,)) if piece else None
