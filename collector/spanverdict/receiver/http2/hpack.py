"""Header blocks: read with HPACK's tables, written without them (RFC 7541)."""

from __future__ import annotations

from collections import deque
from typing import Final

from spanverdict.receiver.http2.huffman import BadCode, decoded

Field = tuple[bytes, bytes]

TABLE_BYTES: Final = 4096
"""The dynamic table may be so long, as entries are counted; the protocol's default."""
ENTRY_BYTES: Final = 32
"""What an entry counts in addition to its name and its value."""
_MOST_CONTINUED: Final = 4
"""Bytes of a number after its first one; with more it is too large for anything here."""

_SHORT: Final = 0x7F
"""A string's length from which on it takes more than a byte."""

_METHODS = ((b":method", b"GET"), (b":method", b"POST"))
_STATUSES = tuple((b":status", status) for status in (b"200", b"204", b"206", b"304", b"400", b"404", b"500"))
_NAMES: Final = (
    b"accept-charset accept-encoding accept-language accept-ranges accept access-control-allow-origin age allow "
    b"authorization cache-control content-disposition content-encoding content-language content-length "
    b"content-location content-range content-type cookie date etag expect expires from host if-match "
    b"if-modified-since if-none-match if-range if-unmodified-since last-modified link location max-forwards "
    b"proxy-authenticate proxy-authorization range referer refresh retry-after server set-cookie "
    b"strict-transport-security transfer-encoding user-agent vary via www-authenticate"
).split()
_STATIC: Final[tuple[Field, ...]] = (
    (b":authority", b""),
    *_METHODS,
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    *_STATUSES,
    *((name, b"gzip, deflate" if name == b"accept-encoding" else b"") for name in _NAMES),
)


class BadBlock(Exception):  # noqa: N818 - the block is bad
    """A header block that cannot be read; what comes after it on its connection cannot either."""


class HeaderReader:
    """Reads the header blocks of one connection, in their order.

    Of a block that unpacks to more than `limit` bytes, what is over is left out, so that a small block never becomes
    large in memory; the connection remains usable.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._table: deque[Field] = deque()
        """The latest entry first."""
        self._bytes = 0
        self._most_bytes = TABLE_BYTES
        self.changes = 0
        """How often the table changed: the same block means the same again as long as this does."""

    def read(self, block: bytes) -> tuple[list[Field], int]:
        """Return the fields of a block, and how many bytes they count.

        Raises:
            BadBlock: it is not HPACK.

        >>> HeaderReader(1000).read(bytes.fromhex("8386"))
        ([(b':method', b'POST'), (b':scheme', b'http')], 86)
        """
        fields: list[Field] = []
        size = at = 0
        try:
            while at < len(block):
                first = block[at]
                if first >> 5 == 1:
                    at = self._resize(block, at, may=size == 0)
                    continue
                at, field = self._indexed(block, at) if first & 0x80 else self._literal(block, at)
                size += len(field[0]) + len(field[1]) + ENTRY_BYTES
                if size <= self._limit:
                    fields.append(field)
        except IndexError:
            raise BadBlock("a header block ends in the middle") from None
        except BadCode as error:
            raise BadBlock(str(error)) from None
        return fields, size

    def _resize(self, block: bytes, at: int, *, may: bool) -> int:
        most, at = _number(block, at, 5)
        if not may or most > TABLE_BYTES:
            raise BadBlock("the header table becomes too long, or within a block")
        self._most_bytes = most
        self._evict()
        self.changes += 1
        return at

    def _indexed(self, block: bytes, at: int) -> tuple[int, Field]:
        index, at = _number(block, at, 7)
        return at, self._entry(index)

    def _literal(self, block: bytes, at: int) -> tuple[int, Field]:
        kept = block[at] & 0x40
        index, at = _number(block, at, 6 if kept else 4)
        name, at = (self._entry(index)[0], at) if index else _string(block, at)
        value, at = _string(block, at)
        field = name, value
        if kept:
            self._keep(field)
        return at, field

    def _entry(self, index: int) -> Field:
        if 0 < index <= len(_STATIC):
            return _STATIC[index - 1]
        if index == 0 or index - len(_STATIC) > len(self._table):
            raise BadBlock("a header block refers to a header that is not there")
        return self._table[index - len(_STATIC) - 1]

    def _keep(self, field: Field) -> None:
        self._table.appendleft(field)
        self._bytes += len(field[0]) + len(field[1]) + ENTRY_BYTES
        self._evict()
        self.changes += 1

    def _evict(self) -> None:
        while self._bytes > self._most_bytes:
            name, value = self._table.pop()
            self._bytes -= len(name) + len(value) + ENTRY_BYTES


def _number(block: bytes, at: int, bits: int) -> tuple[int, int]:
    """Return a number that begins in the last bits of a byte, and where it ends."""
    most = (1 << bits) - 1
    number = block[at] & most
    at += 1
    if number < most:
        return number, at
    for shift in range(0, 7 * _MOST_CONTINUED, 7):
        byte = block[at]
        at += 1
        number += (byte & 0x7F) << shift
        if not byte & 0x80:
            return number, at
    raise BadBlock("a number in a header block is too large")


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    packed = block[at] & 0x80
    size, at = _number(block, at, 7)
    end = at + size
    if end > len(block):
        raise BadBlock("a header block ends in the middle")
    text = block[at:end]
    return (decoded(text) if packed else text), end


def literal(name: bytes, value: bytes) -> bytes:
    """Write a header field that neither uses nor changes a table, so it is the same bytes on every connection.

    >>> literal(b"te", b"trailers").hex()
    '0002746508747261696c657273'
    """
    return b"\x00" + _sized(name) + _sized(value)


def _sized(text: bytes) -> bytes:
    size = len(text)
    if size < _SHORT:
        return bytes([size]) + text
    number, size = bytearray([_SHORT]), size - _SHORT
    while size >> 7:
        number.append(size & 0x7F | 0x80)
        size >>= 7
    number.append(size)
    return bytes(number) + text
