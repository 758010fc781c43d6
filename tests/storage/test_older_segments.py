"""Segments of the builds before there were blocks: commits stand one right behind the other, and end anywhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spanverdict.storage.blocks import BLOCK, BlockWriter, rounded_up
from spanverdict.storage.store import Store
from spanverdict.storage.writequeue import GroupLimits
from storage.journaling import IN_SEGMENTS, file_of, fill, held, lose_rows, payload, records, segments


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@contextmanager
def written_as_before(path: Path, limits: GroupLimits = IN_SEGMENTS) -> Iterator[Store]:
    def write(_: BlockWriter, file: int, parts: Iterable[bytes], start: int) -> int:
        return start + os.pwrite(file, b"".join(parts), start)

    with pytest.MonkeyPatch.context() as before:
        before.setattr("fcntl.fcntl", lambda *_: 0)
        before.setattr("spanverdict.storage.segments.rounded_up", lambda size: size)
        before.setattr(BlockWriter, "write", write)
        with Store.open(path, limits=limits) as store:
            yield store


def test_such_a_store_is_read_and_goes_on_in_blocks(path: Path) -> None:
    with written_as_before(path) as store:
        fill(store, 2, 1, 3)
        packed = store.journal.bytes_in_segments()
    assert packed % BLOCK
    with Store.open(path, limits=IN_SEGMENTS) as store:
        store.probe()
        fill(store, 1, 2)
        assert held(store) == list(range(1, 10))
        store.probe()
    (segment,) = segments(path)
    places = records(path)
    assert [places[n].start for n in (7, 8)] == [rounded_up(packed), rounded_up(packed) + BLOCK]
    assert segment.stat().st_size == rounded_up(packed) + 2 * BLOCK
    with Store.open(path) as store:
        assert store.journal.bytes_in_segments() == segment.stat().st_size
        for first in (2, 5, 7, 8):
            store.journal.delete_before(first)
            assert store.journal.bytes_in_segments() == segment.stat().st_size - places[first].start
        assert held(store) == [8, 9]


@pytest.mark.parametrize("known", [0, 2], ids=["nothing", "a part"])
@pytest.mark.parametrize("more", [0, 2], ids=["at rest", "gone on"])
def test_what_its_file_lost_is_put_back_too(path: Path, known: int, more: int) -> None:
    with written_as_before(path) as store:
        fill(store, *[1] * known)
        earlier = file_of(path)
        fill(store, 2, 1, 3)
    if more:
        with Store.open(path, limits=IN_SEGMENTS) as store:
            fill(store, 2, 2)
    last = known + 6 + 2 * more
    for _ in range(2):
        lose_rows(path, earlier)
        with Store.open(path, limits=IN_SEGMENTS) as store:
            assert held(store) == list(range(1, last + 1))
            fill(store, 3)
            last += 3


def test_what_was_never_finished_there_never_comes_back(path: Path) -> None:
    """Not even what of it stands in the block in which the last commit ends."""
    with written_as_before(path) as store:
        fill(store, 1)
        earlier = file_of(path)
        fill(store, 2, 3)
    (segment,) = segments(path)
    os.truncate(segment, records(path)[6].start)  # of the commit of 4, 5 and 6 the last is not there
    for known in (0, 1):
        lose_rows(path, earlier)
        with Store.open(path, limits=IN_SEGMENTS) as store:
            found = [batch.payload for batch in store.journal.read()]
            assert found == [*map(payload, (1, 2, 3)), *[b"instead"] * known]
            store.journal.append(b"instead", 1).result(10)
