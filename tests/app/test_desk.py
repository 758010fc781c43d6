"""What one process lays on a desk is what the other takes, and what does not fit there comes by the socket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanverdict.app import desk as room
from spanverdict.app.channel import Channel
from spanverdict.app.desk import PLACE_BYTES, PLACES, Desk, desk_file
from spanverdict.telemetry.blocks import PADDING

BODIES = st.lists(st.lists(st.binary(max_size=40), max_size=4), max_size=3 * PLACES)


@pytest.fixture(scope="module")
def file() -> Iterator[int]:
    found = desk_file()
    assert found is not None
    yield found
    os.close(found)


def channels(file: int) -> tuple[Channel, Channel]:
    """Two ends with a desk between them, as the parent and the child have it."""
    ours, theirs = Channel.pair()
    return Channel(ours, Desk(file, 0, copies=True)), Channel(theirs, Desk(file, 1, copies=False))


@settings(max_examples=50, deadline=None)
@given(bodies=BODIES)
def test_what_is_laid_is_taken_with_zeros_behind_it(file: int, bodies: list[list[bytes]]) -> None:
    one, other = Desk(file, 0, copies=False), Desk(file, 1, copies=True)
    for pieces in bodies:
        for laying, taking in ((one, other), (other, one)):
            size = sum(map(len, pieces))
            place = laying.lay(pieces, size)
            assert place is not None
            assert taking.take(place, size).tobytes() == b"".join(pieces) + bytes(PADDING)


def test_what_lies_there_stays_until_as_many_more_were_laid_as_there_are_places(file: int) -> None:
    laying, taking = Desk(file, 0, copies=True), Desk(file, 1, copies=False)
    seen = [(n, taking.take(laying.lay([bytes([n]) * 9], 9) or 0, 9)) for n in range(PLACES)]
    assert [found[:9].tolist() for _, found in seen] == [[n] * 9 for n, _ in seen]
    laying.lay([b"\xff" * 9], 9)
    assert [int(found[0]) for _, found in seen] == [255, *range(1, PLACES)]


def test_both_sides_have_places_of_their_own(file: int) -> None:
    one, other = Desk(file, 0, copies=False), Desk(file, 1, copies=False)
    laid = [(desk, desk.lay([text], 5) or 0) for desk, text in ((one, b"first"), (other, b"other")) * PLACES]
    assert len({place for _, place in laid}) == 2 * PLACES
    assert [bytes(one.take(place, 5)[:5]) for _, place in laid] == [b"first", b"other"] * PLACES


def test_the_side_that_keeps_what_it_takes_has_it_for_itself(file: int) -> None:
    keeping, other = Desk(file, 0, copies=True), Desk(file, 1, copies=False)
    kept = keeping.take(other.lay([b"kept"], 4) or 0, 4)
    for _ in range(PLACES):
        other.lay([b"gone"], 4)
    assert bytes(kept[:4]) == b"kept"


@pytest.mark.parametrize("size", [0, 1, PLACE_BYTES - PADDING, PLACE_BYTES - PADDING + 1, 2 * PLACE_BYTES])
def test_a_message_of_any_size_comes_whole(file: int, size: int) -> None:
    body = np.random.default_rng(size).bytes(size)
    parent, child = channels(file)
    for sender, receiver in ((parent, child), (child, parent)) * PLACES:
        sending = Thread(target=sender.send, args=(b"head", [body[:5], memoryview(body)[5:]]))
        sending.start()
        message = receiver.receive()
        sending.join()
        assert (message.head, message.body.tobytes(), message.padded[size:].any()) == (b"head", body, False)
        assert message.padded.flags.writeable
    parent.close()
    child.close()


def test_where_there_are_no_files_in_memory_there_is_no_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(room.os, "memfd_create")
    assert desk_file() is None
