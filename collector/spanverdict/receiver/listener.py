"""Listening on asyncio: sockets, TLS, how many clients there may be, the time that they have, and the end of it all."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, cast

_BACKLOG: Final = 2048
_LAST_WORDS_S: Final = 1.0
_MOST_OFTEN_S: Final = 0.05
_CHECKS_A_TIMEOUT: Final = 4


@dataclass(frozen=True, slots=True)
class Times:
    """How long a client may take; seconds."""

    head_s: float
    """For a handshake, or for anything but a body that it began."""
    body_s: float
    """For making room for what we send."""
    idle_s: float
    """Until a silent client is asked whether it is there, or let go."""


class Conversation(Protocol):
    """What is spoken over a connection, from its beginning on."""

    def drain(self) -> None:
        """Take no more requests; close when those that are here are answered."""

    def lose(self) -> None:
        """Let everything go."""


class ClientConnection(asyncio.BufferedProtocol):
    """A connection on its socket. What is spoken over it is told by those that derive from this."""

    http: Conversation | None = None

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.transport: asyncio.Transport | None = None
        self._is_stuck = self._is_held = False
        self._stuck_since = 0.0
        self._closing_since: float | None = None

    def begin(self, host: str) -> None:
        """Begin to speak with a client."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Take note that the client takes again what it is sent."""

    def watch(self, now: float, times: Times) -> None:
        """End what takes too long."""
        raise NotImplementedError

    def drain(self) -> None:
        """Take no more requests; close when those that are here are answered."""
        if self.http is not None:
            self.http.drain()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, if there is room for one more."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are none by name
        if self.listener.admit(self):
            self.begin((transport.get_extra_info("peername") or ("",))[0])
        else:
            self.transport.abort()

    def pause_writing(self) -> None:
        """Take nothing from a client that does not take what it is sent."""
        self._is_stuck, self._stuck_since = True, self.listener.now()
        self._read_or_not()

    def resume_writing(self) -> None:
        """Go on."""
        self._is_stuck = False
        self.refresh()
        self._read_or_not()

    def hold(self, holds: bool) -> None:
        """Read nothing for now, or read again."""
        self._is_held = holds
        self._read_or_not()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name and form
        """Let everything go."""
        if self.http is not None:
            self.http.lose()
        self.listener.lose(self)

    def check(self, now: float, times: Times) -> None:
        """End what takes too long."""
        if self._closing_since is not None:
            if now - self._closing_since >= times.head_s:
                self.abort()
        elif self._is_stuck:
            if now - self._stuck_since >= times.body_s:
                self.abort()
        else:
            self.watch(now, times)

    def close(self) -> None:
        """Close when everything is sent."""
        assert self.transport is not None
        self._closing_since = self.listener.now()
        self.transport.close()

    def abort(self) -> None:
        """Close without another word."""
        if self.transport is not None:
            self.transport.abort()

    def _read_or_not(self) -> None:
        assert self.transport is not None
        if self.transport.is_closing():
            return
        if self._is_stuck or self._is_held:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()


class Listener:
    """One listener from its start to its end. All methods belong to the event loop."""

    def __init__(
        self,
        listener: socket.socket,
        connect: Callable[[Listener], ClientConnection],
        times: Times,
        max_connections: int,
        buffer_bytes: int,
    ) -> None:
        self.buffer = bytearray(buffer_bytes)
        """Shared by all connections: it is read into and taken in before the next one asks."""
        self._listener = listener
        self._connect = connect
        self._times = times
        self._max_connections = max_connections
        self._connections: set[ClientConnection] = set()
        self._server: asyncio.Server | None = None
        self._checking: asyncio.TimerHandle | None = None
        self._all_gone = asyncio.Event()
        self._is_stopping = False

    def now(self) -> float:
        """Return the event loop's time."""
        return asyncio.get_running_loop().time()

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections from here on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: self._connect(self),
            sock=self._listener,
            backlog=_BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else self._times.head_s,
        )
        self._check()

    async def stop(self, grace_s: float, last_words: Callable[[], None]) -> None:
        """Refuse connections and requests, and give those that are here some time; then have `last_words` said."""
        self._is_stopping = True
        self._listener.close() if self._server is None else self._server.close()
        for connection in list(self._connections):
            connection.drain()
        await self._gone(grace_s)
        last_words()
        await self._gone(_LAST_WORDS_S)
        for connection in list(self._connections):
            connection.abort()
        await self._gone(_LAST_WORDS_S)
        if self._checking is not None:
            self._checking.cancel()

    def admit(self, connection: ClientConnection) -> bool:
        """Count a connection; return whether it is neither one too many nor too late."""
        self._connections.add(connection)
        self._all_gone.clear()
        return len(self._connections) <= self._max_connections and not self._is_stopping

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
