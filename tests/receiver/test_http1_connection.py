"""A connection of HTTP/1.1 without its socket: held against another implementation, and against what the RFC forbids."""

from __future__ import annotations

import re
from dataclasses import dataclass

import h11
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from receiver.http1_peer import HEAD_BYTES, Peer
from spanverdict.receiver.http1.connection import Phase

POST = b"POST /a HTTP/1.1\r\nHost: b\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
Requests = list[tuple[bytes, bytes, bytes]]


def post(body: bytes, more: bytes = b"") -> bytes:
    return POST + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


@dataclass(frozen=True)
class Sent:
    """A right request, and what it says."""

    data: bytes
    said: tuple[bytes, bytes, bytes]
    is_last: bool = False


NAMES = st.sampled_from([b"X-A", b"accept", b"User-Agent", b"x.b!"])
VALUES = st.sampled_from([b"", b"a", b"a b\tc", b"caf\xe9", b"x" * 300])
BODIES = st.binary(max_size=60) | st.sampled_from([b"z" * 5_000, b"y" * 40_000, b"\r\n\r\n" * 40, POST + b"\r\n"])


@st.composite
def bodies(draw, body: bytes) -> bytes:
    """Write a body with a length, or in chunks."""
    if draw(st.booleans()):
        return b"Content-Length:%b%d\r\n\r\n" % (draw(st.sampled_from([b" ", b"", b"\t "])), len(body)) + body
    chunks, at = [], 0
    while at < len(body):
        size = draw(st.integers(1, len(body) - at))
        extension = draw(st.sampled_from([b"", b"", b";a", b"; b=c"]))
        chunks.append(b"%x%b\r\n%b\r\n" % (size, extension, body[at : at + size]))
        at += size
        if len(chunks) > 4:
            chunks.append(b"%X\r\n%b\r\n" % (len(body) - at, body[at:]) if at < len(body) else b"")
            break
    trailer = draw(st.sampled_from([b"", b"X-T: u\r\n"]))
    return CHUNKED + b"\r\n" + b"".join(chunks) + b"0\r\n" + trailer + b"\r\n"


@st.composite
def right_requests(draw) -> Sent:
    method = draw(st.sampled_from([b"POST", b"PUT", b"OPTIONS"]))
    path = draw(st.sampled_from([b"/a", b"/v1/traces", b"/"]))
    query = draw(st.sampled_from([b"", b"?a=b"]))
    fields = b"".join(b"%b: %b\r\n" % (draw(NAMES), draw(VALUES)) for _ in range(draw(st.integers(0, 3))))
    body = draw(BODIES)
    is_last = draw(st.integers(0, 5)) == 0
    fields += b"Connection: x, Close\r\n" if is_last else b""
    head = b"%b %b%b HTTP/1.1\r\nHost: b\r\n%b" % (method, path, query, fields)
    return Sent(head + draw(bodies(body)), (method, path, body), is_last)


def read_by_another(data: bytes) -> Requests:
    """Return the requests that h11 reads; it does not know of an empty line before one (RFC 9112, 2.2)."""
    found: Requests = []
    goes_on = True
    while goes_on:
        other = h11.Connection(h11.SERVER, max_incomplete_event_size=100_000)
        other.receive_data(data.removeprefix(b"\r\n"))
        try:
            event, body = other.next_event(), b""
            if not isinstance(event, h11.Request):
                return found
            while isinstance(piece := other.next_event(), h11.Data):
                body += piece.data
        except h11.RemoteProtocolError:
            return found
        if not isinstance(piece, h11.EndOfMessage):
            return found
        found.append((bytes(event.method), bytes(event.target).partition(b"?")[0], body))
        other.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        other.send(h11.EndOfMessage())
        goes_on = other.our_state is h11.DONE
        data, _ = other.trailing_data
    return found


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    pieces = []
    for size in cuts:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in (*pieces, data) if piece]


@settings(max_examples=80)
@given(st.lists(right_requests(), max_size=4), st.lists(st.integers(1, 20_000), max_size=10), st.booleans())
def test_right_requests_are_read_as_they_were_meant_and_as_another_implementation_reads_them(
    sent: list[Sent], cuts: list[int], lends: bool
) -> None:
    data = b"".join(request.data for request in sent)
    last = next((place for place, request in enumerate(sent) if request.is_last), len(sent))
    meant = [request.said for request in sent[: last + 1]]
    peer = Peer(lends=lends)
    for piece in cut(data, cuts):
        peer.take(piece)
    assert peer.requests == meant == read_by_another(data)
    assert peer.faults == []
    assert bool(peer.closed) == any(request.is_last for request in sent)
    assert peer.sent.count(b"HTTP/1.1 200 OK\r\n") == len(meant)


@st.composite
def changed_requests(draw) -> bytes:
    """Write requests with a few bytes of their heads and chunks changed."""
    small = [draw(right_requests()) for _ in range(draw(st.integers(1, 3)))]
    assume(sum(len(request.data) for request in small) < 2_000)
    changed = bytearray(b"".join(request.data for request in small))
    odd = st.sampled_from(
        [b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b"\0", b"0", b"1", b"+1", b",", b"\x0b", b"\xff", b"HTTP/1.0",
         b"\r\nContent-Length: 1", b"\r\nTransfer-Encoding: chunked", b"\r\n\r\n", b"\r\n x"]
    )  # fmt: skip
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(changed)))
        changed[at : at + draw(st.integers(0, 2))] = draw(odd)
    return bytes(changed)


@settings(max_examples=300)
@given(changed_requests())
def test_whatever_is_read_another_implementation_reads_as_the_same_requests(data: bytes) -> None:
    """Ours takes less: what it does take must not be something else to whoever stands before it, or behind."""
    peer = Peer()
    peer.take(data)
    theirs = read_by_another(data)
    ours = [(method, path, body) for method, path, body in peer.requests if b"%" not in path]
    assert ours == theirs[: len(ours)]


@settings(max_examples=100)
@given(changed_requests(), st.lists(st.integers(1, 400), max_size=20), st.booleans())
def test_how_bytes_are_cut_into_reads_changes_nothing(data: bytes, cuts: list[int], lends: bool) -> None:
    whole, some, single = Peer(lends=lends), Peer(lends=lends), Peer(lends=lends)
    whole.take(data)
    for piece in cut(data, cuts):
        some.take(piece)
    for byte in data:
        single.take(bytes([byte]))
    assert whole.requests == some.requests == single.requests
    assert _statuses(whole) == _statuses(some) == _statuses(single)
    assert whole.closed == some.closed == single.closed


def _statuses(peer: Peer) -> list[bytes]:
    return re.findall(rb"HTTP/1.1 (\d+) ", peer.sent)


STRICTER = {
    "lines that end without a carriage return": b"POST /a HTTP/1.1\nHost: b\nContent-Length: 1\n\nx",
    "a folded line": POST + b"X-Long: a\r\n b\r\nContent-Length: 1\r\n\r\nx",
    "the same length twice": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "a list of the same length": POST + b"Content-Length: 1, 1\r\n\r\nx",
    "a length and chunks": POST + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "chunks whose lines end without a carriage return": POST + CHUNKED + b"\r\n1\nx\n0\n\n",
}


@pytest.mark.parametrize("case", STRICTER)
def test_what_others_put_up_with_and_a_proxy_may_read_otherwise_is_refused(case: str) -> None:
    """Checked by hand: RFC 9112 lets a server refuse each, and each has been used to smuggle requests."""
    peer = Peer()
    peer.take(STRICTER[case])
    assert (peer.requests, _statuses(peer), peer.closed) == ([], [b"400"], [True])


WRONG = {
    "no host": b"POST /a HTTP/1.1\r\n\r\n",
    "two hosts": POST + b"Host: c\r\n\r\n",
    "an unknown version": b"POST /a HTTP/2.0\r\nHost: a\r\n\r\n",
    "no version": b"POST /a\r\n\r\n",
    "a target with a space": b"POST /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 1\r\n\r\nx",
    "a name with a space": POST + b"Ho st: a\r\n\r\n",
    "a line that is no header": POST + b"nothing\r\n\r\n",
    "a NUL": POST + b"X: a\0b\r\n\r\n",
    "a lone carriage return": POST + b"X: a\rContent-Length: 1\r\n\r\nx",
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 1\r\n\r\nx",
    "a length with a sign": POST + b"Content-Length: +1\r\n\r\nx",
    "a length in hex": POST + b"Content-Length: 0x1\r\n\r\nx",
    "an empty length": POST + b"Content-Length: \r\n\r\n",
    "a length in other digits": POST + "Content-Length: \u0661\r\n\r\n".encode(),
    "a length beyond all bounds": POST + b"Content-Length: 18446744073709551617\r\n\r\nx",
    "an unknown coding": POST + b"Transfer-Encoding: gzip\r\n\r\nx",
    "a coding behind chunks": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a coding behind something odd": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks twice": POST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /a HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "a chunk size with a sign": POST + CHUNKED + b"\r\n+1\r\nx\r\n0\r\n\r\n",
    "a chunk size with a prefix": POST + CHUNKED + b"\r\n0x1\r\nx\r\n0\r\n\r\n",
    "a chunk size behind a space": POST + CHUNKED + b"\r\n 1\r\nx\r\n0\r\n\r\n",
    "a chunk size beyond all bounds": POST + CHUNKED + b"\r\n1ffffffffffffffff\r\nx\r\n0\r\n\r\n",
    "no chunk size": POST + CHUNKED + b"\r\n\r\nx\r\n0\r\n\r\n",
    "a chunk longer than it says": POST + CHUNKED + b"\r\n1\r\nxx\r\n0\r\n\r\n",
    "a chunk extension without end": POST + CHUNKED + b"\r\n1;" + b"y" * 2000,
    "a trailer that is no header": POST + CHUNKED + b"\r\n0\r\nnothing\r\n\r\n",
    "a trailer that belongs to the head": POST + CHUNKED + b"\r\n0\r\nContent-Length: 1\r\n\r\n",
    "trailers without end": POST + CHUNKED + b"\r\n0\r\n" + b"X: yyyyyyyy\r\n" * 2000,
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "empty lines": b"\r\n\r\n",
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_request_is_told_so_at_once_and_nothing_behind_it_is_read(case: str) -> None:
    for data in (WRONG[case], post(b"") + WRONG[case]):
        peer = Peer()
        peer.take(data + post(b"smuggled"))
        assert all(body != b"smuggled" for _, _, body in peer.requests)
        assert _statuses(peer)[-1] == b"400"
        assert peer.closed == [True]
        assert all(call.said in (["end"], ["cancel"]) for call in peer.calls)


@pytest.mark.parametrize("data", [POST + b"X: " + b"y" * HEAD_BYTES, POST + b"X: " + b"y" * HEAD_BYTES + b"\r\n\r\n"])
def test_a_head_that_is_too_long_is_told_so(data: bytes) -> None:
    peer = Peer()
    peer.take(data)
    assert (_statuses(peer), peer.closed) == ([b"431"], [True])


def test_the_same_head_with_other_lengths_is_the_same_object_and_another_is_not() -> None:
    peer = Peer()
    peer.take(post(b"a", b"X: y\r\n") + post(b"b" * 12_345, b"X: y\r\n") + post(b"", b"X: z\r\n") + post(b"c"))
    first, second, third, fourth = (call.head for call in peer.calls)
    assert first is second
    assert (third.fields[b"x"], b"x" in fourth.fields) == (b"z", False)
    assert [len(call.body) for call in peer.calls] == [1, 12_345, 0, 1]


def test_what_an_earlier_request_left_in_the_buffer_is_no_part_of_a_head() -> None:
    peer = Peer()
    whole = post(b"", b"Connection: keep-alive\r\n")
    peer.take(whole)
    peer.take(whole[:-3])
    assert len(peer.calls) == 1
    peer.take(whole[-3:])
    assert len(peer.calls) == 2


def test_a_line_break_before_a_request_is_overlooked_as_some_clients_send_one() -> None:
    peer = Peer()
    peer.take(b"\r\n" + post(b"a") + b"\r" + b"\n" + post(b"b"))
    assert [body for _, _, body in peer.requests] == [b"a", b"b"]


@pytest.mark.parametrize("target", [b"http://host:1/a?b", b"HTTPS://host/a", b"/%61", b"/a?/b"])
def test_a_target_may_be_written_in_several_ways(target: bytes) -> None:
    peer = Peer()
    peer.take(post(b"").replace(b"/a", target))
    assert [path for _, path, _ in peer.requests] == [b"/a"]


@pytest.mark.parametrize(("fields", "keeps"), [(b"", False), (b"Connection: Keep-Alive\r\n", True)])
def test_http_1_0_is_served_and_its_connection_kept_where_it_asks_for_that(fields: bytes, keeps: bool) -> None:
    peer = Peer()
    peer.take(b"POST /a HTTP/1.0\r\n%bContent-Length: 1\r\n\r\nx" % fields)
    assert peer.requests == [(b"POST", b"/a", b"x")]
    assert peer.closed == ([] if keeps else [False])


def test_requests_that_come_too_early_wait_are_counted_and_are_answered_in_order() -> None:
    peer = Peer(answers=False)
    peer.take(post(b"first") + post(b"second"))
    peer.take(post(b"third"))
    assert (len(peer.calls), peer.is_held, peer.kept.size) == (1, True, len(post(b"second")))
    peer.calls[0].answer(200, b"", b"one")
    assert (len(peer.calls), peer.kept.size) == (2, 0)
    peer.calls[1].answer(200, b"", b"two")
    peer.take(b"")
    peer.calls[2].answer(200, b"", b"three")
    assert [body for _, _, body in peer.requests] == [b"first", b"second", b"third"]
    assert re.findall(rb"\r\n\r\n([a-z]+)", peer.sent) == [b"one", b"two", b"three"]
    assert not peer.is_held


def test_what_comes_too_early_and_finds_no_room_is_let_go_with_the_connection_behind_the_answer() -> None:
    peer = Peer(answers=False)
    others = peer.budget.lease(peer.budget.capacity - 100)
    peer.take(post(b"first") + post(b"x" * 200))
    peer.calls[0].answer(200, b"", b"")
    assert (len(peer.calls), peer.closed, b"connection: close" in peer.sent) == (1, [False], True)
    others.release()
    assert peer.budget.in_use == len(b"first")


def test_who_asks_whether_a_body_is_welcome_is_told_so_unless_it_has_come() -> None:
    asking = b"Expect: 100-continue\r\n"
    peer = Peer()
    head, body = post(b"abc", asking)[:-3], b"abc"
    assert peer.take(head) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert peer.take(body).startswith(b"HTTP/1.1 200")
    assert peer.take(head + body).startswith(b"HTTP/1.1 200")
    assert not peer.closed


def test_who_asks_whether_a_body_is_welcome_and_hears_no_loses_the_connection() -> None:
    """It may send the body all the same, or its next request; nobody could tell which."""
    peer = Peer(refuses=401)
    answered = peer.take(post(b"abc", b"Expect: 100-continue\r\n")[:-3])
    assert answered.startswith(b"HTTP/1.1 401")
    assert b"connection: close" in answered
    assert peer.closed == [True]


def test_the_body_of_a_request_that_was_refused_is_skipped_and_the_next_one_read() -> None:
    peer = Peer(refuses=401)
    answered = peer.take(post(b"abc" * 50_000)[:-10])
    assert answered.startswith(b"HTTP/1.1 401")
    assert peer.connection.phase is Phase.REST
    peer.refuses = None
    peer.take((b"abc" * 50_000)[-10:] + post(b"next"))
    assert peer.requests == [(b"POST", b"/a", b"next")]


def test_a_body_in_chunks_that_was_refused_costs_the_connection_as_its_end_is_not_known() -> None:
    peer = Peer(refuses=401)
    assert b"connection: close" in peer.take(POST + CHUNKED + b"\r\n1\r\nx\r\n")
    assert peer.closed == [True]


def test_the_answer_to_a_head_request_has_no_body() -> None:
    peer = Peer()
    answered = peer.take(post(b"").replace(b"POST", b"HEAD"))
    assert answered.endswith(b"content-length: 2\r\n\r\n")


def test_an_answer_before_the_body_is_handed_over_is_the_only_one() -> None:
    """The body came whole to where it stays, and the call gave up before it was told."""
    peer = Peer()
    peer.take(post(b"x" * 100_000)[:-50_000])
    connection = peer.connection
    assert len(connection.room()) == 50_000
    connection.took(50_000)
    assert connection.is_due
    peer.calls[0].answer(408, b"", b"")
    connection.proceed()
    assert (_statuses(peer), peer.closed, connection.phase) == ([b"408"], [], Phase.HEAD)


def test_draining_closes_what_is_idle_at_once_and_the_others_behind_their_answer() -> None:
    idle, busy, begun = Peer(), Peer(answers=False), Peer()
    busy.take(post(b"a"))
    begun.take(post(b"a")[:9])
    for peer in (idle, busy, begun):
        peer.connection.drain()
    assert (idle.closed, busy.closed, begun.closed) == ([False], [], [])
    busy.calls[0].answer(200, b"", b"")
    begun.take(post(b"a")[9:])
    assert (busy.closed, begun.closed) == ([False], [False])
    assert b"connection: close" in busy.sent
    assert b"connection: close" in begun.sent


def test_a_client_that_leaves_ends_its_call() -> None:
    peer = Peer()
    peer.take(post(b"abc")[:-1])
    peer.connection.lose()
    assert peer.calls[0].said == ["cancel"]
