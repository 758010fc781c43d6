"""Header blocks, from the one or more frames that carry them to a request's head."""

from __future__ import annotations

from typing import Final

from spanverdict.receiver.http2.frames import END_HEADERS, END_STREAM, ConnectionFault, ErrorCode, without_padding
from spanverdict.receiver.http2.heads import Head, head_of
from spanverdict.receiver.http2.hpack import BadBlock, Field, HeaderReader

PACKED_TIMES: Final = 4
"""A block that is so many times longer than a head may be is not even read to be refused."""
_HEADS_KEPT: Final = 4
_LONG_BLOCK: Final = 1024
"""Blocks above that are not remembered."""


class HeaderBlocks:
    """Puts the header blocks of one connection together, and reads them.

    A head may unpack to `limit` bytes, above which it is marked as too long, and a block may have `PACKED_TIMES` as
    many, above which the connection ends.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._reader = HeaderReader(limit)
        self._heads: dict[bytes, Head] = {}
        """By block: clients send the same ones over and over."""
        self._heads_of = 0
        """The state of the header table that they were read with."""
        self._block = b""
        self.stream = 0
        """Which stream the latest block belongs to."""
        self.ends_stream = False
        """Whether that stream's request has nothing after the block."""

    def begin(self, flags: int, stream: int, payload: memoryview) -> bool:
        """Take a HEADERS frame; return whether the block is whole."""
        self._block, self.stream, self.ends_stream = b"", stream, bool(flags & END_STREAM)
        return self.extend(flags, stream, without_padding(flags, payload))

    def extend(self, flags: int, stream: int, payload: memoryview) -> bool:
        """Take what a CONTINUATION frame adds; return whether the block is whole."""
        if stream != self.stream:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "headers of one stream within those of another")
        if len(self._block) + len(payload) > PACKED_TIMES * self._limit:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "headers are too long")
        self._block += payload
        return bool(flags & END_HEADERS)

    def head(self) -> Head:
        """Read the block.

        Raises:
            ConnectionFault: it cannot be read.
            StreamFault: it is no request's.
        """
        reader, block = self._reader, self._block
        if self._heads_of != reader.changes:
            self._heads.clear()
            self._heads_of = reader.changes
        known = self._heads.get(block)
        if known is not None:
            return known
        fields, size = self._fields()
        head = head_of(fields, is_too_long=size > self._limit)
        if self._heads_of == reader.changes and len(self._heads) < _HEADS_KEPT and len(block) <= _LONG_BLOCK:
            self._heads[block] = head
        return head

    def skip(self) -> None:
        """Read the block for what it does to the header table."""
        self._fields()

    def _fields(self) -> tuple[list[Field], int]:
        try:
            return self._reader.read(self._block)
        except BadBlock as error:
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, str(error)) from None
