"""gRPC's one message of a call, put together as it comes."""

from __future__ import annotations

from typing import Final

from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.errors import MissingMessage, TooLarge
from spanverdict.receiver.limits import Lease

_PREFIX_BYTES: Final = 5
_AHEAD: Final = 64 * 1024
"""Leased before it is there, so that not every frame needs a lease."""
_LEAST_KEPT: Final = 4096
"""Smaller pieces are joined to the next one, as each is an object that no lease counts."""


class IncomingMessage:
    """A message of at most `limit` bytes that is on its way. What has come is leased, and at most `_AHEAD` more."""

    __slots__ = ("_lease", "_limit", "_pieces", "_prefix", "_received", "_settled", "_size", "is_compressed")

    def __init__(self, limit: int, lease: Lease) -> None:
        self._limit = limit
        self._lease = lease
        self._prefix = b""
        self._size = self._received = self._settled = 0
        self._pieces: list[bytes | memoryview] = []
        self.is_compressed = False
        """Whether the client says so, once the message has begun."""

    def feed(self, piece: memoryview) -> None:
        """Take a piece, which need not be the message's alone. It must hold until `settle`.

        Raises:
            TooLarge: the message says that it is longer than one may be.
            Undecodable: there is more than one message.
            Overloaded: there is no room for it now.
        """
        if len(self._prefix) < _PREFIX_BYTES:
            piece = self._begun(piece)
        self._received += len(piece)
        if self._received > self._size:
            raise Undecodable("the call carries more than one message")
        if self._received > self._lease.size:
            self._lease.resize(min(self._size, self._received + _AHEAD))
        self._pieces.append(piece)

    def settle(self) -> None:
        """Copy what refers to a buffer that is about to be used again."""
        pieces, first = self._pieces, self._settled
        if first and len(pieces[first - 1]) < _LEAST_KEPT:
            first -= 1
        pieces[first:] = [b"".join(pieces[first:])]
        self._settled = len(pieces)

    def body(self) -> bytes:
        """Return the message, once.

        Raises:
            MissingMessage: there is none.
            Undecodable: it is shorter than it says.
        """
        if not self._prefix:
            raise MissingMessage
        if len(self._prefix) < _PREFIX_BYTES or self._received < self._size:
            raise Undecodable("the message is shorter than it says")
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

    def _begun(self, piece: memoryview) -> memoryview:
        missing = _PREFIX_BYTES - len(self._prefix)
        self._prefix += piece[:missing]
        if len(self._prefix) == _PREFIX_BYTES:
            self._size = int.from_bytes(self._prefix[1:])
            if self._prefix[0] > 1:
                raise Undecodable("this is no message of gRPC")
            if self._size > self._limit:
                raise TooLarge(f"the message is longer than {self._limit} bytes")
            self.is_compressed = self._prefix[0] == 1
        return piece[missing:]
