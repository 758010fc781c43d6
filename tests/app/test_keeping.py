"""The keeper: the store stays as old and as large as it may be, and a run that lost spans keeps its verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.followed import MemoryArchive, flow, record, requests
from spanverdict.app.docket import RETRY_S, Docket
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.keeping import AGE_PERIOD_S, Keeper, Keeping
from spanverdict.app.recollection import Recalled
from spanverdict.storage.records import RunState, Verdict
from spanverdict.storage.store import Store

NS = 10**9
MIB = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.db", synchronous="OFF") as opened:
        yield opened


class Clock:
    def __init__(self) -> None:
        self.now = 1_000 * NS

    def __call__(self) -> int:
        return self.now


def test_old_batches_go_as_time_goes_on_and_open_runs_hold_them_back_aloud(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    keeper = Keeper(store, Keeping(age_ns=100 * NS), clock)
    store.journal.append(b"old", clock.now).result()
    clock.now += 60 * NS
    store.journal.append(b"held", clock.now).result()
    store.runs.touch("open", 2, 2, clock.now)
    keeper.step()
    assert keeper.deleted["batches"] == 0
    clock.now += 60 * NS
    keeper.step()
    assert (keeper.deleted["batches"], keeper.held_back) == (1, 0)
    clock.now += 60 * NS
    keeper.step()
    assert (keeper.deleted["batches"], keeper.held_back) == (1, 1)
    assert "1 batches are older than retention.age and stay: runs without a verdict need them" in caplog.text
    store.conclude(Verdict("open", 1, "passed", True, "{}", 2, clock.now), (), ())
    keeper.step()
    assert keeper.deleted["batches"] == 1, "not looked at again so soon"
    clock.now += int(AGE_PERIOD_S * NS)
    keeper.step()
    assert (keeper.deleted["batches"], keeper.held_back) == (2, 0)


def test_a_store_that_one_run_fills_takes_no_more_until_it_is_judged(store: Store) -> None:
    clock = Clock()
    keeper = Keeper(store, Keeping(used_bytes=4 * MIB), clock, settle_ns=0)
    for _ in range(6):
        store.journal.append(bytes(MIB), clock.now - 1).result()
    store.runs.touch("large", 1, 6, clock.now)
    keeper.step()
    assert keeper.problem is not None
    assert "the store is full" in keeper.problem
    assert keeper.held_back == 6
    store.conclude(Verdict("large", 1, "passed", True, "{}", 6, clock.now), (), ())
    keeper.step()
    assert keeper.problem is None
    assert store.retention.used_bytes() <= 4 * MIB


def test_what_was_let_in_counts_before_it_is_seen_in_the_file(store: Store) -> None:
    """Or the file would grow beyond its limit by what comes between two looks."""
    keeper = Keeper(store, Keeping(used_bytes=4 * MIB), Clock(), settle_ns=0)
    keeper.step()
    assert keeper.refusal(MIB) is None
    assert keeper.refusal(2 * MIB) is None
    assert keeper.refusal(2 * MIB) == "the store has no room for it just now"
    assert keeper.refusal(MIB // 8) is None, "what is smaller may fit"
    keeper.step()
    assert keeper.refusal(MIB) is not None, "what was let in just before may not have been written yet"
    keeper.step()
    assert keeper.refusal(3 * MIB) is None, "it never came"


@pytest.mark.parametrize("size", [100, 5_000, 49_152, 13 * 4096 - 43, 100_000])
def test_whatever_is_let_in_fits_with_all_that_it_takes_on_the_disk(store: Store, size: int) -> None:
    """Each of them in a commit of its own, the worst of them a byte longer than its segment's blocks."""
    limit = 4 * MIB
    keeper = Keeper(store, Keeping(used_bytes=limit), Clock(), settle_ns=0)
    keeper.step()
    while keeper.refusal(size) is None:
        store.journal.append(bytes(size), 1).result()
    assert limit * 0.3 < store.retention.used_bytes() <= limit


def test_it_is_full_when_something_did_not_fit_and_nothing_can_go(store: Store) -> None:
    keeper = Keeper(store, Keeping(used_bytes=4 * MIB), Clock(), settle_ns=0)
    for _ in range(7):
        store.journal.append(bytes(MIB // 2), 1).result()
    store.runs.touch("open", 1, 7, 1)
    keeper.step()
    assert keeper.problem is None, "nobody asks for more"
    assert keeper.refusal(MIB) is not None
    keeper.step()
    assert "the store is full" in (keeper.problem or "")
    assert keeper.refusal(1) == keeper.problem
    store.conclude(Verdict("open", 1, "passed", True, "{}", 7, 2), (), ())
    keeper.step()
    assert keeper.problem is None
    assert keeper.refusal(1) is None


def test_without_limits_nothing_goes_and_limits_may_come_later(store: Store) -> None:
    clock = Clock()
    keeper = Keeper(store, Keeping(), clock, settle_ns=0)
    for _ in range(3):
        store.journal.append(bytes(MIB), 1).result()
    keeper.step()
    assert store.journal.bounds().first == 1
    keeper.keeping = Keeping(age_ns=NS)
    keeper.step()
    assert store.journal.bytes_stored() == 0


@pytest.fixture
def archive() -> MemoryArchive:
    """A judged run of five batches, of which the first two are gone."""
    archive = MemoryArchive()
    archive.journal = {number: requests(number) for number in (3, 4, 5)}
    archive.first = 3
    state = record(first_batch=1, last_batch=5, judged_through=5, state=RunState.JUDGED)
    archive.known["r"] = Recalled(state, 2, ())
    return archive


def due(docket: Docket, now: float) -> list[str]:
    docket.noted(docket.unnoted())
    return [trigger for _, trigger in docket.due(now)]


def test_late_spans_of_a_run_that_has_lost_some_change_nothing(archive: MemoryArchive) -> None:
    docket = Docket(DocketConfig(flows=(flow(),)), archive, stopwatch=lambda: 0.0)
    docket.take_in((6,), requests(6), 10.0)
    for now in (10.0, 11.0, 30.0, 100.0):
        assert due(docket, now) == []
    assert archive.kept == [("r", 6)]
    assert archive.read == [], "what is not whole need not be read"
    assert docket.runs["r"].trouble == "spans of it were deleted by retention; its verdict stays as it was"
    assert docket.next_due() is None
    docket.take_in((7,), requests(7), 110.0)
    assert due(docket, 120.0) == []
    assert archive.kept[-1] == ("r", 7)


def test_a_run_that_has_lost_spans_and_has_no_verdict_gets_none(archive: MemoryArchive) -> None:
    archive.known["r"] = Recalled(record(first_batch=1, last_batch=5, ended_unix_nano=9, state=RunState.ENDED), 0, ())
    docket = Docket(DocketConfig(flows=(flow(),)), archive, stopwatch=lambda: 0.0)
    docket.follow("r", 1.0)
    assert due(docket, 1.0) == []
    assert due(docket, 100.0) == []
    assert (docket.runs["r"].trouble, archive.kept) == ("spans of it were deleted by retention", [])
    assert docket.next_due() is None


def test_after_a_restart_it_is_found_out_too(archive: MemoryArchive) -> None:
    archive.known["r"] = Recalled(record(first_batch=1, last_batch=6, judged_through=5), 2, ())
    docket = Docket(DocketConfig(flows=(flow(),)), archive, stopwatch=lambda: 0.0)
    docket.follow("r", 1.0)
    for number, table in archive.journal.items():
        docket.take_in((number,), table, 1.0)
    docket.complete("r")
    assert due(docket, 100.0) == []
    assert archive.kept == [("r", 6)]


def test_spans_that_go_while_they_are_read_are_missed(archive: MemoryArchive) -> None:
    class Shrinking(MemoryArchive):
        def first_batch(self) -> int:
            return 3 if self.read else 1

    shrinking = Shrinking()
    shrinking.journal, shrinking.known = archive.journal, archive.known
    docket = Docket(DocketConfig(flows=(flow(),)), shrinking, stopwatch=lambda: 0.0)
    docket.take_in((6,), requests(6), 10.0)
    assert due(docket, 30.0) == []
    assert shrinking.read == [3, 4, 5]
    assert shrinking.kept == [("r", 6)]


def test_a_store_that_cannot_be_read_decides_nothing(archive: MemoryArchive) -> None:
    docket = Docket(DocketConfig(flows=(flow(),)), archive, stopwatch=lambda: 0.0)
    docket.take_in((6,), requests(6), 10.0)
    archive.broken = True
    assert due(docket, 30.0) == []
    archive.broken = False
    assert due(docket, 31.0 + RETRY_S) == []
    assert archive.kept == [("r", 6)]
