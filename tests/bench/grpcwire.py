"""A gRPC client that sends messages as they are, compressed ones too, and costs next to nothing.

Published clients compress while they send, which takes ten times as long as what is measured, and leave the server
waiting. This one takes the bytes of a message and a flag that says whether they are compressed. It knows as much of HTTP/2
(RFC 9113) as one call at a time on a connection needs: flow control, settings and pings are heeded, and of an
answer's headers it only matters whether a message came before them.
"""

from __future__ import annotations

import gzip
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TIMEOUT_S: Final = 60.0

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW: Final = 4
"""The setting's number."""
_LARGEST_FRAME: Final = 16384
_WINDOW: Final = 65535


class Broken(Exception):  # noqa: N818 - it is a connection that is
    """The connection ended in the middle of a call."""


def header_block(authority: str, *, compressed: bool) -> bytes:
    """Return the headers of a call as HPACK literals, without Huffman and without the dynamic table (RFC 7541, 6.2.2)."""
    named = [("te", "trailers"), ("content-type", "application/grpc")] + [("grpc-encoding", "gzip")] * compressed
    literals = b"".join(b"\x00" + _string(name) + _string(value) for name, value in named)
    # From the static table: 3 is `:method: POST`, 6 `:scheme: http`, 4 the name `:path`, 1 `:authority`.
    return b"\x83\x86\x04" + _string(METHOD) + b"\x01" + _string(authority) + literals


def _string(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame of HTTP/2.

    >>> frame(6, 1, 0, b"12345678").hex()
    '0000080601000000003132333435363738'
    """
    return len(payload).to_bytes(3) + struct.pack(">BBI", kind, flags, stream) + payload


@dataclass(slots=True, eq=False)
class GrpcWire:
    """One connection; opened with its first call, and anew after it broke. Not for several threads at once."""

    address: str
    compressed: bool
    _socket: socket.socket | None = None
    _buffer: bytearray = field(default_factory=bytearray)
    _stream: int = -1
    """Of the last call; they are odd."""
    _window: int = _WINDOW
    """What may be sent on the connection."""
    _stream_window: int = _WINDOW
    """What may be sent on the stream."""
    _initial: int = _WINDOW

    def call(self, message: bytes) -> bytes | None:
        """Send a message and return the one it is answered with; None when the answer is a status alone.

        Raises:
            Broken: the connection ended before the answer.
        """
        try:
            return self._call(message)
        except OSError as error:
            self.close()
            raise Broken(str(error)) from error

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _call(self, message: bytes) -> bytes | None:
        if self._socket is None:
            self._open()
        self._stream, self._stream_window = self._stream + 2, self._initial
        body = bytes([self.compressed]) + len(message).to_bytes(4) + message
        start = frame(_HEADERS, _END_HEADERS, self._stream, header_block(self.address, compressed=self.compressed))
        sent, answer = 0, bytearray()
        while sent < len(body):
            size = min(len(body) - sent, self._window, self._stream_window)
            if size > 0 or start:
                self._send(start + b"".join(self._data(body, sent, sent + max(size, 0))))
                start, sent = b"", sent + max(size, 0)
            elif self._read(answer):
                return self._answered(answer)  # refused before it was sent whole
        while not self._read(answer):
            pass
        return self._answered(answer)

    def _answered(self, answer: bytearray) -> bytes | None:
        if not answer:
            return None
        # Some answer compressed to what came compressed.
        return gzip.decompress(answer[5:]) if answer[0] else bytes(answer[5:])

    def _data(self, body: bytes, begin: int, end: int) -> Iterator[bytes]:
        self._window -= end - begin
        self._stream_window -= end - begin
        for at in range(begin, end, _LARGEST_FRAME):
            until = min(at + _LARGEST_FRAME, end)
            yield frame(_DATA, _END_STREAM if until == len(body) else 0, self._stream, body[at:until])

    def _open(self) -> None:
        host, _, port = self.address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer.clear()
        self._stream, self._window, self._initial = -1, _WINDOW, _WINDOW
        self._send(_PREFACE + frame(_SETTINGS, 0, 0, b""))

    def _send(self, data: bytes) -> None:
        assert self._socket is not None
        self._socket.sendall(data)

    def _read(self, answer: bytearray) -> bool:
        """Take in one frame; return whether the call is over."""
        length, kind, flags, stream = self._frame_head()
        payload = self._take(length)
        if kind == _WINDOW_UPDATE:
            self._widen(stream, int.from_bytes(payload) & 0x7FFFFFFF)
        elif kind == _SETTINGS and not flags & _ACK:
            self._heed(payload)
            self._send(frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._send(frame(_PING, _ACK, 0, payload))
        elif kind == _GOAWAY:
            raise OSError("the server closes the connection")
        elif stream == self._stream and kind == _DATA:
            answer += payload
            self._send(frame(_WINDOW_UPDATE, 0, 0, max(length, 1).to_bytes(4)))
        return stream == self._stream and (
            kind == _RST_STREAM or (kind in {_DATA, _HEADERS} and bool(flags & _END_STREAM))
        )

    def _widen(self, stream: int, by: int) -> None:
        if stream == 0:
            self._window += by
        elif stream == self._stream:
            self._stream_window += by

    def _heed(self, settings: bytes) -> None:
        for number, value in struct.iter_unpack(">HI", settings):
            if number == _INITIAL_WINDOW:
                self._stream_window += value - self._initial
                self._initial = value

    def _frame_head(self) -> tuple[int, int, int, int]:
        head = self._take(9)
        return int.from_bytes(head[:3]), head[3], head[4], int.from_bytes(head[5:]) & 0x7FFFFFFF

    def _take(self, size: int) -> bytes:
        assert self._socket is not None
        while len(self._buffer) < size:
            more = self._socket.recv(65536)
            if not more:
                raise OSError("the server closed the connection")
            self._buffer += more
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken
