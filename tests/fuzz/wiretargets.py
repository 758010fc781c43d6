"""What is fuzzed of the wires: connections, header blocks and gzip, each held against another implementation or against itself.

Bytes come in pieces as the network has it, so where they are cut must not matter: each target reads them at once, and in pieces.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from unittest import mock

import hpack

from bench.load import make_payload
from receiver import http1_peer, http2_peers
from receiver.http2_peers import DATA, END_STREAM, HEADERS, HELLO, PING, RESET, SETTINGS, WINDOW, opened, setting
from receiver.test_http1_connection import read_by_another
from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.http1 import connection as http1_room
from spanverdict.receiver.http2 import connection as http2_room
from spanverdict.receiver.http2.frames import ErrorCode, frame
from spanverdict.receiver.http2.hpack import BadBlock, HeaderReader, literal
from spanverdict.receiver.inflate import InflateLimits, inflate
from spanverdict.receiver.limits import ByteBudget

PLENTY = 1 << 20
LIMITS = InflateLimits(max_bytes=64 << 20)


def http1(data: bytes) -> None:
    """Requests are the same however they are cut, and none is read that another implementation reads otherwise."""
    with mock.patch.object(http1_room._LOGGER, "exception", side_effect=_raise):
        whole, cut = http1_peer.Peer(), http1_peer.Peer(lends=False)
        whole.take(data)
        for piece in _pieces(data):
            cut.take(piece)
    assert cut.requests == whole.requests
    assert bool(cut.faults) == bool(whole.faults) or len(data) > http1_peer.HEAD_BYTES
    for ours, theirs in zip(whole.requests, read_by_another(data), strict=False):
        assert (ours[0], ours[2]) == (theirs[0], theirs[2])


def http2(data: bytes) -> None:
    """Calls are the same however bytes are cut, and a connection ends by the protocol and by nothing else."""
    for sent in (data, HELLO + _as_frames(data)):
        with mock.patch.object(http2_room._LOGGER, "exception", side_effect=_raise):
            whole, cut = http2_peers.Peer(), http2_peers.Peer()
            whole.take(sent)
            for piece in _pieces(sent):
                if not cut.is_closed:
                    cut.take(piece)
        if ErrorCode.ENHANCE_YOUR_CALM not in {_end_of(whole), _end_of(cut)}:  # patience is asked for once a piece
            assert _calls(cut) == _calls(whole)
            assert _end_of(cut) == _end_of(whole)


def _as_frames(data: bytes) -> bytes:
    """Return frames, whose kinds, flags, streams and lengths the bytes say: so a changed byte leaves all others what they were."""
    frames, at = b"", 0
    while at + 4 <= len(data):
        kind, flags, stream, size = data[at : at + 4]
        frames += frame(kind % 11, flags, stream % 8, data[at + 4 : at + 4 + size])
        at += 4 + size
    return frames


def _said(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Say a frame as `_as_frames` reads it."""
    return bytes((kind, flags, stream, len(payload))) + payload


def header_blocks(data: bytes) -> None:
    """Of blocks on one connection, what another implementation can read is read alike, and what is refused is refused for good."""
    other, reader = hpack.Decoder(PLENTY), HeaderReader(PLENTY)
    for block in data.split(b"\xff\xff"):
        try:
            read, size = reader.read(block)
        except BadBlock:
            return
        assert size == sum(len(name) + len(value) + 32 for name, value in read) or size > PLENTY
        try:
            theirs = other.decode(block, raw=True)
        except hpack.HPACKError:
            return
        assert read == [tuple(field) for field in theirs]


def gzip_body(data: bytes) -> None:
    """A body that inflates is what the standard library makes of it."""
    try:
        found, members = inflate(data, LIMITS, ByteBudget(1 << 30).lease())
    except Undecodable:
        return
    assert members >= 1
    assert gzip.decompress(data) == found


def _raise(message: str, *_: object) -> None:
    raise AssertionError(message)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Cut bytes in a way that depends on nothing but them."""
    at, state = 0, zlib.crc32(data)
    while at < len(data):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        size = (1, 2, 9, 40, 300)[(state >> 16) % 5]
        yield data[at : at + size]
        at += size


def _calls(peer: http2_peers.Peer) -> list[tuple[int, object, bytes, list[str]]]:
    return [(number, call.head.fields, call.body, call.said) for number, call in peer.calls.items()]


def _end_of(peer: http2_peers.Peer) -> ErrorCode | None:
    """Return what the server said when it ended the connection."""
    frames = http2_peers.frames_of(bytes(peer.sent))
    said = [payload for kind, _, _, payload in frames if kind == http2_peers.GOAWAY]
    return ErrorCode(int.from_bytes(said[-1][4:8])) if said else None


_POST = b"POST /v1/traces HTTP/1.1\r\nHost: b\r\nContent-Type: application/x-protobuf\r\n"
_BODY = make_payload(1, 2, 1)
_INDEXED = bytes.fromhex("400a637573746f6d2d6b65790d637573746f6d2d686561646572")
WIRE_EXAMPLES: Mapping[str, list[bytes]] = {
    "http1": [
        _POST + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY + _POST + b"Content-Length: 2\r\n\r\nab",
        _POST + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-T: u\r\n\r\n" + _POST,
        b"GET http://h/a%20b?c HTTP/1.0\r\nConnection: keep-alive\r\n\r\n\r\nOPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
        _POST + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
    ],
    "http2": [
        HELLO + opened(1) + frame(DATA, END_STREAM, 1, b"\0\0\0\0\2ab"),
        HELLO + setting(4, 10) + opened(1) + frame(DATA, 8, 1, b"\3abcxxx") + frame(DATA, END_STREAM, 1),
        HELLO + opened(1) + opened(3, ends=True) + frame(RESET, 0, 1, bytes(4)) + frame(PING, 0, 0, bytes(8)),
        HELLO + frame(HEADERS, 1, 1, http2_peers.HEAD[:9]) + frame(9, 4, 1, http2_peers.HEAD[9:]),
        HELLO + opened(1, head=http2_peers.HEAD + _INDEXED) + opened(3, ends=True, head=http2_peers.HEAD + b"\xbe"),
        _said(HEADERS, 4, 1, http2_peers.HEAD) + _said(DATA, 0, 1, b"ab") + _said(DATA, END_STREAM, 1, b"c"),
        _said(HEADERS, 5, 1, http2_peers.HEAD + _INDEXED) + _said(HEADERS, 0, 3, b"\x83") + _said(9, 4, 3, b"\x86"),
        _said(HEADERS, 4, 1, http2_peers.HEAD) + _said(DATA, 9, 1, b"\3abcxxx") + _said(WINDOW, 0, 1, b"\0\0\1\0"),
        _said(SETTINGS, 0, 0, b"\0\4\0\0\0\12") + _said(HEADERS, 4, 5, http2_peers.HEAD) + _said(RESET, 0, 5, bytes(4)),
        HELLO + frame(SETTINGS, 1, 0) + frame(WINDOW, 0, 0, b"\0\0\1\0") + opened(1) + frame(HEADERS, 5, 1, b""),
    ],
    "header_blocks": [
        http2_peers.HEAD + b"\xff\xff" + _INDEXED + b"\xff\xff\xbe",
        bytes.fromhex("828684418cf1e3c2e5f23a6ba0ab90f4ff")
        + b"\xff\xff"
        + bytes.fromhex("828684be58086e6f2d6361636865"),
        b"\x3f\xe1\x1f" + literal(b"te", b"trailers") + b"\xff\xff\x20" + _INDEXED,
    ],
    "gzip_body": [
        gzip.compress(_BODY, mtime=0),
        gzip.compress(b"a", mtime=0) + bytes(9) + gzip.compress(b"b" * 500, mtime=0),
        b"\x1f\x8b\x08\x1e" + bytes(6) + b"\2\0xyname\0said\0" + gzip.compress(b"c", mtime=0)[10:],
    ],
}
"""What fuzzing each starts from."""
WIRES: tuple[Callable[[bytes], None], ...] = (http1, http2, header_blocks, gzip_body)
