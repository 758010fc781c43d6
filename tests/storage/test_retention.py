"""Retention: exactly what is old or too much goes, oldest first, and nothing that a run without a verdict needs."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanverdict.storage.records import StoredAlertState, Verdict
from spanverdict.storage.retention import Deleted
from spanverdict.storage.store import Store
from spanverdict.storage.writequeue import GroupLimits
from storage.journaling import IN_ROWS

KIB = 1024
MIB = 1024 * KIB
EVER = 10**12


@pytest.fixture(params=[IN_ROWS, GroupLimits(rows_below=0, segment_bytes=MIB)], ids=["rows", "segments"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.db", synchronous="OFF", limits=request.param) as opened:
        yield opened


def fill(store: Store, *times: int, size: int = 100) -> None:
    """Journal a batch for each time at which it came."""
    for at in times:
        store.journal.append(random.Random(at).randbytes(size), at).result()


def judge(store: Store, run: str, first: int, last: int, at: int, *, through: int | None = None) -> None:
    store.runs.touch(run, first, last, at)
    verdict = Verdict(run, 1, "passed", True, "{}", last if through is None else through, at)
    store.conclude(verdict, (), ())


def held(store: Store) -> list[int]:
    return [batch.id for batch in store.journal.read()]


def names(store: Store) -> list[str]:
    return sorted(run.id for run in store.runs.list(500).runs)


def test_what_is_from_before_the_time_goes_and_not_one_batch_more(store: Store) -> None:
    fill(store, 10, 20, 30, 40)
    assert store.retention.delete_old(30) == Deleted(batches=2)
    assert held(store) == [3, 4]
    assert store.retention.delete_old(30) == Deleted()
    assert store.retention.delete_old(31).batches == 1
    fill(store, 50)
    assert held(store) == [4, 5]
    assert store.journal.damaged == ()


def test_batches_of_a_run_without_a_verdict_stay_and_are_told(store: Store) -> None:
    fill(store, 10, 20, 30, 40)
    store.runs.touch("open", 2, 3, 30)
    assert store.retention.delete_old(EVER) == Deleted(batches=1, held_back=3)
    assert held(store) == [2, 3, 4]
    judge(store, "open", 2, 3, 35)
    assert store.retention.delete_old(EVER) == Deleted(batches=3, runs=1)
    assert (held(store), names(store)) == ([], [])


def test_a_verdict_that_has_not_seen_all_is_none_yet(store: Store) -> None:
    fill(store, 10, 20, 30)
    judge(store, "reopened", 1, 3, 15, through=2)
    assert store.retention.delete_old(EVER) == Deleted(held_back=3)


def test_a_run_that_has_lost_batches_already_holds_nothing_back(store: Store) -> None:
    fill(store, 10, 20, 30)
    judge(store, "torn", 1, 1, 15)
    store.retention.delete_old(20)
    store.runs.touch("torn", 1, 3, 30)
    assert store.retention.delete_old(31).held_back == 0
    assert held(store) == []


def test_runs_verdicts_and_what_was_measured_go_by_age_with_what_refers_to_them(store: Store) -> None:
    fill(store, 10, 20)
    judge(store, "old", 1, 1, 15)
    judge(store, "new", 2, 2, 25)
    assert store.retention.delete_old(20) == Deleted(batches=1, runs=1)
    assert names(store) == ["new"]
    assert store.runs.verdict("old") is None
    assert store.runs.verdict("new") is not None


def test_a_run_that_was_declared_and_never_came_goes_by_age_too(store: Store) -> None:
    store.runs.touch("never-came", 0, 0, 5)
    store.runs.touch("recent", 0, 0, 50)
    assert store.retention.delete_old(20).runs == 1
    assert names(store) == ["recent"]


@dataclass(frozen=True)
class Message:
    id: str
    created_unix_nano: int = 10
    receiver: str = "ops"
    group_key: str = "g"
    run_id: str = "r"
    body: bytes = b"{}"


def test_finished_deliveries_and_resolved_alerts_go_and_what_is_still_to_come_stays(store: Store) -> None:
    store.runs.touch("r", 0, 0, EVER)
    states = [
        StoredAlertState("ci", "main", "fraud", rule, "", firing, "00ff", 5, 6, "r", {}, {})
        for rule, firing in (("resolved", False), ("firing", True))
    ]
    store.conclude(Verdict("r", 1, "failed", True, "{}", 0, 5), map(Message, ("old", "new", "waiting", "lost")), states)
    store.outbox.succeeded("old", 12)
    store.outbox.succeeded("new", 99)
    store.outbox.failed("lost", 13, None, "gone")
    assert store.retention.delete_old(50).deliveries == 2
    left = store.outbox.statistics()
    assert (left.pending, left.delivered, left.given_up) == (1, 1, 0)
    assert {state.rule for state in store.outbox.alert_states("ci", "main")} == {"firing"}


def test_as_much_goes_as_has_to_and_the_oldest_first(store: Store) -> None:
    fill(store, *range(1, 301), size=64 * KIB)
    used = store.retention.used_bytes()
    assert 300 * 64 * KIB <= used <= 300 * 64 * KIB * 1.35
    gone = store.retention.delete_to_fit(used // 2, EVER)
    assert used // 2 - 80 * 65 * KIB * 1.35 <= store.retention.used_bytes() <= used // 2
    assert held(store) == list(range(gone.batches + 1, 301))
    assert store.retention.delete_to_fit(used // 2, EVER) == Deleted()


def test_what_was_deleted_is_used_again_so_the_file_grows_no_further(store: Store) -> None:
    limit = 8 * MIB
    sizes = []
    for lap in range(6):
        fill(store, *range(lap * 64 + 1, lap * 64 + 65), size=64 * KIB)
        store.retention.delete_to_fit(limit - 5 * MIB, EVER)
        sizes.append(sum(file.stat().st_size for file in (store.path, *store.path.parent.rglob("*.seg"))))
        assert store.retention.used_bytes() <= limit
    assert max(sizes) <= limit, "24 MiB have come"


def test_too_much_of_a_run_without_a_verdict_stays_and_is_told(store: Store) -> None:
    fill(store, *range(1, 101), size=64 * KIB)
    store.runs.touch("large", 11, 100, 100)
    assert store.retention.delete_to_fit(MIB, EVER) == Deleted(batches=10, held_back=90)
    assert held(store) == list(range(11, 101))


def test_when_no_spans_are_left_the_oldest_judged_runs_go(store: Store) -> None:
    for number in range(250):
        store.runs.touch(f"run-{number:03}", 0, 0, number)
        store.conclude(Verdict(f"run-{number:03}", 1, "passed", True, json.dumps("x" * 20_000), 0, number), (), ())
    store.runs.touch("open", 0, 0, 0)
    gone = store.retention.delete_to_fit(store.retention.used_bytes() // 2, EVER)
    assert gone.runs in (100, 200)
    assert names(store) == ["open", *(f"run-{number:03}" for number in range(gone.runs, 250))]


def test_young_batches_stay_whatever_the_limit(store: Store) -> None:
    fill(store, *range(1, 101), size=64 * KIB)
    assert store.retention.delete_to_fit(MIB, 41).batches == 40
    assert held(store)[0] == 41


def test_it_deletes_while_batches_come_and_loses_none_of_those(store: Store) -> None:
    def write() -> list[int]:
        return [store.journal.append(bytes(32 * KIB), at).result() for at in range(1, 401)]

    with ThreadPoolExecutor(1) as clients:
        writing = clients.submit(write)
        while not writing.done():
            store.retention.delete_to_fit(2 * MIB, EVER)
        ids = writing.result()
    store.retention.delete_to_fit(2 * MIB, EVER)
    assert ids == list(range(1, 401))
    left = held(store)
    assert left == list(range(401 - len(left), 401))
    assert store.retention.used_bytes() <= 2 * MIB
    assert store.journal.damaged == ()


runs_drawn = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 4), st.booleans(), st.integers(1, 120)), max_size=5)


@settings(max_examples=60, deadline=None)
@given(runs_drawn, st.integers(0, 130))
def test_every_batch_of_every_unjudged_run_is_there_whatever_was_asked(tmp_path_factory, drawn, before) -> None:
    with Store.open(tmp_path_factory.mktemp("kept") / "s.db", synchronous="OFF") as store:
        fill(store, *(number * 10 for number in range(1, 13)))
        needed = set()
        for number, (first, more, judged, at) in enumerate(drawn):
            last = min(12, first + more)
            if judged:
                judge(store, f"r{number}", first, last, at)
            else:
                store.runs.touch(f"r{number}", first, last, at)
                needed |= set(range(first, last + 1))
        store.retention.delete_old(before)
        left = set(held(store))
        assert needed <= left
        assert {number for number in range(1, 13) if number * 10 >= before} <= left
        assert {f"r{number}" for number, one in enumerate(drawn) if not one[2]} <= set(names(store))
