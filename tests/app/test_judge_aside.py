"""A verdict that takes long: what comes meanwhile is taken in, and the verdict does not know of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from app.followed import MemoryArchive, flow, ingest, record, requests, score
from app.waiting import until
from spantables import table_of
from spanverdict.app.docket import Docket
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.judge import MANY_SPANS, Judge
from spanverdict.app.judgement import Judgement
from spanverdict.evaluation.outcomes import RunStarted

PATIENCE_S = 20
Work = Callable[[], None]


class Bench:
    """A judge whose work aside is done by another thread, which first lets something come."""

    def __init__(self) -> None:
        self.now = 100.0
        self.kept: list[Judgement] = []
        self.meanwhile: list[Work] = []
        """What is to come while something is worked out, the first time and the next."""
        docket = Docket(DocketConfig(flows=(flow(),)), MemoryArchive(), stopwatch=lambda: 0.0)
        self.judge = Judge(docket, self._keep, clock=lambda: self.now, begin_aside=self._begin_aside, many_spans=0)
        self.threads: list[threading.Thread] = []

    def _keep(self, judgement: Judgement) -> int:
        self.kept.append(judgement)
        return judgement.run.revision

    def _begin_aside(self, work: Work) -> None:
        first = self.meanwhile.pop(0) if self.meanwhile else None

        def do() -> None:
            if first is not None:
                first()
            work()

        self.threads.append(threading.Thread(target=do))
        self.threads[-1].start()

    def comes(self, batch: int, *numbers: int, run: str = "r") -> Work:
        """Return what delivers requests and waits until they were taken in."""

        def come() -> None:
            self.judge.deliver((batch,), requests(*numbers, run=run))
            until(lambda: self.judge.backlog == 0)

        return come

    def given(self) -> list[tuple[str, int, int, int]]:
        """Return of each verdict the run, the revision, the last batch and the number of spans."""
        started = [next(event for event in kept.events if isinstance(event, RunStarted)) for kept in self.kept]
        return [
            (kept.run.id, kept.run.revision, kept.judged_through, event.spans)
            for kept, event in zip(self.kept, started, strict=True)
        ]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    for thread in made.threads:
        thread.join(PATIENCE_S)


def test_spans_of_others_are_taken_in_while_a_verdict_is_worked_out(bench: Bench) -> None:
    bench.judge.deliver((1,), requests(1))
    bench.judge.step()
    bench.meanwhile = [bench.comes(2, 2, run="other")]
    bench.now += 6
    bench.judge.step()
    assert bench.given() == [("r", 1, 1, 2)]
    assert bench.judge.docket.runs["other"].progress.spans == 2, "they are counted, too"


@pytest.mark.parametrize("before", range(3))
def test_a_late_span_of_the_run_itself_brings_a_revision(bench: Bench, before: int) -> None:
    """Whenever it comes: while the spans are put together, or its flows are found, or rules are evaluated."""
    bench.judge.deliver((1,), requests(1))
    bench.judge.step()
    bench.meanwhile = [*[bool] * before, bench.comes(2, 2)]  # type: ignore[list-item]
    bench.now += 6
    bench.judge.step()
    assert bench.given() == [("r", 1, 1, 2)]
    bench.now += 6
    bench.judge.step()
    assert bench.given()[1:] == [("r", 2, 2, 4)]


def test_a_run_that_was_seen_to_be_whole_is_judged_by_what_was_seen(bench: Bench) -> None:
    bench.judge.hear(record(expected_requests=1))
    bench.judge.deliver((1,), requests(1))
    bench.meanwhile = [bench.comes(2, 2)]
    bench.judge.step()
    assert bench.given() == [("r", 1, 1, 2)]
    assert bench.kept[0].trigger == "manifest"
    bench.now += 1
    bench.judge.step()
    assert bench.given()[1:] == [("r", 2, 2, 4)]


def test_words_wait_for_the_verdict_and_what_follows_them_waits_behind_them(bench: Bench) -> None:
    def come() -> None:
        bench.judge.deliver((2,), requests(2, run="early"))
        bench.judge.hear(record(labels={"branch": "main"}))
        bench.judge.deliver((3,), requests(3, run="late"))
        until(lambda: "early" in bench.judge.docket.runs)
        seen.update(bench.judge.docket.runs)

    seen: dict[str, object] = {}
    bench.judge.deliver((1,), requests(1))
    bench.judge.step()
    bench.meanwhile = [come]
    bench.now += 6
    bench.judge.step()
    assert sorted(seen) == ["early", "r"]
    assert bench.kept[0].run.labels == {}
    bench.judge.step()
    assert "late" in bench.judge.docket.runs
    bench.now += 6
    bench.judge.step()
    again = [kept.run for kept in bench.kept[1:] if kept.run.id == "r"]
    assert [(run.revision, run.labels) for run in again] == [(2, {"branch": "main"})]


def test_a_fault_in_what_is_worked_out_costs_one_run_which_is_tried_again_as_more_came(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_options: object) -> object:
        raise ValueError("a bug")

    bench.judge.deliver((1,), requests(1))
    bench.judge.step()
    bench.meanwhile = [bench.comes(2, 2)]
    bench.now += 6
    with monkeypatch.context() as patch:
        patch.setattr("spanverdict.app.evidence.prepare", broken)
        bench.judge.step()
    assert bench.judge.docket.runs["r"].trouble == "ValueError: a bug"
    bench.now += 6
    bench.judge.step()
    assert bench.given() == [("r", 1, 2, 4)]


def test_a_judge_that_is_told_to_stop_gives_the_verdict_it_is_at_and_no_other(bench: Bench) -> None:
    stopping = threading.Thread(target=bench.judge.stop)
    bench.threads.append(stopping)
    bench.judge.deliver((1,), requests(1))
    bench.judge.deliver((2,), requests(2, run="other"))
    bench.judge.step()
    bench.meanwhile = [stopping.start]
    bench.now += 6
    while bench.judge.step():
        pass
    assert len(bench.given()) == 1


def test_few_spans_are_judged_on_the_thread_of_the_judge(bench: Bench) -> None:
    bench.judge.many_spans = MANY_SPANS
    bench.judge.deliver((1,), table_of([ingest(1), score(1)]))
    bench.judge.step()
    bench.now += 6
    bench.judge.step()
    assert bench.given() == [("r", 1, 1, 2)]
    assert not bench.threads
