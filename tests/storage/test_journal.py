"""The journal keeps what it acknowledged, in order, and says what it holds."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanverdict.storage.batches import Batch, Entry
from spanverdict.storage.errors import JournalUnavailable, StoreUnavailable
from spanverdict.storage.journalstate import Bounds
from spanverdict.storage.store import Store
from spanverdict.storage.writequeue import Append, Apply, GroupLimits, WriteQueue
from storage.journaling import IN_ROWS, IN_SEGMENTS

PAYLOADS = st.binary(max_size=400).filter(lambda payload: not payload.startswith(b"\x1f\x8b"))
"""No request that can be decoded begins like gzip, unless it is."""


@pytest.fixture(params=[IN_ROWS, IN_SEGMENTS], ids=["rows", "segments"])
def limits(request: pytest.FixtureRequest) -> GroupLimits:
    """Where payloads stand."""
    return request.param


@pytest.fixture
def store(tmp_path: Path, limits: GroupLimits):
    with Store.open(tmp_path / "store.db", limits=limits) as opened:
        yield opened


def append_all(store: Store, payloads: list[bytes]) -> list[int]:
    return [future.result(10) for future in [store.journal.append(p, 100 + i) for i, p in enumerate(payloads)]]


def test_batches_come_back_as_they_were_in_order(store: Store) -> None:
    payloads = [b"first", b"", b"\x00\xff" * 200_000]
    assert append_all(store, payloads) == [1, 2, 3]
    assert list(store.journal.read()) == [Batch(i + 1, 100 + i, p) for i, p in enumerate(payloads)]
    assert store.journal.damaged == ()


def test_an_empty_journal_holds_nothing(store: Store) -> None:
    assert store.journal.bounds() == Bounds(1, 0)
    assert list(store.journal.read()) == []
    assert (store.journal.bytes_stored(), store.journal.last_received, store.journal.backlog) == (0, 0, 0)
    assert store.journal.delete_before(10) == 0


def test_a_range_is_read_with_both_ends(store: Store) -> None:
    append_all(store, [b"a", b"b", b"c", b"d"])
    assert [b.payload for b in store.journal.read(2, 3)] == [b"b", b"c"]
    assert [b.payload for b in store.journal.read(3, 99)] == [b"c", b"d"]
    assert list(store.journal.read(5)) == []


def test_what_the_journal_holds_survives_reopening(tmp_path: Path, limits: GroupLimits) -> None:
    path = tmp_path / "store.db"
    with Store.open(path, limits=limits) as store:
        append_all(store, [b"abc", b"de"])
    with Store.open(path, limits=limits) as store:
        assert store.journal.bounds() == (1, 2)
        assert store.journal.bytes_stored() == 5
        assert store.journal.last_received == 101
        assert store.journal.append(b"f", 1).result(10) == 3
        assert store.journal.last_received == 101, "an older clock does not set it back"


def test_retention_deletes_exactly_the_older_ones_and_ids_are_never_used_again(
    tmp_path: Path, limits: GroupLimits
) -> None:
    path = tmp_path / "store.db"
    with Store.open(path, limits=limits) as store:
        append_all(store, [b"x" * 10] * 700)
        assert store.journal.delete_before(601) == 600
        assert (store.journal.bounds(), store.journal.bytes_stored()) == ((601, 700), 1000)
        assert [b.id for b in store.journal.read()] == list(range(601, 701))
        assert store.journal.delete_before(5) == 0
        assert store.journal.delete_before(10**9) == 100
        assert (store.journal.bounds(), store.journal.bytes_stored()) == ((701, 700), 0)
        assert store.journal.damaged == ()
    with Store.open(path, limits=limits) as store:
        assert store.journal.append(b"next", 1).result(10) == 701


def test_reading_while_retention_deletes_reports_no_damage(store: Store) -> None:
    append_all(store, [b"x"] * 20)
    reader = store.journal.read()
    assert next(reader).id == 1
    store.journal.delete_before(15)
    assert [b.id for b in reader] == [15, 16, 17, 18, 19, 20]
    assert store.journal.damaged == ()


@settings(max_examples=25, deadline=None)
@given(payloads=st.lists(PAYLOADS, max_size=30), keep_from=st.integers(0, 35), below=st.integers(0, 500))
def test_bounds_and_bytes_always_say_what_reading_gives(tmp_path_factory, payloads, keep_from, below) -> None:
    limits = GroupLimits(rows_below=below, segment_bytes=2000)
    with Store.open(tmp_path_factory.mktemp("journal") / "store.db", synchronous="OFF", limits=limits) as store:
        append_all(store, payloads)
        store.journal.delete_before(keep_from)
        batches = list(store.journal.read())
        first, last = store.journal.bounds()
        assert [b.id for b in batches] == list(range(first, last + 1))
        assert store.journal.bytes_stored() == sum(len(b.payload) for b in batches)
        assert [b.payload for b in batches] == payloads[max(keep_from - 1, 0) :]


def test_appends_from_many_threads_each_get_their_own_id(store: Store) -> None:
    def work(worker: int) -> dict[int, bytes]:
        payloads = [f"{worker}-{i}".encode() * 50 for i in range(100)]
        return {store.journal.append(p, worker).result(30): p for p in payloads}

    with ThreadPoolExecutor(8) as pool:
        acknowledged = {k: v for part in pool.map(work, range(8)) for k, v in part.items()}
    assert sorted(acknowledged) == list(range(1, 801))
    assert {b.id: b.payload for b in store.journal.read()} == acknowledged


def test_other_writes_share_the_commits_and_do_not_starve(store: Store) -> None:
    stop = threading.Event()

    def flood() -> None:
        pending: set[Future[int]] = set()
        while not stop.is_set():
            pending.add(store.journal.append(b"x" * 100_000, 1))
            if len(pending) >= 32:
                _done, pending = wait(pending, return_when="FIRST_COMPLETED")
        wait(pending)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        for i in range(1, 21):
            store.runs.touch(f"run-{i}", i, i, i)
    finally:
        stop.set()
        thread.join()
    assert len(store.runs.unfinished()) == 20


def test_another_process_reads_while_this_one_writes(store: Store) -> None:
    script = (
        "import sys, zlib\n"
        "from spanverdict.storage.store import Store\n"
        "with Store.open(sys.argv[1]) as store:\n"
        "    seen = 0\n"
        "    while seen < 300:\n"
        "        for batch in store.journal.read(seen + 1):\n"
        "            assert batch.payload == b'%d' % batch.id * 999, batch.id\n"
        "            seen = batch.id\n"
        "    print(seen, store.journal.damaged)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(store.path)], stdout=subprocess.PIPE, text=True)
    for i in range(1, 301):
        store.journal.append(b"%d" % i * 999, i).result(10)
    out, _ = child.communicate(timeout=30)
    assert (child.returncode, out) == (0, "300 ()\n")


def test_a_future_cancelled_in_time_takes_its_batch_back(store: Store) -> None:
    blocked, release = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        blocked.set()
        release.wait(10)

    holder = threading.Thread(target=store._writer.call, args=(hold,))
    holder.start()
    blocked.wait(10)
    taken_back, kept = store.journal.append(b"no", 1), store.journal.append(b"yes", 1)
    assert store.journal.backlog == 5
    assert taken_back.cancel()
    release.set()
    assert kept.result(10) == 1
    holder.join()
    assert [b.payload for b in store.journal.read()] == [b"yes"]


def test_closing_commits_what_is_queued_and_refuses_what_comes_later(tmp_path: Path, limits: GroupLimits) -> None:
    store = Store.open(tmp_path / "store.db", limits=limits)
    futures = [store.journal.append(b"x" * 1000, i) for i in range(200)]
    store.close()
    store.close()
    assert [f.result(0) for f in futures] == list(range(1, 201))
    with pytest.raises(JournalUnavailable, match="closed"):
        store.journal.append(b"late", 1).result(0)
    with pytest.raises(StoreUnavailable, match="closed"):
        store.runs.touch("run", 1, 1, 1)
    with pytest.raises(StoreUnavailable, match="closed"):
        store.journal.bounds()
    assert not any(t.name == "spanverdict-store" for t in threading.enumerate())


def test_a_callback_that_waits_for_another_write_is_told_so_and_does_not_hang(store: Store) -> None:
    caught: Future[BaseException] = Future()

    def callback(_: Future[int]) -> None:
        try:
            store.runs.touch("run", 1, 1, 1)
        except RuntimeError as error:
            caught.set_result(error)

    store.journal.append(b"x", 1).add_done_callback(callback)
    assert "waits for the writer" in str(caught.result(10))


def test_one_bad_change_spoils_nobody_elses(store: Store) -> None:
    blocked, release = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        blocked.set()
        release.wait(10)

    def bad(connection) -> None:
        connection.execute("INSERT INTO runs (id) VALUES ('half')")

    with ThreadPoolExecutor(3) as pool:
        pool.submit(store._writer.call, hold)
        blocked.wait(10)
        failing = pool.submit(store._writer.call, bad)
        batch = store.journal.append(b"good", 1)
        release.set()
        assert batch.result(10) == 1
        with pytest.raises(Exception, match="NOT NULL"):
            failing.result(10)
    assert store.problem is None
    assert store.runs.get("half") is None


def test_who_asks_for_it_commits_on_the_own_thread_with_all_that_waits(store: Store) -> None:
    threads: list[int] = []
    batches = store.journal.append_all([b"x", b"y"], 1, here=True)
    batches.add_done_callback(lambda _: threads.append(threading.get_ident()))
    assert batches.done(), "it was committed before the call returned"
    assert (batches.result(), threads) == (range(1, 3), [threading.get_ident()])
    assert [batch.payload for batch in store.journal.read()] == [b"x", b"y"]


def test_while_somebody_commits_the_others_do_not_wait_for_their_turn(store: Store) -> None:
    begun, release = threading.Event(), threading.Event()

    def slow(_: sqlite3.Connection) -> None:
        begun.set()
        release.wait(10)

    with ThreadPoolExecutor() as pool:
        change = pool.submit(store._writer.call, slow)
        assert begun.wait(10)
        batches = store.journal.append_all([b"x"], 1, here=True)
        assert not batches.done()
        release.set()
        assert batches.result(10) == range(1, 2), "the writer's own thread was told"
        change.result(10)


def entry(size: int) -> Append:
    return Append((Entry(b"x" * size, 0, 0),))


def test_a_group_is_bounded_by_bytes_and_count_and_a_large_batch_goes_alone() -> None:
    queue = WriteQueue(GroupLimits(max_bytes=100, max_jobs=3))
    jobs = [entry(60), entry(60), entry(500), entry(1), Apply(lambda _: None), entry(1), entry(1)]
    for job in jobs:
        assert queue.put(job)
    queue.close()
    groups = []
    while group := queue.take():
        groups.append(group)
    assert groups == [jobs[:1], jobs[1:2], jobs[2:3], jobs[3:6], jobs[6:]]
    assert queue.waiting_bytes == 0
    assert not queue.put(entry(1))
