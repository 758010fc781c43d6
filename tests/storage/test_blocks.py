"""Whole blocks: what is written is there, whatever its sizes, and also where a file system takes no direct writes."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanverdict.storage.blocks import BLOCK, BlockWriter, rounded_up
from spanverdict.storage.segments import HEAD_BYTES
from spanverdict.storage.store import Store
from storage.journaling import IN_SEGMENTS, fill, held

DIRECT = getattr(os, "O_DIRECT", 0)
SIZES = st.one_of(
    st.integers(0, 200),
    st.builds(
        lambda blocks, more: max(0, blocks * BLOCK + more), st.integers(0, 5), st.sampled_from((-HEAD_BYTES, -1, 0, 1))
    ),
)


@contextmanager
def opened(blocks: BlockWriter, path: Path) -> Iterator[int]:
    file = blocks.open(path, os.O_CREAT)
    try:
        yield file
    finally:
        os.close(file)


def is_direct(file: int) -> bool:
    return bool(fcntl.fcntl(file, fcntl.F_GETFL) & DIRECT)


def refusing(when: Callable[[int], bool]) -> Callable[[int, memoryview, int], int]:
    """Return a `pwrite` that takes nothing from a file about which that is true."""
    real = os.pwrite

    def pwrite(file: int, data: memoryview, offset: int) -> int:
        if when(file):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return real(file, data, offset)

    return pwrite


def refuse_to_set(file: int, command: int, flags: int = 0) -> int:
    """Stand for the `fcntl` of a file system without direct writes."""
    if command == fcntl.F_SETFL and flags & DIRECT:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return REAL_FCNTL(file, command, flags)


REAL_FCNTL = fcntl.fcntl


@settings(max_examples=60, deadline=None)
@given(commits=st.lists(st.lists(SIZES, max_size=6), max_size=4), buffer=st.sampled_from((1, 2, 3, 8)))
def test_parts_of_any_sizes_stand_one_after_the_other_and_zeros_fill_the_block(commits, buffer) -> None:
    blocks, expected = BlockWriter(buffer * BLOCK), b""
    with TemporaryDirectory() as folder, opened(blocks, Path(folder) / "file") as file:
        for number, sizes in enumerate(commits):
            parts = [bytes([number + part + 1]) * size for part, size in enumerate(sizes)]
            start = len(expected)
            expected += b"".join(parts)
            expected += bytes(rounded_up(len(expected)) - len(expected))
            assert blocks.write(file, parts, start) == len(expected)
        assert (Path(folder) / "file").read_bytes() == expected


@settings(max_examples=40, deadline=None)
@given(groups=st.lists(st.lists(SIZES, min_size=1, max_size=4), min_size=1, max_size=6))
def test_what_was_journaled_is_read_back_whatever_its_sizes(groups) -> None:
    kept = [[bytes([1 + group]) * size for size in sizes] for group, sizes in enumerate(groups)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        for again in (False, True):
            with Store.open(path, synchronous="OFF", limits=IN_SEGMENTS) as store:
                for payloads in () if again else kept:
                    store.journal.append_all(payloads, 1, here=True).result(10)
                assert [batch.payload for batch in store.journal.read()] == [one for group in kept for one in group]
                on_disk = sum(file.stat().st_size for file in path.with_name("store.db-segments").iterdir())
                assert store.journal.bytes_in_segments() == on_disk
                assert on_disk % BLOCK == 0


def test_a_segment_is_written_past_the_cache_where_that_can_be(tmp_path: Path) -> None:
    blocks = BlockWriter()
    with opened(blocks, tmp_path / "file") as file:
        blocks.write(file, [b"x"], 0)
        assert is_direct(file) is blocks.is_direct


def test_where_a_file_cannot_be_opened_for_direct_writes_the_same_blocks_go_through_the_cache(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("fcntl.fcntl", refuse_to_set)
    blocks = BlockWriter()
    with opened(blocks, tmp_path / "file") as file:
        assert blocks.write(file, [b"x" * 5000], 0) == 2 * BLOCK
        assert not blocks.is_direct
        assert not is_direct(file)
    assert (tmp_path / "file").read_bytes() == b"x" * 5000 + bytes(2 * BLOCK - 5000)


def test_where_the_first_direct_write_is_refused_the_same_blocks_go_through_the_cache(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("os.pwrite", refusing(is_direct))
    with Store.open(tmp_path / "store.db", limits=IN_SEGMENTS) as store:
        fill(store, 3, 1)
        assert store.problem is None
        assert held(store) == [1, 2, 3, 4]


def test_what_is_refused_in_any_case_is_an_error(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("os.pwrite", refusing(lambda _: True))
    blocks = BlockWriter()
    with opened(blocks, tmp_path / "file") as file, pytest.raises(OSError, match="Invalid argument"):
        blocks.write(file, [b"x"], 0)


def test_where_the_system_knows_no_direct_writes_nobody_asks_for_them(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("spanverdict.storage.blocks._DIRECT", 0)
    monkeypatch.setattr("fcntl.fcntl", None)
    blocks = BlockWriter()
    with opened(blocks, tmp_path / "file") as file:
        assert blocks.write(file, [b"x"], 0) == BLOCK


def test_what_a_disk_takes_in_pieces_is_there_whole(tmp_path: Path, monkeypatch) -> None:
    real = os.pwrite
    monkeypatch.setattr("os.pwrite", lambda file, data, offset: real(file, data[: max(BLOCK, len(data) // 3)], offset))
    blocks = BlockWriter(8 * BLOCK)
    payload = bytes(range(256)) * 400
    with opened(blocks, tmp_path / "file") as file:
        assert blocks.write(file, [payload], 0) == rounded_up(len(payload))
    assert (tmp_path / "file").read_bytes().rstrip(b"\0") == payload.rstrip(b"\0")
