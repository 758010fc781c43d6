"""Segments: what stands in them is read back, and whatever is wrong with them is found and costs no other batch."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spanverdict.storage.blocks import BLOCK, rounded_up
from spanverdict.storage.database import Database
from spanverdict.storage.errors import JournalUnavailable, StoreUnavailable
from spanverdict.storage.journal import Damage
from spanverdict.storage.schema import MIGRATIONS, prepare
from spanverdict.storage.segments import HEAD_BYTES
from spanverdict.storage.store import Store
from spanverdict.storage.writequeue import GroupLimits
from storage.journaling import IN_SEGMENTS, file_of, fill, held, in_rows, lose_rows, payload, records, segments

IN_SMALL_SEGMENTS = GroupLimits(rows_below=0, segment_bytes=2 * BLOCK)
STATE_OF_4 = zlib.crc32(repr((1, 3, 100_003, 6)).encode())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def test_small_commits_stand_in_the_file_and_large_ones_beside_it(path: Path) -> None:
    with Store.open(path) as store:
        small, large = b"s" * 40_000, b"l" * 50_000
        for group in ([small], [large], [small, small], [b""]):
            store.journal.append_all(group, 1, here=True).result(10)
        assert [batch.payload for batch in store.journal.read()] == [small, large, small, small, b""]
        assert store.journal.bytes_stored() == 170_000
        whole = rounded_up(50_000 + HEAD_BYTES) + rounded_up(80_000 + 2 * HEAD_BYTES)
        assert store.journal.bytes_in_segments() == whole
    assert in_rows(path) == [1, 5]
    (segment,) = segments(path)
    assert segment.stat().st_size == whole


def test_segments_can_be_read_by_whoever_can_read_the_store(path: Path) -> None:
    Store.open(path).close()
    for mode, folder_mode in ((0o600, 0o700), (0o640, 0o750)):
        path.chmod(mode)
        with Store.open(path, limits=IN_SMALL_SEGMENTS) as store:
            store.journal.append(b"x" * 5000, 1).result(10)
        assert stat.S_IMODE(segments(path)[-1].stat().st_mode) == mode
        if mode == 0o600:
            assert stat.S_IMODE(segments(path)[-1].parent.stat().st_mode) == folder_mode


def test_a_new_segment_is_begun_when_one_is_full_and_a_larger_commit_still_goes_into_one(path: Path) -> None:
    with Store.open(path, limits=IN_SMALL_SEGMENTS) as store:
        fill(store, *[6] * 12)
        store.journal.append(b"x" * 10_000, 1).result(10)
        assert [b.payload for b in store.journal.read(73)] == [b"x" * 10_000]
    assert [segment.stat().st_size for segment in segments(path)] == [2 * BLOCK] * 6 + [3 * BLOCK]
    with Store.open(path, limits=IN_SMALL_SEGMENTS) as store:
        fill(store, 1)
        assert store.journal.bounds().last == 74


def test_a_segment_goes_when_none_of_its_batches_is_needed(path: Path) -> None:
    with Store.open(path, limits=IN_SMALL_SEGMENTS) as store:
        fill(store, *[6] * 12)
        places = records(path)
        for first in (2, 13, 31, 32, 60):
            store.journal.delete_before(first)
            assert held(store) == list(range(first, 73))
            on_disk = sum(segment.stat().st_size for segment in segments(path))
            assert store.journal.bytes_in_segments() == on_disk - places[first].start
            assert places[first].start < 2 * BLOCK
        store.journal.delete_before(73)
        assert (held(store), store.journal.bytes_in_segments(), len(segments(path))) == ([], 0, 1)
        assert store.journal.damaged == ()
        fill(store, 3)
        assert held(store) == [73, 74, 75]


def test_readers_that_are_behind_retention_see_no_damage(path: Path) -> None:
    with Store.open(path, limits=IN_SMALL_SEGMENTS) as store, Store.read_only(path) as other:

        def write() -> None:
            for _ in range(100):
                fill(store, 6)
                store.journal.delete_before(store.journal.bounds().last - 30)

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            while not writing.done():
                for reader in (store, other):
                    ids = held(reader)
                    assert ids == sorted(ids)
            writing.result()
        assert (store.journal.damaged, other.journal.damaged) == ((), ())


def test_several_that_write_to_one_store_do_not_disturb_each_other(path: Path) -> None:
    def write(store: Store) -> list[int]:
        return [i for _ in range(60) for i in store.journal.append_all([b"x" * 20, b"y" * 30], 1).result(30)]

    with (
        Store.open(path, limits=IN_SMALL_SEGMENTS) as one,
        Store.open(path, limits=IN_SMALL_SEGMENTS) as two,
        ThreadPoolExecutor(2) as pool,
    ):
        ids = [i for part in pool.map(write, (one, two)) for i in part]
        assert sorted(ids) == list(range(1, 241))
        assert [batch.id for batch in one.journal.read()] == sorted(ids)
        assert two.journal.damaged == one.journal.damaged == ()


def test_a_store_behind_a_link_has_one_folder_of_segments(path: Path) -> None:
    link = path.with_name("link")
    Store.open(path).close()
    link.symlink_to(path)
    with Store.open(link, limits=IN_SEGMENTS) as store:
        fill(store, 2)
    with Store.open(path) as store:
        assert held(store) == [1, 2]


def test_a_store_of_the_version_before_keeps_its_payloads(path: Path) -> None:
    prepare(Database(path), MIGRATIONS[:4])
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO batches VALUES (1, 5, 3, ?, ?)", (zlib.crc32(b"abc"), b"abc"))
        connection.execute(
            "INSERT INTO batches VALUES (2, 6, 100000, ?, zeroblob(100000))", (zlib.crc32(bytes(100_000)),)
        )
        connection.execute("DELETE FROM journal_state")
        connection.execute("INSERT INTO journal_state VALUES (1, 1, 3, 100003, 6, ?)", (STATE_OF_4,))
    connection.close()
    with Store.open(path, limits=IN_SEGMENTS) as store:
        store.journal.append(b"new", 7).result(10)
        assert [(b.id, b.received_unix_nano, b.payload) for b in store.journal.read()] == [
            (1, 5, b"abc"),
            (2, 6, bytes(100_000)),
            (3, 7, b"new"),
        ]
        assert store.journal.bytes_stored() == 100_006
        assert store.journal.delete_before(3) == 2
        assert store.journal.bytes_stored() == 3
    assert in_rows(path) == []


def test_a_copy_without_its_segments_has_damaged_batches_and_is_never_empty(path: Path) -> None:
    with Store.open(path, limits=IN_SEGMENTS) as store:
        fill(store, 3)
    for segment in segments(path):
        segment.unlink()
    segment.parent.rmdir()
    with Store.read_only(path) as store:
        assert store.journal.bounds() == (1, 3)
        assert held(store) == []
        assert store.journal.damaged == tuple(Damage(n, "its segment 00000001.seg is missing") for n in (1, 2, 3))
    with Store.open(path, limits=IN_SEGMENTS) as store:
        fill(store, 2)
        assert held(store) == [4, 5]


def test_a_store_that_was_made_anew_has_nothing_of_the_one_before(path: Path, caplog) -> None:
    with Store.open(path, limits=IN_SEGMENTS) as store:
        fill(store, 3)
    before = segments(path)[0].read_bytes()
    path.unlink()
    for _ in range(2):
        with Store.open(path, limits=IN_SEGMENTS) as store:
            last = store.journal.bounds().last
            fill(store, 2)
            assert held(store) == list(range(1, last + 3))
    assert caplog.text.count("holds segments of a store that was here before") == 1
    assert segments(path)[0].read_bytes() == before


def test_a_segment_that_was_cut_short_is_left_as_it_is(path: Path) -> None:
    with Store.open(path, limits=IN_SEGMENTS) as store:
        fill(store, 3, 3)
        (segment,) = segments(path)
        os.truncate(segment, records(path)[6].stop - 1)
    with Store.open(path, limits=IN_SEGMENTS) as store:
        fill(store, 2)
        assert held(store) == [1, 2, 3, 4, 5, 7, 8]
        assert store.journal.damaged == (Damage(6, "not as long as it was"),)
    assert len(segments(path)) == 2


def test_a_flipped_bit_anywhere_costs_the_batch_in_which_it_is_and_no_other(path: Path) -> None:
    with Store.open(path, limits=IN_SEGMENTS) as store:
        fill(store, 1, 3, 2)
        (segment,) = segments(path)
        whole, places = segment.read_bytes(), records(path)
        for offset in sorted({at for place in places.values() for at in place} | {*range(0, len(whole), 97)}):
            bad = bytearray(whole)
            bad[offset] ^= 1 << (offset % 8)
            segment.write_bytes(bad)
            lost = [number for number, place in places.items() if offset in place]
            told: list[Damage] = []
            kept = [(b.id, b.payload) for b in store.journal.read(on_damage=told.append)]
            assert kept == [(n, payload(n)) for n in range(1, 7) if n not in lost], offset
            assert [damage.batch_id for damage in told] == lost, offset


@pytest.mark.parametrize("column", ["received_unix_nano", "size", "crc", "segment", "start"])
def test_a_row_that_disagrees_with_its_record_is_damaged(path: Path, column: str) -> None:
    with Store.open(path, limits=IN_SEGMENTS) as store:
        fill(store, 3)
        for value in (f"{column} + 1", f"{column} | 0x1000000000000000", "'text'", "-1"):
            change = f"UPDATE batches SET {column} = {value} WHERE id = 2"
            store._writer.call(lambda connection, change=change: connection.execute(change).rowcount)
            assert held(store) == [1, 3], value
            assert [damage.batch_id for damage in store.journal.damaged] == [2]


@pytest.mark.parametrize("value", ["NULL", "'text'", "-1", "1.5", "0x7fffffffffffffff"])
def test_a_row_that_does_not_say_where_its_record_is_can_be_deleted(path: Path, value: str) -> None:
    with Store.open(path, limits=IN_SEGMENTS) as store:
        fill(store, 2, 2, 2)
        for number in (2, 3):
            change = f"UPDATE batches SET start = {value} WHERE id = {number}"
            store._writer.call(lambda connection, change=change: connection.execute(change).rowcount)
        assert [store.journal.delete_before(first) for first in (3, 5)] == [2, 2]
        assert 0 <= store.journal.bytes_in_segments() <= 3 * BLOCK
        fill(store, 1)
        assert held(store) == [5, 6, 7]


def test_a_segment_that_cannot_be_opened_just_now_is_no_damage(path: Path, monkeypatch) -> None:
    with Store.open(path, limits=IN_SEGMENTS) as store:
        fill(store, 1)

        def refuse(*_: object) -> int:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        with monkeypatch.context() as patched:
            patched.setattr("os.open", refuse)
            with pytest.raises(StoreUnavailable, match="Too many open files"):
                list(store.journal.read())
        assert (held(store), store.journal.damaged) == ([1], ())


def half(real: Callable[..., int], file: int, data: memoryview, offset: int) -> int:
    """Write half of it; when a block is left of that there is no space."""
    if len(data) <= BLOCK:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return real(file, data[: len(data) // 2], offset)


def fail(code: int) -> Callable[..., None]:
    def failing(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return failing


FAULTS = {
    "full": {"pwrite": "half"},
    "full and not cut": {"pwrite": "half", "ftruncate": fail(errno.EIO)},
    "not flushed": {"fdatasync": fail(errno.EIO)},
    "not flushed nor cut": {"fdatasync": fail(errno.EIO), "ftruncate": fail(errno.EIO), "unlink": fail(errno.EIO)},
    "read-only": {"pwrite": fail(errno.EROFS), "ftruncate": fail(errno.EROFS)},
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("before", [0, 2, 6], ids=["first", "in a segment", "in a new one"])
def test_what_cannot_be_written_leaves_nothing_and_what_comes_later_is_there_once(
    path: Path, monkeypatch, name: str, before: int
) -> None:
    with Store.open(path, limits=GroupLimits(rows_below=0, segment_bytes=6 * BLOCK)) as store:
        fill(store, *[1] * before)
        earlier = file_of(path)
        with monkeypatch.context() as disk:
            real = os.pwrite
            for call, how in FAULTS[name].items():
                replaced = (lambda *given, real=real: half(real, *given)) if how == "half" else how
                disk.setattr(f"os.{call}", replaced)
            for _ in range(3):
                failed = store.journal.append_all([b"f" * 10_000, b"g" * 50, b"h" * 60], 1, here=True)
                with pytest.raises(JournalUnavailable, match="cannot commit"):
                    failed.result(10)
            assert store.problem
            assert held(store) == list(range(1, before + 1))
            assert len(segments(path)) <= 3
        fill(store, 1, 2)
        assert store.problem is None
        assert held(store) == list(range(1, before + 4))
        assert sum(segment.stat().st_size for segment in segments(path)) == store.journal.bytes_in_segments()
    lose_rows(path, earlier)
    with Store.open(path) as store:
        assert held(store) == list(range(1, before + 4))
