"""A connection of HTTP/2 without its socket: held against another implementation, and against what the RFC forbids."""

from __future__ import annotations

import random

import h2.config
import h2.connection
import h2.events
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.http2_peers import (
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
    RESET,
    SETTINGS,
    WINDOW,
    WITH_PRIORITY,
    Peer,
    frames_of,
    opened,
    setting,
)
from spanverdict.receiver.http2.connection import DATA_FRAME_BYTES, Limits
from spanverdict.receiver.http2.frames import ErrorCode, FrameReader, frame
from spanverdict.receiver.http2.hpack import literal

REQUEST = [(":method", "POST"), (":scheme", "http"), (":path", "/a"), (":authority", "a"), ("te", "trailers")]
SIZES = st.lists(st.integers(0, 300) | st.just(20_000), min_size=1, max_size=4)


class Client:
    """The other implementation as a client, which checks what the server does as strictly as it can."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.bodies: dict[int, bytes] = {}
        self.over: set[int] = set()
        self.waiting: dict[int, bytes] = {}
        self.h2.initiate_connection()
        self.read = 0

    def request(self, body: bytes, *, padding: int | None, names: int) -> int:
        number = self.h2.get_next_available_stream_id()
        extra = [(f"x-{index}", "v" * index) for index in range(names)]
        self.h2.send_headers(number, REQUEST + extra)
        self.waiting[number] = body
        self.send(padding)
        return number

    def send(self, padding: int | None = None) -> None:
        """Send what the server's windows and frames allow."""
        for number, body in list(self.waiting.items()):
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size) - 256
            if room <= 0:
                continue
            piece, rest = body[:room], body[room:]
            self.h2.send_data(number, piece, end_stream=not rest, pad_length=padding)
            if rest:
                self.waiting[number] = rest
            else:
                del self.waiting[number]

    def exchange(self, cuts: random.Random) -> None:
        """Move bytes both ways, in pieces of any length, until nobody has more to say."""
        while out := self.h2.data_to_send():
            while out:
                size = cuts.choice((1, 2, 9, 10, 50, 1000, 10**6))
                self.peer.take(out[:size])
                out = out[size:]
            self.hear()
            self.send()

    def hear(self) -> None:
        self.peer.now += 10  # so many small windows are no nuisance
        data, self.read = bytes(self.peer.sent[self.read :]), len(self.peer.sent)
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived):
                assert event.headers == [(b"grpc-status", b"0")]
            elif isinstance(event, h2.events.StreamEnded):
                self.over.add(event.stream_id)
            else:
                assert not isinstance(event, h2.events.ConnectionTerminated | h2.events.StreamReset), event


@settings(max_examples=60)
@given(
    SIZES,
    st.none() | st.integers(0, 255),
    st.sampled_from([0, 7, 300, 65_535, 2**31 - 1]),
    st.integers(0, 200),
    st.integers(),
)
def test_whatever_another_implementation_asks_is_answered_within_its_windows(
    sizes, padding, window, names, seed
) -> None:
    """Bodies come back whole, however the bytes are cut, padded, and however little room there is for the answer."""
    bodies = [(bytes(range(number, 256)) * 200)[:size] for number, size in enumerate(sizes)]
    client = Client(Peer())
    client.h2.update_settings({4: window})
    numbers = [client.request(body, padding=padding, names=names) for body in bodies]
    client.exchange(random.Random(seed))
    if window < 300:
        client.h2.update_settings({4: 10**6})
    client.exchange(random.Random(seed))
    assert client.over == set(numbers)
    for number, body in zip(numbers, bodies, strict=True):
        assert client.peer.calls[number].body == body
        assert client.bodies.get(number, b"") == body
    assert not client.peer.connection._streams


@st.composite
def conversations(draw) -> bytes:
    """What a client may send, though not all of it is right."""
    numbers = st.sampled_from([0, 1, 3, 5, 7, 9, 2])
    payloads = (
        st.binary(max_size=40)
        | st.just(HEAD)
        | st.just(b"\x03" + HEAD + b"\0\0\0")
        | st.sampled_from([b"\0\0\0\x08", bytes(8), b"\0\x04\0\0\0\x05"])
    )
    flags = st.sampled_from(
        [0, END_STREAM, END_HEADERS, END_STREAM | END_HEADERS, PADDED, PADDED | END_STREAM, PADDED | END_HEADERS, 255]
    )
    parts = [
        draw(
            st.one_of(
                st.builds(opened, st.sampled_from([1, 3, 5, 7, 9]), ends=st.booleans()),
                st.builds(lambda n, f, p: frame(DATA, f, n, p), numbers, flags, st.binary(max_size=600)),
                st.builds(frame, st.integers(0, 11), flags, numbers, payloads),
                st.builds(
                    lambda n, v: frame(WINDOW, 0, n, v.to_bytes(4)), numbers, st.sampled_from([0, 1, 100, 2**31 - 1])
                ),
                st.builds(setting, st.integers(1, 7), st.sampled_from([0, 1, 20, 16_384, 2**31 - 1, 2**32 - 1])),
            )
        )
        for _ in range(draw(st.integers(0, 12)))
    ]
    return HELLO + b"".join(parts) + draw(st.binary(max_size=20))


def outcome(peer: Peer) -> tuple[object, ...]:
    """What came of a conversation, apart from how much was answered before its end."""
    calls = {number: (call.body, call.said, call.head.path) for number, call in peer.calls.items()}
    return calls, peer.is_closed, bytes(peer.sent)


@settings(max_examples=60)
@given(conversations(), st.lists(st.integers(1, 400), max_size=40), st.booleans())
def test_how_bytes_are_cut_into_reads_changes_nothing(conversation: bytes, cuts: list[int], works_on: bool) -> None:
    """The same calls are made with the same bodies, and the same is sent, for right frames and for wrong ones."""
    whole, cut, single = (Peer(works_on=works_on) for _ in range(3))
    whole.take(conversation)
    rest = conversation
    for size in cuts:
        cut.take(rest[:size])
        rest = rest[size:]
    cut.take(rest)
    for byte in conversation:
        single.take(bytes([byte]))
    assert outcome(whole) == outcome(cut) == outcome(single)


@given(conversations())
def test_no_frames_break_the_server_and_every_call_has_an_end(conversation: bytes) -> None:
    peer = Peer(echoes=False)
    peer.take(conversation)
    goodbyes = [payload for kind, _, _, payload in frames_of(bytes(peer.sent)) if kind == GOAWAY]
    assert all(int.from_bytes(payload[4:8]) != ErrorCode.INTERNAL_ERROR for payload in goodbyes)
    peer.connection.lose()
    assert all(call.said and call.said[-1] == "cancel" for call in peer.calls.values())


def goodbye(code: ErrorCode, last: int) -> bytes:
    return last.to_bytes(4) + code.to_bytes(4)


def test_headers_may_come_padded_with_a_priority_and_in_pieces() -> None:
    peer = Peer()
    peer.take(
        HELLO
        + frame(HEADERS, PADDED | WITH_PRIORITY, 1, b"\x03" + b"\0\0\0\0\x10" + HEAD[:5] + bytes(3))
        + frame(CONTINUATION, 0, 1, HEAD[5:9])
        + frame(CONTINUATION, END_HEADERS, 1, HEAD[9:])
        + frame(DATA, PADDED, 1, b"\x02" + b"ab" + bytes(2))
        + opened(1, ends=True, head=literal(b"x-trailer", b"a"))
    )
    assert peer.calls[1].head.path == b"/a"
    assert (peer.calls[1].body, peer.calls[1].said) == (b"ab", ["end"])


def test_a_head_that_is_too_long_is_a_calls_to_refuse_and_the_next_one_is_read() -> None:
    peer = Peer()
    kept = b"\x40\x01a\x01b"
    peer.take(HELLO + opened(1, ends=True, head=HEAD + literal(b"x", b"y" * 20_000) + kept))
    peer.take(opened(3, ends=True, head=HEAD + b"\xbe"))
    assert peer.calls[1].head.is_too_long
    assert peer.calls[3].head.fields[b"a"] == b"b"


def test_the_same_block_means_something_else_once_the_table_has_changed() -> None:
    peer = Peer()
    newest = HEAD + b"\xbe"
    peer.take(HELLO + opened(1, ends=True, head=HEAD + b"\x40\x01a\x011") + opened(3, ends=True, head=newest))
    peer.take(opened(5, ends=True, head=newest) + opened(7, ends=True, head=HEAD + b"\x40\x01a\x012"))
    peer.take(opened(9, ends=True, head=newest))
    assert [peer.calls[n].head.fields[b"a"] for n in (3, 5, 9)] == [b"1", b"1", b"2"]


def test_calls_above_the_limit_are_refused_as_not_begun_also_while_work_on_reset_ones_goes_on() -> None:
    peer = Peer(echoes=False, works_on=True, limits=Limits(16_384, 2))
    answered = peer.take(HELLO + b"".join(opened(n, ends=True) for n in (1, 3, 5)))
    refused = ErrorCode.REFUSED_STREAM.to_bytes(4)
    assert (RESET, 0, 5, refused) in answered
    answered = peer.take(frame(RESET, 0, 1, bytes(4)) + opened(7, ends=True))
    assert (RESET, 0, 7, refused) in answered
    peer.calls[1].stream.answer(b"\x88", b"late", b"")
    answered = peer.take(opened(9, ends=True))
    assert 9 in peer.calls
    assert answered == []


def test_an_answer_before_the_request_is_over_tells_the_client_to_send_no_more() -> None:
    peer = Peer(echoes=False)
    peer.take(HELLO + opened(1))
    before = len(peer.sent)
    peer.calls[1].stream.answer_head(b"\x88")
    assert frames_of(bytes(peer.sent[before:])) == [
        (HEADERS, END_HEADERS | END_STREAM, 1, b"\x88"),
        (RESET, 0, 1, bytes(4)),
    ]
    assert peer.take(frame(DATA, END_STREAM, 1, b"a" * 999)) == []


def test_draining_ends_the_connection_behind_the_last_answer_and_refuses_what_is_new() -> None:
    peer = Peer(echoes=False)
    peer.take(HELLO + opened(1))
    before = len(peer.sent)
    peer.connection.drain()
    peer.connection.drain()
    assert frames_of(bytes(peer.sent[before:])) == [(GOAWAY, 0, 0, goodbye(ErrorCode.NO_ERROR, 1))]
    assert (RESET, 0, 3, ErrorCode.REFUSED_STREAM.to_bytes(4)) in peer.take(opened(3))
    peer.take(frame(DATA, END_STREAM, 1, b"a"))
    assert not peer.is_closed
    peer.calls[1].stream.answer(b"\x88", b"b", b"")
    assert peer.is_closed


def test_a_client_that_says_farewell_is_answered_before_the_end() -> None:
    peer = Peer(echoes=False)
    peer.take(HELLO + opened(1, ends=True) + frame(GOAWAY, 0, 0, bytes(8) + b"bye"))
    assert not peer.is_closed
    peer.calls[1].stream.answer_head(b"\x88")
    assert peer.is_closed


def test_patience_comes_back_with_time_and_with_work() -> None:
    peer = Peer()
    pings = frame(PING, 0, 0, bytes(8))
    peer.take(HELLO + pings * 900)
    peer.now = 10.0
    peer.take(pings * 900)
    number = 1
    for _ in range(300):
        peer.take(pings * 9 + opened(number) + frame(DATA, END_STREAM, number, b"a"))
        number += 2
    assert not peer.is_closed


def test_the_client_is_given_room_on_the_connection_long_before_it_needs_it() -> None:
    peer = Peer(echoes=False)
    peer.take(HELLO + opened(1))
    chunk = frame(DATA, 0, 1, bytes(DATA_FRAME_BYTES))
    assert peer.take(chunk) == []
    peer.connection._granted -= 2**30 - DATA_FRAME_BYTES  # as if so much more had come
    answered = peer.take(chunk)
    assert answered == [(WINDOW, 0, 0, (2**30 + DATA_FRAME_BYTES).to_bytes(4))]
    assert peer.take(chunk) == []


@given(st.binary(max_size=60))
def test_bytes_that_are_no_frames_are_read_without_harm(data: bytes) -> None:
    Peer().take(HELLO + data)
    Peer().take(data)


def test_data_is_handed_on_as_it_comes_and_nothing_of_it_is_kept() -> None:
    reader = FrameReader(2**20, 2**14)
    head = PREFACE + frame(SETTINGS, 0, 0) + frame(DATA, END_STREAM, 1, bytes(1000))[:9]
    list(reader.read(memoryview(head)))
    parts = [part for n in (300, 600, 100) for part in reader.read(memoryview(bytes(n)))]
    assert [(flags, sum(map(len, pieces))) for _, flags, _, pieces in parts] == [(0, 300), (0, 600), (END_STREAM, 100)]
    assert reader.controlled == 1000


def test_frames_of_one_head_are_handed_on_together_up_to_the_first_that_differs() -> None:
    """Clients cut a message into many frames of one length, of which the last is another."""
    reader = FrameReader(2**20, 2**14)
    list(reader.read(memoryview(PREFACE)))
    alike = [frame(DATA, 0, 3, bytes([number]) * 500) for number in range(5)]
    others = [frame(DATA, 0, 5, b"5" * 500), frame(DATA, 0, 5, b"6" * 499), frame(DATA, END_STREAM, 5, b"7" * 499)]
    parts = [
        (flags, stream, [bytes(piece) for piece in pieces])
        for _, flags, stream, pieces in reader.read(memoryview(b"".join(alike + others)))
    ]
    assert parts == [
        (0, 3, [bytes([number]) * 500 for number in range(5)]),
        (0, 5, [b"5" * 500]),
        (0, 5, [b"6" * 499]),
        (END_STREAM, 5, [b"7" * 499]),
    ]
    assert (reader.controlled, reader.small) == (5 * 500 + 500 + 2 * 499, 0)


def test_small_frames_of_one_head_count_one_by_one() -> None:
    reader = FrameReader(2**20, 2**14)
    list(reader.read(memoryview(PREFACE)))
    list(reader.read(memoryview(frame(DATA, 0, 1, b"a") * 70)))
    assert (reader.controlled, reader.small) == (70, 70)
