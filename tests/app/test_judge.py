"""The judge's thread: what it does with what comes, when, and whatever goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from app.followed import MemoryArchive, flow, ingest, record, requests, score
from spantables import table_of
from spanverdict.app.docket import RETRY_S, Docket
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.judge import Judge
from spanverdict.app.judgement import Judgement
from spanverdict.app.liverun import LiveRun
from spanverdict.evaluation.outcomes import Outcome, RunFinished
from spanverdict.storage.errors import StoreUnavailable
from spanverdict.storage.records import Said
from spanverdict.telemetry.spantable import SpanTable


class Clock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Store:
    """Keeps verdicts; fails as often as it was told to."""

    def __init__(self) -> None:
        self.kept: list[Judgement] = []
        self.noted: list[tuple[str, int, int]] = []
        self.failures: list[Exception] = []

    def conclude(self, judgement: Judgement) -> int:
        if self.failures:
            raise self.failures.pop()
        self.kept.append(judgement)
        return judgement.run.revision

    def note(self, runs: list[LiveRun]) -> None:
        if self.failures:
            raise self.failures.pop()
        self.noted += [(run.id, run.first_batch, run.last_batch) for run in runs]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def judge(clock: Clock, store: Store) -> Judge:
    docket = Docket(DocketConfig(flows=(flow(),)), MemoryArchive(), stopwatch=lambda: 0.0)
    return Judge(docket, store.conclude, store.note, clock=clock)


def given(store: Store) -> list[tuple[str, int, str]]:
    return [(judgement.run.id, judgement.run.revision, judgement.trigger) for judgement in store.kept]


def test_what_comes_is_noted_and_judged_in_its_time(judge: Judge, clock: Clock, store: Store) -> None:
    judge.deliver((3, 4), requests(1))
    assert judge.step()
    assert (store.noted, given(store)) == ([("r", 3, 4)], [])
    clock.now += 6
    judge.step()
    assert given(store) == [("r", 1, "idle")]
    (judgement,) = store.kept
    assert (judgement.judged_through, [f.name for f in judgement.flows]) == (4, ["scoring"])
    finished = judgement.events[-1]
    assert isinstance(finished, RunFinished)
    assert finished.outcome is Outcome.PASSED


def test_words_and_spans_are_heeded_in_the_order_they_came(judge: Judge, clock: Clock, store: Store) -> None:
    judge.hear(record(expected_requests=1, labels={"branch": "main"}))
    judge.deliver((1,), requests(1))
    judge.step()
    assert given(store) == [("r", 1, "manifest")]
    assert store.kept[0].run.labels == {"branch": "main"}


def test_a_judge_that_lags_behind_judges_no_run_whose_spans_still_wait(
    judge: Judge, clock: Clock, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock says the run is long idle, but only because the judge has not looked at what came."""
    monkeypatch.setattr("spanverdict.app.incoming.AT_ONCE", 1)
    judge.deliver((1,), table_of([ingest(1)]))
    clock.now += 1
    judge.deliver((2,), table_of([score(1)]))
    clock.now += 100
    judge.deliver((3,), requests(2, run="other"))
    for _ in range(2):
        judge.step()
        assert given(store) == []
    judge.step()
    assert given(store) == [("r", 1, "idle")]
    assert store.kept[0].judged_through == 2


def test_a_verdict_that_cannot_be_kept_is_kept_later(judge: Judge, clock: Clock, store: Store) -> None:
    judge.deliver((1,), requests(1))
    judge.step()
    store.failures = [StoreUnavailable("the disk is full")]
    clock.now += 6
    judge.step()
    assert given(store) == []
    assert judge.docket.runs["r"].trouble == "the disk is full"
    assert judge.docket.runs["r"].fresh
    clock.now += RETRY_S
    judge.step()
    assert given(store) == [("r", 1, "idle")]


def test_what_cannot_be_noted_is_noted_later(judge: Judge, clock: Clock, store: Store) -> None:
    store.failures = [StoreUnavailable("the disk is full")]
    judge.deliver((1,), requests(1))
    judge.step()
    assert store.noted == []
    clock.now += RETRY_S
    judge.mark()
    judge.step()
    assert store.noted == [("r", 1, 1)]


def test_a_fault_of_ours_costs_one_run_and_is_not_repeated_for_ever(
    judge: Judge, clock: Clock, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    judge.deliver((1,), requests(1, run="broken"))
    judge.deliver((2,), requests(2, run="sound"))
    judge.step()
    store.failures = [ValueError("a bug")]
    clock.now += 6
    judge.step()
    assert len(store.kept) == 1
    (failed,) = [run for run in judge.docket.runs.values() if run.trouble]
    assert failed.trouble == "ValueError: a bug"
    assert "cannot be judged" in caplog.text
    clock.now += 100
    judge.mark()
    judge.step()
    assert len(store.kept) == 1
    judge.deliver((3,), requests(3, run=failed.id))
    judge.step()
    clock.now += 6
    judge.step()
    assert [name for name, *_ in given(store)][1:] == [failed.id]


def test_a_batch_that_cannot_be_taken_in_costs_the_others_nothing(
    judge: Judge, clock: Clock, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    take_in = judge.docket.take_in

    def broken(batches: Sequence[int], table: SpanTable, now: float) -> None:
        if batches[0] == 1:
            raise ValueError("a bug")
        take_in(batches, table, now)

    judge.docket.take_in = broken
    judge.deliver((1,), requests(1))
    judge.deliver((3,), requests(2))
    judge.step()
    clock.now += 6
    judge.step()
    assert given(store) == [("r", 1, "idle")]
    assert "could not take in what came" in caplog.text


def test_a_mark_is_reached_when_all_before_it_is_taken_in_and_judged(judge: Judge, store: Store) -> None:
    judge.hear(record(expected_requests=1))
    judge.deliver((1,), requests(1))
    reached = judge.mark()
    assert not reached.is_set()
    judge.step()
    assert reached.is_set()
    assert given(store) == [("r", 1, "manifest")]


def test_an_idle_judge_does_nothing_until_something_comes(store: Store) -> None:
    """It neither polls nor wakes by itself; the next due time is what it waits for."""
    steps = []
    docket = Docket(DocketConfig(flows=(flow(complete="{idle: 50ms}"),)), MemoryArchive())
    judged = threading.Event()

    def conclude(judgement: Judgement) -> int:
        judged.set()
        return store.conclude(judgement)

    judge = Judge(docket, conclude, store.note, lambda: steps.append(1))
    judge.start()
    judge.deliver((1,), requests(1))
    assert judged.wait(10)
    assert judge.mark().wait(10)
    before = len(steps)
    assert not threading.Event().wait(0.3)
    assert len(steps) == before
    judge.stop()
    assert given(store) == [("r", 1, "idle")]


def test_stopping_takes_in_what_was_handed_over_and_judges_nothing(judge: Judge, store: Store, clock: Clock) -> None:
    judge.deliver((1,), requests(1))
    clock.now += 100
    judge.stop()
    judge.start()
    judge.stop()
    assert store.noted == [("r", 1, 1)]
    assert given(store) == []


def test_stopping_does_not_wait_until_everything_from_before_is_read(judge: Judge) -> None:
    begun = threading.Event()

    def endless() -> Iterator[tuple[int, object]]:
        number = 0
        while True:
            number += 1
            begun.set()
            yield number, requests(1)

    judge.start((), endless())  # type: ignore[arg-type]
    assert begun.wait(10)
    judge.stop()


def test_a_big_run_delays_the_others_and_loses_them_nothing(judge: Judge, clock: Clock, store: Store) -> None:
    """While one run is judged for seconds, spans of another go on coming: it is not taken for idle."""
    judge.hear(record("big", expected_requests=1))
    judge.deliver((1,), requests(1, run="big"))
    judge.deliver((2,), table_of([ingest(2, "small")]))
    keep = store.conclude

    def slowly(judgement: Judgement) -> int:
        if judgement.run.id == "big":
            clock.now += 3
            judge.deliver((3,), table_of([score(2)]))
            clock.now += 5
        return keep(judgement)

    judge.conclude = slowly
    judge.step()
    assert given(store) == [("big", 1, "manifest")]
    judge.step()
    assert given(store) == [("big", 1, "manifest")], "its last span came five seconds ago, not eight"
    clock.now += 1
    judge.step()
    assert given(store)[1:] == [("small", 1, "idle")]
    assert store.kept[1].judged_through == 3


def test_a_judgement_tells_what_was_known_to_be_declared(judge: Judge, clock: Clock, store: Store) -> None:
    judge.deliver((3,), requests(1))
    judge.hear(replace(record("r"), expected_requests=1, traces=2))
    judge.step()
    assert [judgement.said for judgement in store.kept] == [Said(expected_requests=1, traces=2)]
