"""What a restart takes up again from the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanverdict.app.docketconfig import KEEP_S
from spanverdict.app.storedruns import StoredRuns
from spanverdict.storage.records import RunDeclaration, Verdict
from spanverdict.storage.store import Store

TRACE = "ab" * 16


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "s.db", synchronous="OFF") as opened:
        yield opened


def judged(store: Store, run: str, traces: tuple[str, ...], at: int) -> None:
    store.runs.declare(RunDeclaration(run, traces=traces), at)
    store.runs.save_verdict(Verdict(run, 1, "passed", complete=True, document="{}", judged_through=0, at_unix_nano=at))


def test_a_judged_run_is_taken_up_when_late_spans_of_its_declared_traces_may_come(store: Store) -> None:
    """No span of them says whose it is, so nothing else would lead back to the run."""
    now = time.time_ns()
    store.journal.append(b"", now).result(10)
    judged(store, "untagged", (TRACE,), now)
    judged(store, "tagged", (), now)
    judged(store, "long ago", (TRACE,), now - int(2 * KEEP_S * 1e9))
    store.runs.touch("open", 1, 1, now)
    records, _ = StoredRuns(store).left_over()
    assert [record.id for record in records] == ["open", "untagged"]


MINUTE = 60 * 10**9


def taken_up(store: Store, *minutes_ago: float) -> list[float]:
    """Journal a batch for each time by the clock on the wall; return the times of those that a restart reads again."""
    now = time.time_ns()
    for minutes in minutes_ago:
        store.journal.append(b"", now - int(minutes * MINUTE)).result(10)
    _, batches = StoredRuns(store).left_over()
    return [minutes_ago[number - 1] for number, _ in batches]


def test_what_came_in_the_last_ten_minutes_is_taken_up_and_nothing_older(store: Store) -> None:
    assert taken_up(store, 12, 11.5, 10.6, 9.7, 5, 0.1) == [9.7, 5, 0.1]


def test_what_came_before_the_clock_was_set_forward_is_taken_up(store: Store) -> None:
    assert taken_up(store, 95, 89, 85, 81, 80.5, 3, 2) == [89, 85, 81, 80.5, 3, 2]


def test_what_came_before_the_clock_was_set_forward_at_the_very_end_is_taken_up(store: Store) -> None:
    assert taken_up(store, 72, 69, 61, 0) == [69, 61, 0]


def test_a_clock_that_was_set_back_hides_nothing(store: Store) -> None:
    assert taken_up(store, 70, 12, 5, 1, 45, 44, 43)[-3:] == [45, 44, 43]


def test_a_runs_late_spans_may_come_after_the_clock_was_set_forward(store: Store) -> None:
    now = time.time_ns()
    store.journal.append(b"", now - 82 * MINUTE).result(10)
    judged(store, "untagged", (TRACE,), now - 81 * MINUTE)
    store.journal.append(b"", now).result(10)
    records, _ = StoredRuns(store).left_over()
    assert [record.id for record in records] == ["untagged"]
