"""Crashes, full disks and damaged files: nothing acknowledged is lost, nothing wrong is returned."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from soaking import Progress, again, asked
from spanverdict.storage.database import PAGE_BYTES
from spanverdict.storage.errors import StoreUnavailable, StoreUnusable
from spanverdict.storage.journal import Damage
from spanverdict.storage.store import Store
from spanverdict.storage.writequeue import GroupLimits
from storage.journaling import IN_ROWS, IN_SEGMENTS, records

APPEND_FOREVER = """
import sys
from collections import deque
from spanverdict.storage.store import Store
store = Store.open(sys.argv[1])
store.runs.touch("run", 1, 1, 1)
futures = deque()
for i in range(10**9):
    futures.append(store.journal.append(b"%d;" % i * (i % 4000 + 1), i))
    if len(futures) == 16:
        print(futures.popleft().result(), flush=True)
"""

FILL_THE_DISK = """
import resource, sys
from spanverdict.storage.errors import JournalUnavailable
from spanverdict.storage.store import Store
with Store.open(sys.argv[1]) as store:
    acknowledged = [store.journal.append(b"a" * 50_000, 1).result()]
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    try:
        while True:
            acknowledged.append(store.journal.append(b"a" * 50_000, 1).result())
    except JournalUnavailable as error:
        assert "cannot commit" in str(error) and store.problem, error
    read = [b.id for b in store.journal.read()]
    assert set(acknowledged) <= set(read) and store.journal.damaged == (), (acknowledged, read)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    acknowledged.append(store.journal.append(b"a" * 50_000, 1).result())
    store.probe()
    assert store.problem is None
    print(*acknowledged)
"""


@pytest.mark.parametrize("acknowledgements", [1, 37, 150, 400])
def test_everything_acknowledged_is_there_after_kill_9(tmp_path: Path, acknowledgements: int) -> None:
    path = tmp_path / "store.db"
    child = subprocess.Popen([sys.executable, "-c", APPEND_FOREVER, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = [int(child.stdout.readline()) for _ in range(acknowledgements)]
    child.kill()
    acknowledged += [int(line) for line in child.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
    assert child.returncode == -signal.SIGKILL
    with Store.open(path) as store:
        batches = {b.id: b.payload for b in store.journal.read()}
        assert (store.journal.damaged, store.lost_commits) == ((), 0)
        assert set(acknowledged) <= set(batches)
        assert list(batches) == list(range(1, len(batches) + 1))
        assert all(p == b"%d;" % (i - 1) * ((i - 1) % 4000 + 1) for i, p in batches.items())
        assert [run.id for run in store.runs.unfinished()] == ["run"]
        assert store.journal.append(b"on", 1).result(10) == len(batches) + 1


def test_a_full_disk_is_an_error_to_retry_and_the_journal_recovers_when_there_is_space(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    acknowledged = {int(word) for word in done.stdout.split()}
    with Store.open(path) as store:
        batches = list(store.journal.read())
        assert acknowledged <= {b.id for b in batches}
        assert {b.payload for b in batches} == {b"a" * 50_000}


def payload(batch_id: int) -> bytes:
    return b"<batch %d>" % batch_id * (20 * batch_id)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A closed store with batches 1..60, all in the main file."""
    path = tmp_path / "store.db"
    with Store.open(path, limits=IN_ROWS) as store:
        for future in [store.journal.append(payload(i), i) for i in range(1, 61)]:
            future.result(10)
    return path


def flip(path: Path, offset: int, mask: int = 0x10) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ mask]))


def test_a_flipped_bit_in_a_batch_is_found_reported_and_costs_only_that_batch(filled: Path) -> None:
    flip(filled, filled.read_bytes().index(b"<batch 17>") + 20)
    told: list[Damage] = []
    with Store.open(filled) as store:
        batches = list(store.journal.read(on_damage=told.append))
        assert [b.id for b in batches] == [i for i in range(1, 61) if i != 17]
        assert all(b.payload == payload(b.id) for b in batches)
        assert told == [Damage(17, "checksum mismatch")] == list(store.journal.damaged)


def test_a_lost_row_is_missed(filled: Path) -> None:
    """Ids are dense, so even a batch that vanished without a trace is known to be gone."""
    with Store.open(filled) as store:
        store._writer.call(lambda connection: connection.execute("DELETE FROM batches WHERE id IN (30, 60)").rowcount)
        assert [b.id for b in store.journal.read()] == [i for i in range(1, 60) if i != 30]
        assert store.journal.damaged == (Damage(30, "missing"), Damage(60, "missing"))


def test_a_store_that_lost_count_is_refused(filled: Path) -> None:
    with Store.open(filled) as store:
        store._writer.call(lambda c: c.execute("UPDATE journal_state SET next_batch = 1 << 50").rowcount)
        with pytest.raises(StoreUnavailable, match="lost count"):
            store.journal.bounds()
        with pytest.raises(StoreUnavailable, match="lost count"):
            store.journal.append(b"x", 1).result(10)
    with pytest.raises(StoreUnusable, match="lost count"):
        Store.open(filled)


def test_a_file_cut_short_loses_its_tail_and_says_so(filled: Path) -> None:
    size = filled.stat().st_size
    with filled.open("r+b") as file:
        file.truncate(size - size // 3)
    try:
        with Store.open(filled) as store:
            batches = list(store.journal.read())
            lost = {d.batch_id for d in store.journal.damaged}
    except StoreUnusable:
        return
    assert lost
    assert {b.id for b in batches} | lost == set(range(1, 61))
    assert all(b.payload == payload(b.id) for b in batches)


def crash(folder: Path, limits: GroupLimits) -> Path:
    """Make a store as a crash leaves it: batches in the main file and more of them in the write-ahead log."""
    path = folder / "store.db"
    for first in (1, 31):
        with Store.open(path, limits=limits) as store:
            for i in range(first, first + 30):
                store.journal.append(payload(i), i).result(10)
            if first > 1:
                shutil.copytree(folder, folder / "copy", ignore=shutil.ignore_patterns("*-shm", "copy"))
    return folder / "copy"


@pytest.fixture(scope="module")
def crashed(tmp_path_factory) -> Path:
    """A store that has crashed, and all that is in it in rows."""
    return crash(tmp_path_factory.mktemp("crashed"), IN_ROWS)


@pytest.fixture(scope="module")
def crashed_beside(tmp_path_factory) -> Path:
    """The same with all payloads in segments."""
    return crash(tmp_path_factory.mktemp("crashed"), IN_SEGMENTS)


def test_a_crash_is_no_damage(crashed: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(crashed, tmp_path / "copy")
    with Store.open(copy / "store.db") as store:
        assert (store.lost_commits, store.journal.bounds().last) == (0, 60)


def test_commits_that_a_broken_log_hides_are_counted_and_told(
    crashed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = shutil.copytree(crashed, tmp_path / "copy")
    flip(copy / "store.db-wal", (copy / "store.db-wal").stat().st_size // 2)
    with Store.open(copy / "store.db") as store:
        assert store.lost_commits == 60 - store.journal.bounds().last > 0
    assert "the write-ahead log is damaged" in caplog.text


def test_other_writes_that_a_broken_log_hides_are_told_and_batches_are_put_back(tmp_path: Path) -> None:
    path, copy = tmp_path / "store.db", tmp_path / "copy"
    Store.open(path, limits=IN_SEGMENTS).close()
    with Store.open(path, limits=IN_SEGMENTS) as store:
        for i in range(1, 11):
            store.journal.append(payload(i), i).result(10)
            if i in (3, 7, 8):
                store.runs.touch(f"run-{i}", i, i, i)
        shutil.copytree(tmp_path, copy, ignore=shutil.ignore_patterns("*-shm", "copy"))
    flip(copy / "store.db-wal", 5000)
    with Store.open(copy / "store.db") as store:
        assert [batch.payload for batch in store.journal.read()] == [payload(i) for i in range(1, 11)]
        assert (store.lost_commits, store.runs.unfinished()) == (3, ())


def mutations(size: int, numbers: Iterable[int]) -> Iterator[tuple[str, int]]:
    for number in numbers:
        chance = random.Random(number)
        yield chance.choice(("flip", "flip", "cut")), chance.randrange(size)


MUTATIONS = 60


@pytest.mark.parametrize(("name", "seed"), [("store.db-wal", 1), ("store.db-wal", 2), ("store.db", 3), ("store.db", 4)])
def test_whatever_is_broken_no_wrong_batch_is_returned_and_no_loss_is_hidden(
    crashed: Path, tmp_path: Path, name: str, seed: int
) -> None:
    """A torn log loses its tail only; a broken main file says which batches are gone, or is refused."""
    numbers = range(seed * MUTATIONS, (seed + 1) * MUTATIONS)
    break_and_read(crashed, tmp_path, name, mutations((crashed / name).stat().st_size, numbers))


SEGMENT = "store.db-segments/00000001.seg"


@pytest.mark.parametrize(("name", "seed"), [("store.db-wal", 5), ("store.db", 6), (SEGMENT, 7)])
def test_the_same_holds_where_payloads_stand_in_segments(
    crashed_beside: Path, tmp_path: Path, name: str, seed: int
) -> None:
    """Of a broken log nothing is lost; a broken segment says which batches are gone."""
    numbers = range(seed * MUTATIONS, (seed + 1) * MUTATIONS)
    break_and_read(crashed_beside, tmp_path, name, mutations((crashed_beside / name).stat().st_size, numbers))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("stand", "name"),
    [
        ("crashed", "store.db-wal"),
        ("crashed", "store.db"),
        ("crashed_beside", "store.db-wal"),
        ("crashed_beside", "store.db"),
        ("crashed_beside", SEGMENT),
    ],
)
def test_the_same_of_10_000_mutations(
    request: pytest.FixtureRequest, tmp_path: Path, stand: str, name: str, progress: Progress
) -> None:
    """Each number is a mutation of each file."""
    crashed = request.getfixturevalue(stand)
    numbers = asked("SPANVERDICT_MUTATIONS", 1000, 5000)
    print("again:", again("tests/storage -k 10_000", SPANVERDICT_MUTATIONS=f"{numbers.start}:{numbers.stop}"))
    wanted = progress.through(numbers, len(numbers), "mutations")
    break_and_read(crashed, tmp_path, name, mutations((crashed / name).stat().st_size, wanted))


def break_and_read(crashed: Path, tmp_path: Path, name: str, broken: Iterable[tuple[str, int]]) -> None:
    assert (crashed / "store.db-wal").stat().st_size > 100_000
    places = records(shutil.copytree(crashed, tmp_path / "whole") / "store.db")
    for number, (kind, offset) in enumerate(broken):
        copy = shutil.copytree(crashed, tmp_path / str(number))
        if kind == "flip":
            flip(copy / name, offset, 1 << (offset % 8))
        else:
            with (copy / name).open("r+b") as file:
                file.truncate(offset)
        try:
            with Store.open(copy / "store.db", synchronous="OFF") as store:
                last = store.journal.bounds().last
                told = store.lost_commits
                batches = list(store.journal.read())
                lost = {d.batch_id for d in store.journal.damaged}
        except (StoreUnusable, StoreUnavailable):
            assert name == "store.db", "a broken log must never make the store unusable"
        else:
            beside = (copy / SEGMENT).exists()
            assert last == 60 or (name == "store.db-wal" and last >= 30 and not beside), (kind, offset)
            assert {b.id for b in batches} | lost == set(range(1, last + 1)), (kind, offset)
            assert all(b.payload == payload(b.id) for b in batches), (kind, offset)
            if name == "store.db-wal":
                # What is cut off cannot be counted, nor can a commit whose own mark is broken.
                # One that is made of the head of a frame that ends none is counted.
                made = kind == "flip" and (offset - 32) % (PAGE_BYTES + 24) in range(4, 8)
                expected = (59 - last, 60 - last) if kind == "flip" and not beside else (0,)
                assert told in (*expected, max(expected) + made), (kind, offset)
                assert not (lost and beside), (kind, offset)
            if name == SEGMENT:
                hit = range(offset, offset + 1 if kind == "flip" else last << 20)
                assert lost == {n for n, at in places.items() if at.start < hit.stop and at.stop > hit.start}
        shutil.rmtree(copy)
