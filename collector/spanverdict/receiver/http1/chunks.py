"""Bodies that come in chunks (RFC 9112, 7.1)."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from spanverdict.receiver.http1.heads import FIELD, ONCE, Malformed

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t -~\x80-\xff]*)?")
_LINE_BYTES: Final = 1024
_TRAILER_BYTES: Final = 16 * 1024


class _Due(Enum):
    """What the next line is."""

    SIZE = auto()
    NOTHING = auto()
    """The end of a chunk."""
    TRAILER = auto()


class ChunkReader:
    """Reads one body."""

    def __init__(self) -> None:
        self._left = 0
        """Of the chunk."""
        self._due = _Due.SIZE
        self._line = b""
        """What has come of it."""
        self._trailers = 0
        self.is_over = False

    def read(self, data: memoryview) -> tuple[list[memoryview], int]:
        """Return the pieces of the body that are in the data, and how much of it belongs to the body.

        Raises:
            Malformed: these are no chunks.
        """
        pieces, at = [], 0
        while at < len(data) and not self.is_over:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
            else:
                at += self._read_line(bytes(data[at : at + _LINE_BYTES]))
        return pieces, at

    def _read_line(self, begin: bytes) -> int:
        """Take a line, or what has come of it; return how much that is."""
        end = begin.find(b"\n") + 1
        self._line += begin[:end] if end else begin
        if len(self._line) > _LINE_BYTES:
            raise Malformed("a line between chunks is too long")
        if end:
            line, self._line = self._line, b""
            if not line.endswith(b"\r\n"):
                raise Malformed("a line between chunks ends without a carriage return")
            self._understand(line[:-2])
        return end or len(begin)

    def _understand(self, line: bytes) -> None:
        if self._due is _Due.SIZE:
            size = _SIZE.fullmatch(line)
            if size is None:
                raise Malformed("the size of a chunk is none")
            self._left = int(size[1], 16)
            self._due = _Due.NOTHING if self._left else _Due.TRAILER
        elif self._due is _Due.NOTHING:
            if line:
                raise Malformed("a chunk is longer than it says")
            self._due = _Due.SIZE
        elif line:
            self._trailers += len(line)
            field = FIELD.fullmatch(line)
            if field is None or field[1].lower() in ONCE or self._trailers > _TRAILER_BYTES:
                raise Malformed("what follows the last chunk is no header that may, or too long")
        else:
            self.is_over = True
