"""gRPC's one message of a call, put together as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.errors import MissingMessage, TooLarge
from spanverdict.receiver.incoming import IncomingBytes
from spanverdict.receiver.limits import Lease

_PREFIX_BYTES: Final = 5


class IncomingMessage:
    """A message of at most `limit` bytes that is on its way. What is kept of it is leased."""

    __slots__ = ("_content", "_lease", "_limit", "_prefix", "_size", "is_compressed")

    _content: IncomingBytes

    def __init__(self, limit: int, lease: Lease) -> None:
        self._limit = limit
        self._lease = lease
        self._prefix = b""
        self._size = 0
        self.is_compressed = False
        """Whether the client says so, once the message has begun."""

    def feed(self, pieces: Sequence[memoryview]) -> None:
        """Take some pieces, which need not be the message's alone.

        Raises:
            TooLarge: the message says that it is longer than one may be.
            Undecodable: there is more than one message.
            Overloaded: there is no room for it now.
        """
        if len(self._prefix) < _PREFIX_BYTES:
            pieces = self._begun(pieces)
        size = sum(map(len, pieces))
        if not size:
            return
        if size > self._content.missing:
            raise Undecodable("the call carries more than one message")
        self._content.add(pieces)

    def body(self) -> bytes:
        """Return the message, once.

        Raises:
            MissingMessage: there is none.
            Undecodable: it is shorter than it says.
        """
        if not self._prefix:
            raise MissingMessage
        if len(self._prefix) < _PREFIX_BYTES or self._content.missing:
            raise Undecodable("the message is shorter than it says")
        return self._content.whole()

    def _begun(self, pieces: Sequence[memoryview]) -> Sequence[memoryview]:
        """Take what of some pieces belongs to the prefix, and return what does not."""
        rest = list(pieces)
        while rest and (missing := _PREFIX_BYTES - len(self._prefix)):
            self._prefix += rest[0][:missing]
            rest[0] = rest[0][missing:]
            if not rest[0]:
                del rest[0]
        if len(self._prefix) == _PREFIX_BYTES:
            self._size = int.from_bytes(self._prefix[1:])
            if self._prefix[0] > 1:
                raise Undecodable("this is no message of gRPC")
            if self._size > self._limit:
                raise TooLarge(f"the message is longer than {self._limit} bytes")
            self.is_compressed = self._prefix[0] == 1
            self._content = IncomingBytes(self._size, self._lease)
        return rest
