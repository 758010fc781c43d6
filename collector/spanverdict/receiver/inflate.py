"""gzip, inflated piece by piece, so that a small body that would become huge is noticed before it has."""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.errors import TooLarge
from spanverdict.receiver.limits import Lease

GZIP_MAGIC = b"\x1f\x8b"
"""As a protobuf tag 0x1f has a wire type that does not exist, so no binary request starts like this."""

_CODEC: Final[Any] = import_module("isal.isal_zlib" if find_spec("isal") else "zlib")
"""ISA-L inflates in less than half of the time."""
_GZIP_FORMAT = 31
_STEP = 256 * 1024
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class InflateLimits:
    """How large a compressed body may become.

    `max_bytes` is the hard cap. Below it, the output may reach `floor_bytes`, or `ratio` times the input read so far
    if that is more.
    """

    max_bytes: int
    ratio: int = 100
    floor_bytes: int = 4 * 1024 * 1024

    def allowed(self, consumed: int) -> int:
        """The output that `consumed` bytes of input may have, at most."""
        return min(self.max_bytes, max(self.floor_bytes, self.ratio * consumed))


class GzipInflater:
    """Inflates one body that arrives in chunks. Several gzip members in a row are one body, as the format has it.

    Output is leased before it is kept and is at no time larger than the limits allow, plus one step.
    """

    def __init__(self, limits: InflateLimits, lease: Lease) -> None:
        self._limits = limits
        self._lease = lease
        self._member = _CODEC.decompressobj(_GZIP_FORMAT)
        self._first = b""
        """What came out, while it is one piece: most bodies are, and need not be copied."""
        self._output = io.BytesIO()
        self._size = 0
        self._consumed = 0
        self.members = 1
        """Of which it consists, so far."""

    def feed(self, chunk: bytes | memoryview) -> None:
        """Inflate the next piece of the body.

        Raises:
            Undecodable: it is not gzip.
            TooLarge: the output exceeds the cap or the ratio.
            Overloaded: there is no room in flight for the output.
        """
        for start in range(0, len(chunk), _PIECE):  # what is left of a piece is copied at every step
            self._feed(chunk[start : start + _PIECE])

    def _feed(self, chunk: bytes | memoryview) -> None:
        self._consumed += len(chunk)
        rest = _without_padding(chunk) if self._member.eof else chunk
        while rest:
            if self._member.eof:
                self._member = _CODEC.decompressobj(_GZIP_FORMAT)
                self.members += 1
            output = self._inflate(rest)
            rest = self._member.unconsumed_tail or _without_padding(self._member.unused_data)
            self._keep(output, self._consumed - len(rest))

    def finish(self) -> bytes:
        """The whole inflated body.

        Raises:
            Undecodable: the body ends in the middle of a gzip member.
        """
        while not self._member.eof and (rest := self._inflate(b"")):
            self._keep(rest, self._consumed)
        if not self._member.eof:
            raise Undecodable("the gzip body is truncated")
        return self._first or self._output.getvalue()

    def _inflate(self, chunk: bytes | memoryview) -> bytes:
        try:
            output: bytes = self._member.decompress(chunk, _STEP)
        except _CODEC.error as error:
            raise Undecodable(f"the body is not valid gzip: {error}") from None
        return output

    def _keep(self, output: bytes, consumed: int) -> None:
        size = self._size + len(output)
        if size > self._limits.max_bytes:
            raise TooLarge(f"the inflated body is longer than {self._limits.max_bytes} bytes")
        if size > self._limits.allowed(consumed):
            raise TooLarge(f"the body inflates more than {self._limits.ratio} times")
        self._lease.grow(len(output))
        if not self._size:
            self._first = output
        elif output:
            self._output.write(self._first)
            self._output.write(output)
            self._first = b""
        self._size = size


def _without_padding(rest: bytes | memoryview) -> bytes:
    """Skip zeros behind a member, as gzip(1) does: archives are padded with them, and no member begins with one."""
    return bytes(rest).lstrip(b"\0")


def inflate(body: bytes, limits: InflateLimits, lease: Lease) -> tuple[bytes, int]:
    """Inflate a body that is here as a whole, and count its members; errors as those of `GzipInflater`."""
    inflater = GzipInflater(limits, lease)
    inflater.feed(memoryview(body))
    return inflater.finish(), inflater.members
