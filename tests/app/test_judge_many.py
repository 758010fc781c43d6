"""Many small runs at once: a round judges some and keeps their verdicts together; what comes is taken in between."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.followed import MS, MemoryArchive, flow, ingest, score
from spantables import new_pool, table_of
from spanverdict.alerting.config import ReceiverSettings
from spanverdict.app.docket import RETRY_S, Docket
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.judge import AT_MOST_JUDGED, Judge
from spanverdict.app.judgement import Judgement
from spanverdict.app.service import Service, ServiceConfig
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import RunInfo
from spanverdict.evaluation.past import Past
from spanverdict.storage.errors import StoreUnavailable
from spanverdict.storage.store import Store
from spanverdict.telemetry.spantable import SpanTable


class Desk:
    """A judge on the caller's thread, and what became of each verdict: kept alone, or together with others."""

    def __init__(self) -> None:
        self.now = 100.0
        self.kept: list[list[str]] = []
        self.failing: set[str] = set()
        self.past: dict[str, Past] = {}
        docket = Docket(DocketConfig(flows=(flow(),)), MemoryArchive(), stopwatch=lambda: 0.0)
        self.judge = Judge(
            docket,
            lambda judgement: self._conclude_all([judgement])[0],
            lambda _runs: None,
            past_of=lambda run, _flows: self.past.get(run.id, Past()),
            conclude_all=self._conclude_all,
            clock=lambda: self.now,
        )

    def _conclude_all(self, judgements: Sequence[Judgement]) -> list[int]:
        if self.failing.intersection(judgement.run.id for judgement in judgements):
            raise StoreUnavailable("the disk is full")
        self.kept.append([judgement.run.id for judgement in judgements])
        return [judgement.run.revision for judgement in judgements]

    def deliver(self, *numbers: int) -> None:
        self.judge.deliver((numbers[0],), _runs(*numbers))
        self.judge.step()

    def judge_at(self, now: float) -> None:
        """Go on with nothing new until nothing is due any more."""
        self.now = now
        while (due := self.judge.docket.next_due()) is not None and due <= now:
            self.judge.step()


def _runs(*numbers: int) -> SpanTable:
    return table_of([row for n in numbers for row in (ingest(n, f"r{n}"), score(n))], new_pool())


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_verdicts_of_a_round_are_kept_together(desk: Desk) -> None:
    desk.deliver(*range(1, AT_MOST_JUDGED + 6))
    desk.judge_at(110.0)
    assert [len(together) for together in desk.kept] == [AT_MOST_JUDGED, 5]
    assert sorted(name for together in desk.kept for name in together) == sorted(desk.judge.docket.runs)
    assert desk.judge.docket.open_runs == 0


def test_between_two_rounds_what_came_is_taken_in(desk: Desk) -> None:
    desk.deliver(*range(1, AT_MOST_JUDGED + 2))
    desk.now = 110.0
    desk.judge.step()
    assert [len(together) for together in desk.kept] == [AT_MOST_JUDGED]
    desk.deliver(1000)
    assert "r1000" in desk.judge.docket.runs
    assert [len(together) for together in desk.kept] == [AT_MOST_JUDGED, 1]


def test_where_they_cannot_be_kept_together_each_is_kept_alone_and_costs_the_others_nothing(desk: Desk) -> None:
    desk.deliver(1, 2, 3)
    desk.failing = {"r2"}
    desk.judge_at(110.0)
    assert desk.kept == [["r1"], ["r3"]]
    assert "the disk is full" in desk.judge.docket.runs["r2"].trouble
    desk.failing.clear()
    desk.judge_at(110.0 + RETRY_S)
    assert desk.kept == [["r1"], ["r3"], ["r2"]]


def test_a_verdict_that_depends_on_others_is_kept_alone_and_after_those_before_it(desk: Desk) -> None:
    desk.past["r2"] = Past(runs={"scoring": ()})
    desk.deliver(1, 2, 3)
    desk.judge_at(110.0)
    assert desk.kept == [["r1"], ["r2"], ["r3"]]
    desk.judge.deliver((9,), table_of([score(n) | {"id": 700 + n} for n in (1, 3)], new_pool()))
    desk.judge.step()
    desk.judge_at(120.0)
    assert desk.kept[3:] == [["r1"], ["r3"]], "a further revision depends on the one before"


def test_alerts_of_verdicts_that_are_kept_together_are_those_of_one_after_the_other(tmp_path: Path) -> None:
    """Failures fire, a pass resolves, and a failure after it fires again."""
    config = ServiceConfig(store=tmp_path, webhooks=(ReceiverSettings("hook", "https://hook.example/"),))
    slow = (False, True, True, False, True)
    told = {}
    for at_once in (len(slow), 1):
        service = Service(config)
        service.courier = None
        with Store.open(tmp_path / f"{at_once}.sqlite") as service.store:
            judgements = [_judgement(service.store, number, is_slow) for number, is_slow in enumerate(slow)]
            for first in range(0, len(slow), at_once):
                group = judgements[first : first + at_once]
                assert service._conclude_all(group) == [1] * len(group)
            messages = [json.loads(one.body) for one in service.store.outbox.pending()]
            told[at_once] = [(one["status"], one["alerts"][0]["annotations"]["run_id"]) for one in messages]
            assert service.verdicts == {"passed": 2, "failed": 3}
    assert told[1] == [("firing", "r1"), ("firing", "r2"), ("resolved", "r3"), ("firing", "r4")]
    assert told[len(slow)] == told[1]


def _judgement(store: Store, number: int, is_slow: bool) -> Judgement:
    run = RunInfo(f"r{number}", revision=1)
    store.runs.touch(run.id, 1, 1, number)
    rows = [ingest(number, run.id), score(number) | {"end": (3_000 if is_slow else 1_050) * MS}]
    events = evaluate((flow(),), table_of(rows, new_pool()), run)
    return Judgement(run, (flow(),), "idle", tuple(events), 1)
