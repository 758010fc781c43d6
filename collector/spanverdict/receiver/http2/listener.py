"""Connections of HTTP/2 on their sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from spanverdict.receiver.http2.connection import Connection, Limits
from spanverdict.receiver.http2.frames import ErrorCode
from spanverdict.receiver.http2.streams import OpenCall
from spanverdict.receiver.listener import ClientConnection, Listener, Times

ALPN: Final = "h2"
READ_BYTES: Final = 256 * 1024

OpenCalls = Callable[[str], OpenCall]
"""Gives a new connection, by the host that it comes from, what begins its calls."""


class Http2Connection(ClientConnection):
    """One of them. A silent client is pinged."""

    def __init__(self, listener: Listener, open_calls: OpenCalls, limits: Limits) -> None:
        super().__init__(listener)
        self._open_calls = open_calls
        self._limits = limits
        self._view = memoryview(listener.buffer)
        self.http: Connection | None = None
        self._is_owing = True  # of a greeting
        self._heard = self._owing_since = listener.now()
        self._is_pinged = False

    def begin(self, host: str) -> None:
        """Greet."""
        assert self.transport is not None
        self.http = Connection(self._open_calls(host), self._limits, self.transport.write, self.close)
        self.http.greet()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's name and form
        """Lend the buffer that all connections share."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Take in what was read."""
        if self.http is None:
            return
        self.http.receive(self._view[:nbytes])
        self._heard = self.listener.now()
        self._is_pinged = False
        if not (self._is_owing and self.http.owes):
            self._is_owing, self._owing_since = self.http.owes, self._heard

    def refresh(self) -> None:
        """Take note that the client takes again what it is sent."""
        self._heard = self.listener.now()

    def watch(self, now: float, times: Times) -> None:
        """End what takes too long, and see whether a silent client is still there."""
        if self.http is None:
            return
        if self.http.owes and now - self._owing_since >= times.head_s:
            self.http.end(ErrorCode.PROTOCOL_ERROR, "headers take too long")
        elif now - self._heard >= times.idle_s + times.head_s:
            self.abort()
        elif now - self._heard >= times.idle_s and not self._is_pinged:
            self._is_pinged = True
            self.http.ping()
