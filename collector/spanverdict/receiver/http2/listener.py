"""HTTP/2 on asyncio: sockets, TLS, the time that connections have, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from spanverdict.receiver.http2.connection import Connection, Limits
from spanverdict.receiver.http2.frames import ErrorCode
from spanverdict.receiver.http2.streams import OpenCall

ALPN: Final = "h2"
READ_BYTES: Final = 256 * 1024
_BACKLOG: Final = 2048
_LAST_WORDS_S: Final = 1.0
_MOST_OFTEN_S: Final = 0.05
_CHECKS_A_TIMEOUT: Final = 4

OpenCalls = Callable[[str], OpenCall]
"""Gives a new connection, by the host that it comes from, what begins its calls."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long a client may take; seconds."""

    head_s: float
    """For a handshake, or for anything but data that it began; and for the answer to a ping."""
    body_s: float
    """For making room for what we send."""
    idle_s: float
    """Until a silent client is pinged."""


class ClientConnection(asyncio.BufferedProtocol):
    """A connection on its socket."""

    def __init__(self, server: Http2Server) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self.http: Connection | None = None
        self._is_owing = True  # of a greeting
        self._heard = self._owing_since = self._stuck_since = server.now()
        self._is_stuck = self._is_pinged = False
        self._closing_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, if there is room for one more."""
        self._transport = taken = cast("asyncio.Transport", transport)  # uvloop's are none by name
        host = (transport.get_extra_info("peername") or ("",))[0]
        self.http = Connection(self._server.open_calls(host), self._server.limits, taken.write, self._close)
        if self._server.admit(self):
            self.http.greet()
        else:
            taken.abort()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's name and form
        """Lend the buffer that all connections share: it is read into and taken in before the next one asks."""
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take in what was read."""
        assert self.http is not None
        self.http.receive(self._server.buffer[:nbytes])
        self._heard = self._server.now()
        self._is_pinged = False
        if not (self._is_owing and self.http.owes):
            self._is_owing, self._owing_since = self.http.owes, self._heard

    def pause_writing(self) -> None:
        """Take nothing from a client that does not take what it is sent."""
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.pause_reading()
        self._is_stuck, self._stuck_since = True, self._server.now()

    def resume_writing(self) -> None:
        """Go on."""
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.resume_reading()
        self._is_stuck, self._heard = False, self._server.now()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - likewise
        """Let everything go."""
        if self.http is not None:
            self.http.lose()
        self._server.lose(self)

    def check(self, now: float, times: Times) -> None:
        """End what takes too long, and see whether a silent client is still there."""
        assert self.http is not None
        if self._closing_since is not None:
            if now - self._closing_since >= times.head_s:
                self.abort()
        elif self._is_stuck:
            if now - self._stuck_since >= times.body_s:
                self.abort()
        elif self.http.owes and now - self._owing_since >= times.head_s:
            self.http.end(ErrorCode.PROTOCOL_ERROR, "headers take too long")
        elif now - self._heard >= times.idle_s + times.head_s:
            self.abort()
        elif now - self._heard >= times.idle_s and not self._is_pinged:
            self._is_pinged = True
            self.http.ping()

    def abort(self) -> None:
        """Close without another word."""
        if self._transport is not None:
            self._transport.abort()

    def _close(self) -> None:
        assert self._transport is not None
        self._closing_since = self._server.now()
        self._transport.close()


class Http2Server:
    """One listener from its start to its end. All methods belong to the event loop."""

    def __init__(
        self, listener: socket.socket, open_calls: OpenCalls, limits: Limits, times: Times, max_connections: int
    ) -> None:
        self.buffer = memoryview(bytearray(READ_BYTES))
        self.open_calls = open_calls
        self.limits = limits
        self._listener = listener
        self._times = times
        self._max_connections = max_connections
        self._connections: set[ClientConnection] = set()
        self._server: asyncio.Server | None = None
        self._checking: asyncio.TimerHandle | None = None
        self._all_gone = asyncio.Event()

    def now(self) -> float:
        """Return the event loop's time."""
        return asyncio.get_running_loop().time()

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections from here on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: ClientConnection(self),
            sock=self._listener,
            backlog=_BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else self._times.head_s,
        )
        self._check()

    async def stop(self, grace_s: float, last_words: Callable[[], None]) -> None:
        """Refuse connections and requests, and give those that are here some time; then have `last_words` said."""
        self._listener.close() if self._server is None else self._server.close()
        for connection in list(self._connections):
            if connection.http is not None:
                connection.http.drain()
        await self._gone(grace_s)
        last_words()
        await self._gone(_LAST_WORDS_S)
        for connection in list(self._connections):
            connection.abort()
        await self._gone(_LAST_WORDS_S)
        if self._checking is not None:
            self._checking.cancel()

    def admit(self, connection: ClientConnection) -> bool:
        """Count a connection; return whether it is not one too many."""
        self._connections.add(connection)
        self._all_gone.clear()
        return len(self._connections) <= self._max_connections

    def lose(self, connection: ClientConnection) -> None:
        """Count no more what has ended."""
        self._connections.discard(connection)
        if not self._connections:
            self._all_gone.set()

    async def _gone(self, within_s: float) -> None:
        if self._connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), within_s)

    def _check(self) -> None:
        """Look after all connections, a few times within what they have time for."""
        now = self.now()
        for connection in list(self._connections):
            connection.check(now, self._times)
        shortest = min(self._times.head_s, self._times.body_s, self._times.idle_s)
        after = max(_MOST_OFTEN_S, shortest / _CHECKS_A_TIMEOUT)
        self._checking = asyncio.get_running_loop().call_later(after, self._check)
