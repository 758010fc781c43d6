"""What clients of HTTP/2 do wrong, and what it ends: the connection, a stream, or nothing."""

from __future__ import annotations

import pytest

from receiver.http2_peers import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEAD,
    HEADERS,
    HELLO,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH,
    RESET,
    SETTINGS,
    WINDOW,
    WITH_PRIORITY,
    Peer,
    opened,
    setting,
)
from spanverdict.receiver.http2.frames import ErrorCode, frame
from spanverdict.receiver.http2.hpack import literal

FIVE = b"\0\0\0\0\x10"
PROTOCOL, SIZE, FLOW = ErrorCode.PROTOCOL_ERROR, ErrorCode.FRAME_SIZE_ERROR, ErrorCode.FLOW_CONTROL_ERROR
CLOSED, CALM, COMPRESSION = ErrorCode.STREAM_CLOSED, ErrorCode.ENHANCE_YOUR_CALM, ErrorCode.COMPRESSION_ERROR

ENDS_CONNECTION = {
    "HTTP/1.1": (b"POST / HTTP/1.1\r\n\r\n", PROTOCOL),
    "another preface": (b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n", PROTOCOL),
    "no settings first": (PREFACE + frame(PING, 0, 0, bytes(8)), PROTOCOL),
    "an acknowledgement first": (PREFACE + frame(SETTINGS, ACK, 0), PROTOCOL),
    "settings of a stream": (HELLO + frame(SETTINGS, 0, 1), PROTOCOL),
    "half a setting": (HELLO + frame(SETTINGS, 0, 0, b"abc"), SIZE),
    "an acknowledgement with content": (HELLO + frame(SETTINGS, ACK, 0, bytes(6)), SIZE),
    "a push of two": (HELLO + setting(2, 2), PROTOCOL),
    "a window of streams beyond its end": (HELLO + setting(4, 2**31), FLOW),
    "too small a frame size": (HELLO + setting(5, 100), PROTOCOL),
    "too large a frame size": (HELLO + setting(5, 2**24), PROTOCOL),
    "a ping of a stream": (HELLO + frame(PING, 0, 1, bytes(8)), PROTOCOL),
    "a short ping": (HELLO + frame(PING, 0, 0, bytes(7)), SIZE),
    "data of no stream": (HELLO + frame(DATA, 0, 0, b"a"), PROTOCOL),
    "data of a stream that never was": (HELLO + frame(DATA, 0, 1, b"a"), PROTOCOL),
    "too much data": (HELLO + opened(1) + b"\x10\0\x01" + frame(DATA, 0, 1)[3:], SIZE),
    "more padding than data": (HELLO + opened(1) + frame(DATA, PADDED, 1, b"\x05abcd"), PROTOCOL),
    "padded data without a length": (HELLO + opened(1) + frame(DATA, PADDED, 1), SIZE),
    "headers of no stream": (HELLO + opened(0), PROTOCOL),
    "headers of an even stream": (HELLO + opened(2), PROTOCOL),
    "headers of an earlier stream": (HELLO + opened(3) + opened(1), CLOSED),
    "headers twice": (HELLO + opened(1) + opened(1), CLOSED),
    "more padding than headers": (HELLO + frame(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + HEAD), PROTOCOL),
    "headers shorter than their fields": (HELLO + frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, b"ab"), SIZE),
    "no HPACK": (HELLO + opened(1, head=b"\xfe"), COMPRESSION),
    "no HPACK in trailers": (HELLO + opened(1) + opened(1, ends=True, head=b"\xfe"), COMPRESSION),
    "a ping between headers": (HELLO + frame(HEADERS, 0, 1, HEAD) + frame(PING, 0, 0, bytes(8)), PROTOCOL),
    "data between headers": (HELLO + frame(HEADERS, 0, 1, HEAD) + frame(DATA, 0, 1, b"a"), PROTOCOL),
    "headers of another that go on": (HELLO + frame(HEADERS, 0, 1, HEAD) + frame(CONTINUATION, 4, 3), PROTOCOL),
    "headers that go on and never began": (HELLO + frame(CONTINUATION, 4, 1), PROTOCOL),
    "headers of a hundred kilobytes": (HELLO + opened(1, head=bytes(100_000)), SIZE),
    "headers that go on for ever": (HELLO + frame(HEADERS, 0, 1, HEAD) + frame(CONTINUATION, 0, 1, bytes(900)) * 1000, CALM),
    "headers that go on with nothing": (HELLO + frame(HEADERS, 0, 1, HEAD) + frame(CONTINUATION, 0, 1) * 2000, CALM),
    "a priority of no stream": (HELLO + frame(PRIORITY, 0, 0, FIVE), PROTOCOL),
    "a short priority": (HELLO + frame(PRIORITY, 0, 1, FIVE[1:]), SIZE),
    "a reset of no stream": (HELLO + frame(RESET, 0, 0, bytes(4)), PROTOCOL),
    "a reset of a stream that never was": (HELLO + frame(RESET, 0, 1, bytes(4)), PROTOCOL),
    "a short reset": (HELLO + opened(1) + frame(RESET, 0, 1, bytes(3)), SIZE),
    "a push": (HELLO + frame(PUSH, END_HEADERS, 1, b"\0\0\0\x02" + HEAD), PROTOCOL),
    "a short farewell": (HELLO + frame(GOAWAY, 0, 0, bytes(7)), SIZE),
    "a farewell of a stream": (HELLO + frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    "a window that grows by nothing": (HELLO + frame(WINDOW, 0, 0, bytes(4)), PROTOCOL),
    "a window beyond its end": (HELLO + frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff"), FLOW),
    "a window of a stream that never was": (HELLO + frame(WINDOW, 0, 1, b"\0\0\0\x01"), PROTOCOL),
    "a short window": (HELLO + frame(WINDOW, 0, 0, b"\0\0\x01"), SIZE),
    "pings without end": (HELLO + frame(PING, 0, 0, bytes(8)) * 2000, CALM),
    "answers to pings without end": (HELLO + frame(PING, ACK, 0, bytes(8)) * 2000, CALM),
    "settings without end": (HELLO + setting(3, 1) * 2000, CALM),
    "many settings at a time": (HELLO + frame(SETTINGS, 0, 0, (b"\0\x03" + bytes(4)) * 2000) * 20, CALM),
    "acknowledgements without end": (HELLO + frame(SETTINGS, ACK, 0) * 2000, CALM),
    "priorities without end": (HELLO + frame(PRIORITY, 0, 1, FIVE) * 2000, CALM),
    "unknown frames without end": (HELLO + frame(99, 0, 1, b"a") * 2000, CALM),
    "windows without end": (HELLO + frame(WINDOW, 0, 0, b"\0\0\0\x01") * 2000, CALM),
    "empty data without end": (HELLO + opened(1) + frame(DATA, 0, 1) * 2000, CALM),
    "padding without end": (HELLO + opened(1) + frame(DATA, PADDED, 1, b"\xff" + bytes(255)) * 2000, CALM),
    "data byte by byte": (HELLO + opened(1) + frame(DATA, 0, 1, b"a") * 2000, CALM),
    "resets without end": (HELLO + b"".join(opened(n) + frame(RESET, 0, n, bytes(4)) for n in range(1, 999, 2)), CALM),
    "streams above the limit without end": (HELLO + b"".join(opened(n) for n in range(1, 999, 2)), CALM),
    "made resets without end": (HELLO + b"".join(opened(n) + frame(WINDOW, 0, n, bytes(4)) for n in range(1, 999, 2)), CALM),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDS_CONNECTION)
def test_what_breaks_the_connection_ends_it_with_its_reason(case: str) -> None:
    sent, code = ENDS_CONNECTION[case]
    peer = Peer(echoes=False)
    answered = peer.take(sent)
    assert answered[-1][0] == GOAWAY
    assert answered[-1][3][4:8] == code.to_bytes(4), answered[-1]
    assert peer.is_closed
    assert all(call.said[-1:] == ["cancel"] for call in peer.calls.values())
    assert peer.take(HELLO) == []


ENDS_STREAM = {
    "data behind its end": (opened(1, ends=True) + frame(DATA, 0, 1, b"a" * 300), CLOSED),
    "a window that grows by nothing": (opened(1) + frame(WINDOW, 0, 1, bytes(4)), PROTOCOL),
    "a window beyond its end": (opened(1) + frame(WINDOW, 0, 1, b"\x7f\xff\xff\xff"), FLOW),
    "capitals in a name": (opened(1, head=HEAD + literal(b"X-Loud", b"a")), PROTOCOL),
    "no path": (opened(1, head=b"\x83\x86"), PROTOCOL),
    "two paths": (opened(1, head=b"\x83\x86\x84\x85"), PROTOCOL),
}


@pytest.mark.parametrize("case", ENDS_STREAM)
def test_what_breaks_a_stream_ends_it_alone(case: str) -> None:
    sent, code = ENDS_STREAM[case]
    peer = Peer(echoes=False)
    answered = peer.take(HELLO + sent)
    assert (RESET, 0, 1, code.to_bytes(4)) in answered
    peer.take(opened(3) + frame(DATA, END_STREAM, 3, b"next"))
    assert not peer.is_closed
    assert peer.calls[3].body == b"next"
    assert 1 not in peer.calls or "cancel" in peer.calls[1].said


IS_IGNORED = {
    "unknown frames": frame(99, 255, 0, b"a" * 50) + frame(99, 255, 1, b"a"),
    "unknown settings": setting(99, 7),
    "settings that streams have begun with": setting(1, 2**32 - 1) + setting(3, 0) + setting(5, 16_384) + setting(6, 1),
    "a priority": frame(PRIORITY, 0, 1, FIVE) + frame(PRIORITY, 0, 99, FIVE),
    "data for a stream that was reset": opened(3)
    + frame(RESET, 0, 3, bytes(4))
    + frame(DATA, END_STREAM, 3, b"a" * 999),
    "a window for a stream that was reset": opened(3) + frame(RESET, 0, 3, bytes(4)) + frame(WINDOW, 0, 3, b"\0\0\0\1"),
    "trailers for a stream that was reset": opened(3) + frame(RESET, 0, 3, bytes(4)) + opened(3, ends=True),
    "two resets": opened(3) + frame(RESET, 0, 3, bytes(4)) * 2,
    "the reserved bit": frame(PING, ACK, 1 << 31, bytes(8)),
}


@pytest.mark.parametrize("case", IS_IGNORED)
def test_what_means_nothing_here_changes_nothing(case: str) -> None:
    peer = Peer()
    peer.take(HELLO + opened(1) + IS_IGNORED[case])
    answered = peer.take(frame(DATA, END_STREAM, 1, b"whole"))
    assert [kind for kind, *_ in answered] == [HEADERS, DATA, HEADERS]
    assert peer.calls[1].body == b"whole"


def test_more_data_than_there_was_room_for_ends_the_connection() -> None:
    peer = Peer(echoes=False)
    peer.connection._granted = 1000
    assert peer.take(HELLO + opened(1) + frame(DATA, 0, 1, bytes(1001)))[-1][3][4:8] == FLOW.to_bytes(4)
