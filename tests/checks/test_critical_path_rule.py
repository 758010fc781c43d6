"""Rules on the share that a stage, or the queues, have of the critical path of requests."""

from __future__ import annotations

from typing import Any

import pytest

from spantables import table_of
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import Outcome, RuleEvaluated, RuleResult, RunInfo
from spanverdict.rulefiles.loader import load

FLOW = """
version: 1
flow: scoring
stages:
  - stage: ingest
    select: {{name: ingest}}
  - stage: score
    select: {{name: score}}
  - stage: cache
    select: {{name: cache}}
    count: ">= 0"
  - stage: notify
    select: {{kind: consumer}}
rules:
  - id: rule
    latency: {measure}
    expect: {expect}
"""


def request(trace: str, score: int = 60, waited: int = 20, notified: bool = True) -> list[dict[str, Any]]:
    """A request of 100 ns: 20 at the gateway, 60 of scoring, and 20 in the queue."""
    ingest = {"trace": trace, "id": 1, "name": "ingest", "start": 1000, "end": 1020 + score}
    scored = {"trace": trace, "id": 2, "parent": 1, "name": "score", "start": 1020, "end": 1020 + score}
    taken = 1020 + score + waited
    notify = {"trace": f"{trace}-n", "id": 3, "name": "n", "kind": "consumer", "start": taken, "end": taken}
    return [ingest, scored, *([{**notify, "links": [{"trace": trace, "id": 1}]}] if notified else [])]


def judged(measure: str, expect: str, rows: list[dict[str, Any]]) -> RuleResult:
    problems = Problems()
    flow = load(FLOW.format(measure=measure, expect=expect), "flow.yaml", problems)
    assert flow is not None, problems.sorted()
    events = evaluate([flow], table_of(rows), RunInfo("r"))
    return next(event.result for event in events if isinstance(event, RuleEvaluated))


@pytest.mark.parametrize(
    ("name", "expect", "outcome"),
    [
        ("score", '{max: "<= 60%"}', Outcome.PASSED),
        ("score", '{min: ">= 60%"}', Outcome.PASSED),
        ("score", '{max: "< 0.6"}', Outcome.FAILED),
        ("ingest", '{mean: "== 20%"}', Outcome.PASSED),
        ("queue", '{every: "19%..21%"}', Outcome.PASSED),
        ("other", '{max: "== 0"}', Outcome.PASSED),
        ("cache", '{max: "== 0%"}', Outcome.PASSED),
    ],
)
def test_shares_are_of_the_requests_duration(name: str, expect: str, outcome: Outcome) -> None:
    assert judged(f"{{critical_path: {name}}}", expect, request("a")).outcome is outcome


def test_a_failure_says_the_share_and_where_the_time_went() -> None:
    result = judged("{critical_path: score}", '{p95: "< 50%"}', request("a"))
    assert result.message == "p95 = 60 %, expected < 50% (n = 1 requests)"
    assert [(s.stage, s.duration_ns) for s in result.exhibits[0].stages] == [
        ("score", 60),
        ("ingest", 20),
        ("queue", 20),
    ]
    assert result.exhibits[0].value == "60 %"


def test_a_request_without_its_last_stage_has_no_share_and_is_never_a_pass() -> None:
    """What is there alone would pass."""
    result = judged("{critical_path: score}", '{max: "<= 60%"}', [*request("a"), *request("b", notified=False)])
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "have no stage notify" in result.message


def test_a_request_that_took_no_time_has_no_share() -> None:
    rows = [{**row, "start": 1000, "end": 1000} for row in request("a")]
    result = judged("{critical_path: score}", '{max: "<= 100%"}', rows)
    assert result.outcome is not Outcome.PASSED
    assert "took no time that can be told" in result.message


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ("{critical_path: scoer}", "there is no stage `scoer`"),
        ("{critical_path: score, of: busy}", "'of' does not go with 'critical_path'"),
        ("{critical_path: [score]}", "a stage is named by a text, not a list"),
    ],
)
def test_mistakes_are_refused_by_name(measure: str, said: str) -> None:
    problems = Problems()
    assert load(FLOW.format(measure=measure, expect='{p95: "< 50%"}'), "flow.yaml", problems) is None
    assert [problem.message for problem in problems.sorted()] == [said]


@pytest.mark.parametrize("expect", ['{p95: "< 200ms"}', '{p95: "< 120%"}', '{sum: "< 90%"}'])
def test_conditions_are_on_shares(expect: str) -> None:
    problems = Problems()
    assert load(FLOW.format(measure="{critical_path: score}", expect=expect), "flow.yaml", problems) is None
    assert len(problems.sorted()) == 1
