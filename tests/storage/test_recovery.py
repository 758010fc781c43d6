"""What SQLite lost and segments still have is put back: whole commits, once, under the ids that they had."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanverdict.storage.blocks import BLOCK, rounded_up
from spanverdict.storage.errors import JournalUnavailable, StoreUnusable
from spanverdict.storage.segments import HEAD_BYTES
from spanverdict.storage.store import Store
from spanverdict.storage.writequeue import GroupLimits
from storage.journaling import IN_SEGMENTS, file_of, fill, going_on, held, lose_rows, payload, segments

EARLY = (1, 3)
LATE = (2, 1, 3)
EARLY_LAST, LAST = sum(EARLY), sum(EARLY) + sum(LATE)


@dataclass(frozen=True)
class Cut:
    """A store whose file is older than its segment."""

    folder: Path
    early: int
    """Where in the segment the end is of which the file knows."""

    @property
    def path(self) -> Path:
        return self.folder / "store.db"

    @property
    def segment(self) -> Path:
        return segments(self.path)[0]

    def places(self) -> list[range]:
        """Where in the segment each batch stands that the file does not know."""
        found, number, end = [], EARLY_LAST, self.early
        for count in LATE:
            end = rounded_up(end)
            for number in range(number + 1, number + count + 1):  # noqa: B020 - goes on where it was
                found.append(range(end, end + HEAD_BYTES + len(payload(number))))
                end = found[-1].stop
        return found

    def inside(self) -> list[int]:
        """Every place inside of them, and some of those between."""
        return sorted(
            {at for place in self.places() for at in place} | {*range(self.early, self.places()[-1].stop, 333)}
        )


@pytest.fixture
def cut(tmp_path: Path) -> Cut:
    path = tmp_path / "store.db"
    with Store.open(path, limits=IN_SEGMENTS) as store:
        fill(store, *EARLY)
        early, size = file_of(path), segments(path)[0].stat().st_size
        fill(store, *LATE)
    lose_rows(path, early)
    return Cut(tmp_path, size)


def copies(cut: Cut, base: Path) -> Iterator[Cut]:
    while True:
        with TemporaryDirectory(dir=base) as folder:
            yield Cut(shutil.copytree(cut.folder, Path(folder) / "s", ignore=shutil.ignore_patterns("tmp*")), cut.early)


def reopened(path: Path, *, twice: bool = True) -> list[int]:
    """Return which batches there are, and see to it that going on, and opening it again, changes nothing of that."""
    with Store.open(path, synchronous="OFF", limits=IN_SEGMENTS) as store:
        found, last = going_on(store), store.journal.bounds().last
    if twice:
        with Store.open(path, synchronous="OFF") as store:
            assert held(store) == [*found, last]
    return found


def test_what_a_power_failure_took_is_put_back_as_it_was(tmp_path: Path, caplog) -> None:
    path = tmp_path / "store.db"
    with Store.open(path, limits=GroupLimits(rows_below=0, segment_bytes=2 * BLOCK)) as store:
        fill(store, 1)
        early = file_of(path)
        fill(store, 1, 3, 2, 1, 5)
        before = store.journal._state()
    assert len(segments(path)) > 2
    lose_rows(path, early)
    with Store.open(path) as store:
        assert store.journal._state() == before
        assert held(store) == list(range(1, 14))
        assert (store.journal.damaged, store.lost_commits) == ((), 0)
    assert "12 batches of the journal that the store's file had lost were put back" in caplog.text
    with Store.open(path) as store:
        assert store.journal._state() == before
    assert caplog.text.count("put back") == 1


def test_wherever_the_last_segment_is_torn_whole_commits_are_put_back_and_no_others(cut: Cut, tmp_path: Path) -> None:
    whole, places = cut.segment.read_bytes(), cut.places()
    assert rounded_up(places[-1].stop) == len(whole)
    for size, copy in zip([*cut.inside(), places[-1].stop, len(whole)], copies(cut, tmp_path), strict=False):
        copy.segment.write_bytes(whole[:size])
        ends = {EARLY_LAST: 0, 6: places[1].stop, 7: places[2].stop, 10: places[5].stop}
        last = max(number for number, end in ends.items() if end <= size)
        assert reopened(copy.path, twice=size % 16 == 0) == list(range(1, last + 1)), size


def test_a_torn_end_of_which_later_parts_arrived_is_no_commit(cut: Cut, tmp_path: Path) -> None:
    """A disk may write the parts of what was not flushed in any order."""
    whole, places = cut.segment.read_bytes(), cut.places()
    for at, copy in zip(range(places[3].start, places[5].stop, 5), copies(cut, tmp_path), strict=False):
        copy.segment.write_bytes(whole[:at] + bytes(byte ^ 0xFF for byte in whole[at : at + 5]) + whole[at + 5 :])
        assert reopened(copy.path) == list(range(1, 8)), at


def test_a_flipped_bit_in_what_is_to_be_put_back_costs_no_other_commit(cut: Cut, tmp_path: Path) -> None:
    whole, places = cut.segment.read_bytes(), cut.places()
    flipped = [at for at in cut.inside() if at < places[2].stop][::3]
    for at, copy in zip(flipped, copies(cut, tmp_path), strict=False):
        copy.segment.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        lost = {n for n, place in enumerate(places, EARLY_LAST + 1) if at in place}
        assert reopened(copy.path) == [n for n in range(1, LAST + 1) if n not in lost], at


def test_a_store_without_its_log_has_every_batch(tmp_path: Path) -> None:
    path, copy = tmp_path / "store.db", tmp_path / "copy" / "store.db"
    with Store.open(path, limits=IN_SEGMENTS) as store:
        fill(store, 1)
    with Store.open(path, limits=IN_SEGMENTS) as store:
        fill(store, 4, 2)
        copy.parent.mkdir()
        shutil.copy(path, copy)
        shutil.copytree(segments(path)[0].parent, copy.with_name("store.db-segments"))
    assert reopened(copy) == list(range(1, 8))


def test_what_stood_in_rows_between_segments_is_missed_when_it_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Store.open(path, limits=GroupLimits(rows_below=40)) as store:
        store.journal.append(payload(1) * 9, 1).result(10)
        early = file_of(path)
        for number in (2, 3, 4):
            store.journal.append(b"in the row" if number == 3 else b"x" * 50, 1).result(10)
    lose_rows(path, early)
    with Store.open(path) as store:
        assert [batch.id for batch in store.journal.read()] == [1, 2, 4]
        assert [(damage.batch_id, damage.reason) for damage in store.journal.damaged] == [(3, "missing")]


def test_what_was_refused_is_not_put_back_in_place_of_what_came_later(tmp_path: Path, monkeypatch) -> None:
    """Flushed, and then not committed: its ids are given again, here in another segment."""
    path = tmp_path / "store.db"
    with Store.open(path, limits=GroupLimits(rows_below=0, segment_bytes=2 * BLOCK)) as store:
        fill(store, 3)
        early = file_of(path)
        with monkeypatch.context() as broken:

            def refuse(*_: object) -> None:
                raise sqlite3.OperationalError("disk I/O error")

            broken.setattr("spanverdict.storage.batches.write_state", refuse)
            for _ in range(3):
                with pytest.raises(JournalUnavailable):
                    store.journal.append_all([b"refused" * 9, b"this too" * 9], 1, here=True).result(10)
            assert held(store) == [1, 2, 3]
        fill(store, 1, 1, 3)
        assert held(store) == list(range(1, 9))
    lose_rows(path, early)
    assert reopened(path) == list(range(1, 9))


def test_who_only_reads_puts_nothing_back(cut: Cut) -> None:
    before = cut.path.read_bytes(), cut.segment.read_bytes()
    with Store.read_only(cut.path) as store:
        assert held(store) == list(range(1, EARLY_LAST + 1))
    assert (cut.path.read_bytes(), cut.segment.read_bytes()) == before
    assert reopened(cut.path) == list(range(1, LAST + 1))


def test_a_copy_made_while_batches_come_has_all_that_were_there_when_it_was_begun(tmp_path: Path) -> None:
    """First the file, then the segments, as `deploy/README.md` says."""
    path, copy = tmp_path / "store.db", tmp_path / "copy" / "store.db"
    copy.parent.mkdir()
    with (
        Store.open(path, limits=GroupLimits(rows_below=0, segment_bytes=10 * BLOCK)) as store,
        ThreadPoolExecutor(1) as pool,
    ):
        fill(store, 20)
        writing = pool.submit(fill, store, *[3] * 300)
        while store.journal.bounds().last < 100:
            pass
        begun = store.journal.bounds().last
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        shutil.copytree(segments(path)[0].parent, copy.with_name("store.db-segments"))
        writing.result()
    found = reopened(copy)
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= begun


def test_two_that_open_a_store_at_once_put_it_back_once(cut: Cut) -> None:
    def look(_: int) -> list[int]:
        with Store.open(cut.path) as store:
            return held(store)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(look, range(4))) == [list(range(1, LAST + 1))] * 4


def test_a_segment_that_cannot_be_read_is_told_on_one_line(cut: Cut) -> None:
    segment = cut.segment
    segment.unlink()
    segment.mkdir()
    with pytest.raises(StoreUnusable, match=r"store\.db-segments: Is a directory"):
        Store.open(cut.path)


@dataclass
class Life:
    """What happened to a store, and what a power failure may leave of its file: what was flushed, or anything later."""

    store: Store
    appended: int = 0
    deleted: int = 0
    runs: int = 0
    files: list[tuple[bytes, bytes]] = field(default_factory=list)

    def note(self, *, flushed: bool) -> None:
        log = self.store.path.with_name("store.db-wal")
        if flushed:
            self.files.clear()
        self.files.append((self.store.path.read_bytes(), log.read_bytes() if log.exists() else b""))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 4)),
        st.tuples(st.just("delete"), st.integers(1, 3)),
        st.tuples(st.just("run"), st.just(0)),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=30)
@given(steps=STEPS, chance=st.randoms(use_true_random=False))
def test_after_a_power_failure_there_is_what_was_acknowledged_and_nothing_else(steps, chance) -> None:
    """Groups of 60 bytes and more stand in segments here, and their rows are not flushed; all other commits are."""
    limits = GroupLimits(rows_below=60, segment_bytes=3 * BLOCK)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        with Store.open(path, limits=limits) as store:
            life = Life(store)
            life.note(flushed=True)
            for what, count in steps:
                step(life, what, count)
            file, log = chance.choice(life.files)
            flushed = len(life.files[0][1])
        lose_rows(path, file)
        path.with_name("store.db-wal").write_bytes(log[: chance.choice((len(log), chance.randint(flushed, len(log))))])
        with Store.open(path, limits=limits) as store:
            assert held(store) == list(range(life.deleted + 1, life.appended + 1))
            assert (store.journal.damaged, len(store.runs.unfinished())) == ((), life.runs)


def step(life: Life, what: str, count: int) -> None:
    store, flushed = life.store, True
    if what == "append":
        life.appended += count
        numbers = range(life.appended - count + 1, life.appended + 1)
        flushed = sum(len(payload(number)) for number in numbers) < 60
        fill(store, count)
    elif what == "delete":
        life.deleted += store.journal.delete_before(life.deleted + 1 + count)
    else:
        life.runs += 1
        store.runs.touch(f"run-{life.runs}", 1, 1, 1)
    life.note(flushed=flushed)
