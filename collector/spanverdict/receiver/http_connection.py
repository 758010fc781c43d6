"""uvicorn's HTTP/1.1 connections, with what it leaves open: bounds on heads and connections, and Status bodies."""

from __future__ import annotations

import asyncio
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.errors import HeadTooLarge
from spanverdict.receiver.status import refusal_of, status_json

if TYPE_CHECKING:
    _Base = Any
else:
    _Base = object

_UPGRADE = re.compile(rb"^upgrade[ \t]*:", re.IGNORECASE | re.MULTILINE)
_GRACE_S = 1.0
"""Whoever reads the body has the first say when its time is over, and says it to the client."""
_PHRASES = {400: b"Bad Request", 431: b"Request Header Fields Too Large"}


class GuardedConnection(_Base):  # type: ignore[misc] # mixed into classes that are chosen when the server starts
    """Mixed into one of uvicorn's protocols; closes what sends no complete head or body in time, or too long a head.

    A body has its time also when its request was refused and nobody reads it any more. `limits`, `head_is_open`
    and `body_is_open` come from the class that `connection_class` makes.
    """

    limits: ReceiverConfig
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    _body_timer: asyncio.TimerHandle | None = None

    def head_is_open(self) -> bool:
        """Whether the next bytes belong to a request's head (or there are no bytes yet)."""
        raise NotImplementedError

    def body_is_open(self) -> bool:
        """Whether the next bytes belong to a request's body."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take the connection, if there is room for one more."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections:
            transport.abort()
            return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        self._stop_body_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, counting the bytes of a head that is not complete yet."""
        was_open, cycle = self.head_is_open(), self.cycle
        super().data_received(_without_upgrade(data) if was_open else data)
        if self.transport.is_closing():
            return
        self._watch_body(is_another=self.cycle is not cycle)
        if self.cycle is not cycle:
            self._stop_timer()
            self._head_bytes = 0
        elif was_open:
            self._wait_for_head(len(data))

    def _watch_body(self, *, is_another: bool) -> None:
        if is_another or not self.body_is_open():
            self._stop_body_timer()
        if self._body_timer is None and self.body_is_open():
            late = self.limits.body_timeout_s + _GRACE_S
            self._body_timer = self.loop.call_later(late, self.transport.abort)

    def _stop_body_timer(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _wait_for_head(self, more: int) -> None:
        self._head_bytes += more
        if self._head_bytes > self.limits.max_header_bytes:
            self._refuse(HeadTooLarge(self.limits.max_header_bytes))
        elif self._head_timer is None:
            self._start_timer()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; in JSON, since nobody knows what the client reads."""
        self._refuse(Undecodable(msg))

    def _refuse(self, error: Exception) -> None:
        refusal = refusal_of(error)
        body = status_json(refusal)
        head = (
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            % (refusal.http_status, _PHRASES[refusal.http_status], len(body))
        )
        self.transport.write(head + body)
        self.transport.close()

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.head_timeout_s, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _without_upgrade(data: bytes) -> bytes:
    """Hide the wish for another protocol in a piece of a head, so that the request is served as the HTTP/1.1 it is.

    Java's own client asks for HTTP/2 with its first request, and httptools takes the body that follows for something
    else than HTTP and skips it.
    """
    end = data.find(b"\r\n\r\n")
    size = len(data) if end < 0 else end
    if not _UPGRADE.search(data, 0, size):
        return data  # as nearly all are, and none of its body is copied
    return _UPGRADE.sub(b"x-upgrade:", data[:size]) + data[size:]


def connection_class(config: ReceiverConfig) -> type[asyncio.Protocol]:
    """The connections of one server: parsed by httptools where it is installed, by h11 otherwise."""
    made: type[asyncio.Protocol] = _on_httptools(config) if find_spec("httptools") else _on_h11(config)
    return made


def _on_httptools(config: ReceiverConfig) -> Any:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # noqa: PLC0415 - an optional dependency

    class HttptoolsConnection(GuardedConnection, HttpToolsProtocol):  # type: ignore[misc] # asyncio spells it wider
        limits = config
        _open = True

        def head_is_open(self) -> bool:
            return self._open

        def body_is_open(self) -> bool:
            return not self._open

        def on_headers_complete(self) -> None:
            if self.parser.should_upgrade():  # its body would be skipped and yet acknowledged
                raise Undecodable("this server does not upgrade connections")
            self._open = False
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._open = True
            super().on_message_complete()

    return HttptoolsConnection


def _on_h11(config: ReceiverConfig) -> Any:
    import h11  # noqa: PLC0415 - loaded only where httptools is missing
    from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: PLC0415 - likewise

    class H11Connection(GuardedConnection, H11Protocol):  # type: ignore[misc] # likewise
        limits = config

        def head_is_open(self) -> bool:
            return self.conn.their_state is h11.IDLE

        def body_is_open(self) -> bool:
            return self.conn.their_state is h11.SEND_BODY

    return H11Connection
