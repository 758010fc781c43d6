"""A request's head: its fields, held against what RFC 9113 (8.2 and 8.3) allows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from spanverdict.receiver.http2.frames import ErrorCode, StreamFault
from spanverdict.receiver.http2.hpack import Field

_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_FORBIDDEN: Final = re.compile(rb"[\0\r\n]|^[ \t]|[ \t]$")
_PSEUDO: Final = frozenset((b":method", b":scheme", b":path", b":authority"))
_REQUIRED: Final = b":method", b":scheme", b":path"
_OF_CONNECTIONS: Final = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What a request begins with. Of a field that comes more than once, the first counts."""

    method: bytes
    path: bytes
    fields: Mapping[bytes, bytes]
    """Without those that begin with a colon."""
    is_too_long: bool
    """Then some fields are missing."""


def head_of(fields: Sequence[Field], *, is_too_long: bool = False) -> Head:
    """Read a head.

    Raises:
        StreamFault: the request is malformed.

    >>> head = head_of([(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a"), (b"te", b"trailers")])
    >>> head.path, head.fields
    (b'/a', {b'te': b'trailers'})
    """
    if is_too_long:
        return Head(b"", b"", {}, is_too_long=True)
    pseudo: dict[bytes, bytes] = {}
    named: dict[bytes, bytes] = {}
    for name, value in fields:
        if _FORBIDDEN.search(value):
            raise _malformed("a header's value contains a line break, or spaces around it")
        if name[:1] == b":":
            if named or name in pseudo or name not in _PSEUDO:
                raise _malformed("a pseudo-header is unknown, comes twice, or too late")
            pseudo[name] = value
        else:
            _check_name(name, value)
            named.setdefault(name, value)
    if not all(pseudo.get(name) for name in _REQUIRED):
        raise _malformed("a pseudo-header is missing")
    return Head(pseudo[b":method"], pseudo[b":path"], named, is_too_long=False)


def _check_name(name: bytes, value: bytes) -> None:
    if not _NAME.fullmatch(name):
        raise _malformed("a header's name has characters that it may not have")
    if name in _OF_CONNECTIONS or (name == b"te" and value != b"trailers"):
        raise _malformed("a header belongs to connections of HTTP/1.1")


def _malformed(message: str) -> StreamFault:
    return StreamFault(ErrorCode.PROTOCOL_ERROR, message)
