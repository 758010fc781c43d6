"""From flows and spans to events: their order, what no data is, which rules count, and what one broken rule costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ruleruns import (
    EPOCH,
    HEAD,
    MS,
    Row,
    call,
    events,
    flow_end,
    flow_of,
    judged,
    only,
    run_outcome,
    scores,
    span,
    without,
)
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import (
    FlowFinished,
    FlowStarted,
    Outcome,
    RuleEvaluated,
    RunFinished,
    RunInfo,
    RunStarted,
)
from spanverdict.evaluation.population import MAX_GROUPS
from spanverdict.paths.defects import Defect
from spanverdict.reporting.verdict import gather

FAST = "- {id: fast, latency: request, expect: {max: '< 1s'}}"
SLOW = "- {id: slow, latency: request, expect: {max: '< 1ms'}}"


def outcomes(rows: list[Row], rules: str, **more: Any) -> dict[str, str]:
    return {name: str(result.outcome) for name, result in judged(rows, flow_of(rules), **more).items()}


# the stream


def test_events_come_in_the_order_that_consumers_rely_on() -> None:
    first = flow_of(f"{FAST}\n{SLOW}")
    second = replace(first, name="other")
    found = events(call("a"), first, second)
    kinds = [type(event) for event in found]
    flow = [FlowStarted, RuleEvaluated, RuleEvaluated, FlowFinished]
    assert kinds == [RunStarted, *flow, *flow, RunFinished]
    assert [event.result.id for event in found if isinstance(event, RuleEvaluated)] == ["fast", "slow"] * 2
    assert gather(found).finished == found[-1]


def test_a_run_knows_its_spans_traces_and_times() -> None:
    found = events([*call("a"), *call("b", 1000), *call("a")], flow_of(FAST))
    started = found[0]
    assert isinstance(started, RunStarted)
    assert (started.spans, started.traces) == (6, 2)
    assert (started.run.started_unix_nano, started.run.ended_unix_nano) == (EPOCH, EPOCH + 1150 * MS)


def test_the_run_counts_outcomes_and_lists_defects_by_name() -> None:
    rows = [*call("a"), span("a", 9, "x", 40, 50, parent=77), {**call("a")[1], "name": "changed"}]
    found = list(
        evaluate([flow_of(f"{FAST}\n{SLOW}")], _table(rows), RunInfo("r"), defects=[Defect("shared_trace", 2, "met")])
    )
    finished = found[-1]
    assert isinstance(finished, RunFinished)
    assert finished.counts == {Outcome.PASSED: 1, Outcome.FAILED: 1}
    assert [defect.name for defect in finished.defects] == ["conflicting_span", "missing_parent", "shared_trace"]


def _table(rows: list[Row]) -> Any:
    from spantables import table_of

    return table_of(rows)


def test_the_worst_flow_decides_the_run() -> None:
    good, bad = flow_of(FAST), replace(flow_of(SLOW), name="other")
    assert run_outcome(events(call("a"), good)) == "passed"
    assert run_outcome(events(call("a"), good, bad)) == "failed"
    assert run_outcome(events(call("a"))) == "inconclusive"


def test_a_result_carries_all_that_the_rule_says_of_itself() -> None:
    rule = """
    - id: r
      title: T
      owner: team
      severity: critical
      tags: [smoke, nightly]
      labels: {a: rule}
      annotations: {summary: s, runbook_url: "https://example.com"}
      latency: request
      expect: {max: "< 1s"}
    """
    flow = flow_of(rule, HEAD.replace("flow: scoring", "flow: scoring\nlabels: {a: flow, b: flow}"))
    (result,) = judged(call("a"), flow).values()
    assert (result.title, result.owner, result.severity, result.tags) == ("T", "team", "critical", ("smoke", "nightly"))
    assert result.labels == {"a": "rule", "b": "flow"}
    assert result.annotations == {"summary": "s", "runbook_url": "https://example.com"}
    assert (result.file, result.flow, result.measure) == ("rules/scoring.yaml", "scoring", "latency")
    assert result.line > 8


# no data


@pytest.mark.parametrize(
    ("on_no_data", "outcome", "whole"),
    [("fail", "failed", "failed"), ("skip", "skipped", "inconclusive"), ("pass", "passed", "passed")],
)
def test_where_nothing_matched_the_rule_says_what_that_means(on_no_data: str, outcome: str, whole: str) -> None:
    rule = f"- {{id: r, on_no_data: {on_no_data}, latency: {{stage: extra}}, expect: {{max: '< 1s'}}}}"
    found = events(call("a"), flow_of(rule))
    (result,) = [event.result for event in found if isinstance(event, RuleEvaluated)]
    assert (result.outcome, result.samples, result.conditions[0].observed) == (outcome, 0, "nothing")
    assert result.message.startswith("nothing to judge")
    assert run_outcome(found) == whole


@pytest.mark.parametrize("on_no_data", ["fail", "skip", "pass"])
def test_a_run_without_spans_is_never_decided(on_no_data: str) -> None:
    rule = f"- {{id: r, on_no_data: {on_no_data}, count: '{{ span:status = error }}', expect: {{count: '== 0'}}}}"
    found = events([], flow_of(rule))
    assert run_outcome(found) == "inconclusive"
    assert flow_end(found).outcome == "inconclusive"


def test_values_that_are_there_and_cannot_be_read_are_more_than_no_data() -> None:
    rule = "- {id: r, on_no_data: HOW, freshness: {stage: score, age: span.age, unit: s}, expect: {max: '< 1m'}}"
    rows = call("a", score={"age": "old"})
    assert only(rows, rule.replace("HOW", "pass")).outcome == "inconclusive"
    assert only(rows, rule.replace("HOW", "skip")).outcome == "inconclusive"
    assert only(rows, rule.replace("HOW", "fail")).outcome == "failed"


def test_no_data_says_why() -> None:
    rule = "- {id: r, latency: {stage: notify}, expect: {max: '< 1s'}}"
    result = only(without(call("a"), "notify"), rule, expected=3)
    assert result.message == "nothing to judge: 3 requests have no value: 1 have no stage notify, 2 never arrived"


def test_too_few_samples_decide_nothing_whatever_the_few_say() -> None:
    rule = "- {id: r, latency: request, expect: {max: 'LIMIT', samples: '>= 3'}}"
    rows = [*call("a"), *call("b", 1000)]
    assert only(rows, rule.replace("LIMIT", "< 1s")).outcome == "inconclusive"
    assert only(rows, rule.replace("LIMIT", "< 1ms")).outcome == "inconclusive"
    assert only([*rows, *call("c", 2000)], rule.replace("LIMIT", "< 1s")).outcome == "passed"


# which rules count


def test_a_rule_that_only_reports_never_fails_the_run() -> None:
    reported = SLOW.replace("id: slow", "id: slow, report_only: true")
    found = events(call("a"), flow_of(f"{FAST}\n{reported}"))
    assert run_outcome(found) == "passed"
    assert [event.result.outcome for event in found if isinstance(event, RuleEvaluated)] == ["passed", "failed"]
    assert run_outcome(events(call("a"), flow_of(reported))) == "passed"
    assert run_outcome(events([], flow_of(reported))) == "inconclusive"
    assert run_outcome(events([span("z", 1, "other", 0, 1)], flow_of(reported))) == "inconclusive"


def test_a_skipped_rule_says_why_and_alone_decides_nothing() -> None:
    skipped = SLOW.replace("id: slow", "id: slow, skip: known to be slow")
    assert only(call("a"), skipped).message == "known to be slow"
    assert outcomes(call("a"), f"{FAST}\n{skipped}") == {"fast": "passed", "slow": "skipped"}
    assert run_outcome(events(call("a"), flow_of(f"{FAST}\n{skipped}"))) == "passed"
    assert run_outcome(events(call("a"), flow_of(skipped))) == "inconclusive"


def test_an_incomplete_run_never_passes() -> None:
    found = events(call("a"), flow_of(FAST), trigger="cap")
    assert run_outcome(found) == "inconclusive"
    assert isinstance(found[-1], RunFinished)
    assert not found[-1].complete
    assert run_outcome(events(call("a"), flow_of(SLOW), trigger="cap")) == "failed"
    for trigger in ("input", "idle", "manifest", "run end", "structure"):
        assert run_outcome(events(call("a"), flow_of(FAST), trigger=trigger)) == "passed"


def test_completeness_names_the_stages_that_requests_lack() -> None:
    rows = [*call("a"), *without(call("b", 1000), "notify"), *call("c", 2000)[:1]]
    ended = flow_end(events(rows, flow_of(FAST), expected=5, trigger="cap")).completeness
    assert (ended.complete, ended.trigger, ended.requests, ended.expected_requests) == (False, "cap", 3, 5)
    assert ended.missing_stages == (("ingest", 2), ("score", 3), ("notify", 4))
    flow = flow_of(FAST, HEAD + "complete: {requests: 7}\n")
    assert flow_end(events(rows, flow)).completeness.expected_requests == 7
    assert flow_end(events(rows, flow, expected=3)).completeness.expected_requests == 3


class BrokenError(Exception):
    pass


def broken(*_: object) -> Any:
    raise BrokenError("what went wrong")


def test_a_rule_that_breaks_is_errored_and_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from spanverdict.checks import matches

    monkeypatch.setattr(matches, "rate", broken)
    rules = f"{FAST}\n- {{id: broken, throughput: '{{ }}', expect: {{rate: '> 0'}}}}\n{FAST.replace('fast', 'after')}"
    found = judged(call("a"), flow_of(rules))
    assert {name: str(result.outcome) for name, result in found.items()} == {
        "fast": "passed", "broken": "errored", "after": "passed",
    }  # fmt: skip
    assert found["broken"].message == "could not be judged: BrokenError: what went wrong"
    assert run_outcome(events(call("a"), flow_of(rules))) == "errored"


def test_a_flow_whose_requests_cannot_be_found_is_errored_and_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from spanverdict.evaluation import engine

    real = engine.view_of
    monkeypatch.setattr(engine, "view_of", lambda flow, *rest: broken() if flow.name == "bad" else real(flow, *rest))
    bad, good = replace(flow_of(f"{FAST}\n{SLOW}"), name="bad"), flow_of(FAST)
    found = events(call("a"), bad, good)
    results = [event.result for event in found if isinstance(event, RuleEvaluated)]
    assert [(result.flow, str(result.outcome)) for result in results] == [
        ("bad", "errored"), ("bad", "errored"), ("scoring", "passed"),
    ]  # fmt: skip
    assert run_outcome(found) == "errored"


# populations


def test_where_chooses_requests_that_contain_a_match() -> None:
    rows = [*call("a", score={"model": "v1"}), *call("b", 1000, score={"model": "v2"}), *call("c", 2000)]
    rule = (
        "- {id: r, where: '{ span.model = \"v1\" }', latency: {stage: ingest}, expect: {samples: '== 1', max: '< 1s'}}"
    )
    assert only(rows, rule, expected=9).outcome == "passed"
    assert only(rows, rule.replace("v1", "v3")).message == "nothing to judge in the requests that `where` chooses"


def test_where_may_ask_for_structure_across_the_traces_of_a_request() -> None:
    rows = [
        *call("a"),
        span("m", 1, "batch", 150, 200, links=[{"trace": "a", "id": 2}]),
        span("m", 2, "write", 160, 170, parent=1),
        *call("b", 1000),
    ]
    where = '{ span:name = "score" } >> { span:name = "write" }'
    rule = f"- {{id: r, where: '{where}', latency: request, expect: {{samples: '== 1', max: '< 1s'}}}}"
    assert only(rows, rule).outcome == "passed"


def test_per_gives_one_result_a_group_by_name() -> None:
    rows = [*call("b", score={"model": "v2"}), *call("a", 1000, score={"model": "v1"}), *call("c", 2000)]
    rule = "- {id: r, per: span.model, latency: {stage: score}, expect: {max: '< 1s'}}"
    assert outcomes(rows, rule) == {"r[(none)]": "passed", "r[v1]": "passed", "r[v2]": "passed"}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([1, 1.0, "1"], ["1", "1.0"]),
        ([True, "true", False], ["false", "true"]),
        (["a\0", "a", ""], ["", "a", "a\0"]),
        ([[1, 2]], ["1, 2"]),
    ],
)
def test_groups_are_known_by_what_their_values_look_like(values: list[Any], names: list[str]) -> None:
    rule = "- {id: r, per: span.score, latency: {stage: score}, expect: {max: '< 1s'}}"
    results = judged(scores(values), flow_of(rule)).values()
    assert [result.group for result in results] == names


def test_a_long_text_among_many_groups_takes_no_more_than_itself() -> None:
    rows = scores(["x" * 1_000_000, *(f"s{n}" for n in range(30))])
    rule = "- {id: r, per: span.score, latency: {stage: score}, expect: {max: '< 1s'}}"
    assert len(judged(rows, flow_of(rule))) == 31


def test_more_groups_than_can_be_judged_are_named_and_not_passed() -> None:
    many = [f"g{n:03}" for n in range(MAX_GROUPS + 12)]
    rule = "- {id: r, per: span.score, latency: {stage: score}, expect: {max: '< 1s'}}"
    found = judged([*scores(many), *call("z", score={"score": "g111"})], flow_of(rule))
    assert len(found) == MAX_GROUPS + 1
    others = found["r[(others)]"]
    assert (others.outcome, "r[g111]" in found) == ("inconclusive", True)
    assert others.message == (
        "12 more groups than can be judged: g099, g100, g101, g102, g103, g104, g105, g106, g107, g108, …"
    )


def test_a_group_of_nothing_but_missing_values_is_no_data() -> None:
    rows = [*call("a", score={"model": "v1", "score": 1}), *call("b", 1000, score={"model": "v2"})]
    rule = "- {id: r, per: span.model, output: {stage: score, value: span.score}, expect: {every: '0..1'}}"
    found = judged(rows, flow_of(rule))
    assert (found["r[v1]"].outcome, found["r[v2]"].outcome) == ("passed", "failed")
    assert found["r[v2]"].message == "nothing to judge: 1 requests have no span.score at score"


# the worst


def test_the_worst_requests_of_what_failed_are_shown_and_where_their_time_went() -> None:
    rows = [row for n in range(8) for row in call(f"{n + 1:032x}", 1000 * n)]
    for n, row in enumerate(rows):
        if row["name"] == "notify":
            rows[n] = {**row, "end": row["end"] + n * MS}
    result = only(rows, "- {id: r, latency: request, expect: {min: '> 0ms', max: '< 1ms', samples: '>= 1'}}")
    assert [exhibit.key for exhibit in result.exhibits] == ["r-8", "r-7", "r-6", "r-5", "r-4"]
    assert result.exhibits[0].value == "173ms"
    assert sum(share.duration_ns for share in result.exhibits[0].stages) == 173 * MS


def test_of_a_passed_rule_nothing_is_shown() -> None:
    assert only(call("a"), FAST).exhibits == ()


def test_of_doubt_the_missing_are_shown_first() -> None:
    rows = [*call("a", score={"score": 0.5}), *call("b", 1000)]
    result = only(rows, "- {id: r, output: {stage: score, value: span.score}, expect: {every: '0..1'}}")
    assert (result.outcome, result.exhibits[0].key, result.exhibits[0].value) == (
        "inconclusive", "r-b", "missing: span.score at score",
    )  # fmt: skip


def test_a_request_is_named_by_its_key_and_without_one_by_its_trace() -> None:
    rows = [*call("a"), *({**row, "attributes": {}} for row in call("b", 1000))]
    result = only(rows, SLOW)
    keys = {exhibit.key for exhibit in result.exhibits}
    assert keys == {"r-a", next(e.trace_id for e in result.exhibits if e.key != "r-a")}
