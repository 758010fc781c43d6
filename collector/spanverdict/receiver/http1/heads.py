"""Heads of requests, read as strictly as RFC 9112 allows: what two servers could take for two things is none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_LINE: Final = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/1\.([01])")
FIELD: Final = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([^\0-\x08\n-\x1f\x7f]*)")
_ORIGIN: Final = re.compile(rb"https?://[^/?]*", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_NEVER: Final = re.compile(rb"\A[^!-~]|(?<!\r)\n|\r(?=[^\n])|\0")
"""What no head has, whatever follows."""
_END: Final = b"\r\n\r\n"
_DIGITS: Final = 18
ONCE: Final = frozenset((b"content-length", b"transfer-encoding", b"host"))
"""Say where a request ends and whom it is for."""


class Malformed(Exception):  # noqa: N818 - RFC 9112's word
    """This is no request of HTTP/1.1, or more than one to somebody."""


class TooLong(Exception):  # noqa: N818 - says what is so
    """The head is longer than one may be."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What a request begins with, but for how long its body is. Of a field that comes more than once, the first counts.

    Requests of one connection that differ in nothing but their length have the same object.
    """

    method: bytes
    path: bytes
    """Without the query, and without percent signs."""
    fields: Mapping[bytes, bytes]
    """By their names in small letters."""
    keeps: bool
    """Whether the client means to send another request behind this one."""
    expects: bool
    """Whether the client waits to be told that its body is welcome."""
    is_chunked: bool


class HeadReader:
    """Reads the heads of one connection."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._last: Head | None = None
        self._before = self._after = b""
        """Of the last head: what stood before and behind the number of bytes."""

    def read(self, data: bytearray, at: int, end: int) -> tuple[Head, int, int] | None:
        """Return the head that begins at a place, the length of its body, and where that begins; None: it goes on.

        Raises:
            Malformed: there is none.
            TooLong: it is longer than one may be.
        """
        if data.startswith(b"\r\n", at, end):
            at += 2  # some clients send one behind a body
        again = self._again(data, at, end)
        if again is not None:
            return again
        stop = data.find(_END, at, end)
        if (end if stop < 0 else stop + len(_END)) - at > self._most:
            raise TooLong
        if stop < 0:
            begun = bytes(data[at:end])
            if begun != b"\r" and _NEVER.search(begun):
                raise Malformed("this is no HTTP/1.1")
            return None
        stop += len(_END)
        raw = bytes(data[at:stop])
        head, length = head_of(raw)
        known = _LENGTH.search(raw)
        if known is not None:
            self._last, self._before, self._after = head, raw[: known.start(1)], raw[known.end(1) :]
        return head, length, stop

    def _again(self, data: bytearray, at: int, end: int) -> tuple[Head, int, int] | None:
        """Read a head that is as the last one but for its length, as nearly all are."""
        if self._last is None or not data.startswith(self._before, at, end):
            return None
        at += len(self._before)
        stop = data.find(b"\r", at, min(end, at + _DIGITS + 1))
        digits = data[at:stop] if stop > 0 else b""
        if not digits.isdigit() or not data.startswith(self._after, stop, end):
            return None
        stop += len(self._after)
        return self._last, int(digits), stop


def head_of(raw: bytes) -> tuple[Head, int]:
    r"""Read a whole head, and the length of the body that follows.

    Raises:
        Malformed: it is none.

    >>> head, length = head_of(b"POST /a?b HTTP/1.1\r\nHost: c\r\nContent-Length: 3\r\n\r\n")
    >>> head.path, length
    (b'/a', 3)
    """
    first, *lines = raw[: -len(_END)].split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise Malformed("the request line is none of HTTP/1.1")
    is_newer = line[3] == b"1"
    fields, connection = _fields_of(lines)
    if is_newer and b"host" not in fields:
        raise Malformed("a request names its host")
    is_chunked, length = _framing(fields, is_newer=is_newer)
    keeps = b"close" not in connection and (is_newer or b"keep-alive" in connection)
    expects = is_newer and fields.get(b"expect", b"").lower() == b"100-continue"
    return Head(line[1], _path_of(line[2]), fields, keeps, expects, is_chunked), length


def _fields_of(lines: list[bytes]) -> tuple[dict[bytes, bytes], set[bytes]]:
    """Return the fields, and what is said of the connection."""
    fields: dict[bytes, bytes] = {}
    connection: set[bytes] = set()
    for line in lines:
        field = FIELD.fullmatch(line)
        if field is None:
            raise Malformed("a line of the head is no header")
        name, value = field[1].lower(), field[2].rstrip(b" \t")
        if name in ONCE and name in fields:
            raise Malformed(f"a request has one {name.decode()}")
        if name == b"connection":
            connection.update(option.strip(b" \t").lower() for option in value.split(b","))
        fields.setdefault(name, value)
    return fields, connection


def _framing(fields: Mapping[bytes, bytes], *, is_newer: bool) -> tuple[bool, int]:
    """Return whether a body comes in chunks, and its length where it does not."""
    coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise Malformed("a request has either a Content-Length or a Transfer-Encoding")
        if coding.lower() != b"chunked" or not is_newer:
            raise Malformed("a body comes in chunks, or in no Transfer-Encoding at all")
        return True, 0
    if length is None:
        return False, 0
    if not length.isdigit() or len(length) > _DIGITS:
        raise Malformed("the Content-Length is no number of bytes")
    return False, int(length)


def _path_of(target: bytes) -> bytes:
    """Return the path of a request's target.

    >>> _path_of(b"http://host:1/v1%2Ftraces?a=b")
    b'/v1/traces'
    """
    origin = _ORIGIN.match(target)
    path = (target[origin.end() :] if origin else target).partition(b"?")[0]
    return (unquote_to_bytes(path) if b"%" in path else path) or b"/"
