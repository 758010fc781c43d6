"""Connections of HTTP/1.1 on their sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from spanverdict.receiver.http1.connection import Answer, Connection, OpenCall, Phase, Wiring
from spanverdict.receiver.http1.heads import Malformed, TooLong
from spanverdict.receiver.limits import Lease
from spanverdict.receiver.listener import ClientConnection, Listener, Times

_LINGER_S: Final = 1.0
"""A client that is still sending has so long to read its answer, …"""
_LINGER_BYTES: Final = 256 * 1024
"""… and may send so much, of which nothing is read: closed at once, the answer would be lost with the rest."""
_GRACE_S: Final = 1.0
"""Whoever reads a body has the first say when its time is over, and says it to the client."""

OpenCalls = Callable[[str], OpenCall]
"""Gives a new connection, by the host that it comes from, what begins its calls."""


class Http1Connection(ClientConnection):
    """One of them."""

    def __init__(
        self,
        listener: Listener,
        open_calls: OpenCalls,
        refuse: Callable[[Answer, Malformed | TooLong], None],
        lease: Callable[[], Lease],
        head_bytes: int,
    ) -> None:
        super().__init__(listener)
        self._open_calls = open_calls
        self._refuse = refuse
        self._lease = lease
        self._head_bytes = head_bytes
        self._view = memoryview(listener.buffer)
        self.http: Connection | None = None
        self._seen = (Phase.HEAD, False, 0)
        self._since = listener.now()
        """When the connection came to be as it was seen last."""
        self._lingered: int | None = None
        """Bytes that came behind the last answer."""

    def begin(self, host: str) -> None:
        """Wait for a request."""
        assert self.transport is not None
        wiring = Wiring(self.transport.write, self._end, self.hold, self._lease())
        self.http = Connection(self._open_calls(host), self._refuse, wiring, self.listener.buffer, self._head_bytes)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's name and form
        """Lend the memory where a body stays, or the buffer that all connections share."""
        return self._view if self.http is None or self._lingered is not None else self.http.room()

    def buffer_updated(self, nbytes: int) -> None:
        """Take in what was read."""
        if self._lingered is not None:
            self._lingered += nbytes
            if self._lingered > _LINGER_BYTES:
                self.abort()
        elif self.http is not None:
            self.http.took(nbytes)
            if self.http.is_due:  # what reads still refers to the memory that it read into
                asyncio.get_running_loop().call_soon(self.http.proceed)

    def watch(self, now: float, times: Times) -> None:
        """End what takes too long, by what it is."""
        if self.http is None:
            return
        phase, is_within_a_head, answered = seen = (self.http.phase, self.http.is_within_a_head, self.http.answered)
        if seen != self._seen:
            self._seen, self._since = seen, now
        took = now - self._since
        if phase is Phase.HEAD:
            idle = answered and not is_within_a_head
            if took >= (times.idle_s if idle else times.head_s):
                self.close() if idle else self.abort()
        elif phase in (Phase.BODY, Phase.REST) and took >= times.body_s + _GRACE_S:
            self.abort()

    def _end(self, lingers: bool) -> None:
        """Close; where the client is still sending, when it has had a chance to read the answer."""
        assert self.transport is not None
        if lingers and self.transport.can_write_eof() and not self.transport.is_closing():
            self._closing_since = self.listener.now()
            self._lingered = 0
            self.transport.write_eof()
            asyncio.get_running_loop().call_later(_LINGER_S, self.abort)
        else:
            self.close()
