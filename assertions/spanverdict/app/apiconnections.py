"""The API's connections: uvicorn's, with what it leaves open: bounds on heads and connections, and Status bodies."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.errors import HeadTooLarge
from spanverdict.receiver.status import refusal_of, status_json

if TYPE_CHECKING:
    _Base = Any
else:
    _Base = object

_GRACE_S = 1.0
"""Whoever reads the body has the first say when its time is over, and says it to the client."""
_PHRASES = {400: b"Bad Request", 431: b"Request Header Fields Too Large"}


class GuardedConnection(_Base):  # type: ignore[misc] # mixed into a class that is made when the server starts
    """Mixed into uvicorn's protocol; closes what sends no complete head or body in time, or too long a head.

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
        super().data_received(data)
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


def connection_class(config: ReceiverConfig) -> type[asyncio.Protocol]:
    """Return what the connections of one server are made of."""
    import h11  # noqa: PLC0415 - loaded only where the API is served
    from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: PLC0415 - likewise

    class ApiConnection(GuardedConnection, H11Protocol):  # type: ignore[misc] # asyncio spells it wider
        limits = config

        def head_is_open(self) -> bool:
            return self.conn.their_state is h11.IDLE

        def body_is_open(self) -> bool:
            return self.conn.their_state is h11.SEND_BODY

    made: type[asyncio.Protocol] = ApiConnection
    return made
