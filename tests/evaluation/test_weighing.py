"""Statistics of sampled runs: each kept span counts for those it stands for, or it is said that nobody knows."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spantables import table_of
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import Outcome, RuleEvaluated, RuleResult, RunInfo
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow

MS = 1_000_000
START = 1_760_000_000_000_000_000
STATES = {1: "ot=th:0", 2: "ot=th:8", 4: "ot=th:c"}
"""A trace state for each adjusted count."""
FLOW = """
version: 1
flow: sampled
stages:
  - stage: ingest
    select: {name: ingest}
  - stage: work
    select: {name: work}
    count: ">= 0"
rules:
"""


def flow_of(rules: str) -> Flow:
    problems = Problems()
    flow = load(FLOW + rules, "sampled.yaml", problems)
    assert flow is not None, problems.items
    return flow


def request(number: int, state: str = "", ms: int = 100, **more: Any) -> dict[str, Any]:
    """The ingest span of a request; its trace id is so high that every sampler keeps it."""
    ids = {"trace": f"{number:016x}{'f' * 16}", "id": number}
    times = {"start": START, "end": START + ms * MS}
    return ids | times | {"name": "ingest", "trace_state": state} | more


def result_of(rule: str, rows: list[dict[str, Any]], **run: Any) -> RuleResult:
    events = evaluate([flow_of(rule)], table_of(rows), RunInfo("sampled", **run))
    (result,) = (event.result for event in events if isinstance(event, RuleEvaluated))
    return result


def observed(rule: str, rows: list[dict[str, Any]], **run: Any) -> list[float | int | None]:
    return [condition.observed_value for condition in result_of(rule, rows, **run).conditions]


ERRORS = (
    "  - {id: errors, count: '{ span:status = error }', expect: {count: '< 1000', ratio: '< 100%', samples: '> 0'}}\n"
)
LATENCY = "  - {id: slow, latency: {stage: ingest}, expect: {p50: '< 1s', p90: '< 1s', max: '< 1s', mean: '< 1s', sum: '< 1h'}}\n"
WHOLE = "  - {id: whole, coverage: {stages: all}, expect: {ratio: '>= 50%'}}\n"
EACH = "  - {id: each, count: {of: '{ name = \"work\" }', per: request}, expect: {max: '<= 1'}}\n"
RATE = "  - {id: load, throughput: {name: ingest}, expect: {rate: '> 0'}}\n"


def test_counts_and_shares_are_of_all_that_was_sent() -> None:
    """One failure of four kept at 1 in 4, three of one each: 4 of 7 failed, from four kept spans."""
    rows = [request(1, STATES[4], status="error"), *(request(n, STATES[1]) for n in (2, 3, 4))]
    assert observed(ERRORS, rows) == [4, 4 / 7, 4]
    result = result_of(ERRORS, rows)
    assert result.conditions[0].note == "4 kept stand for 7"
    assert result.samples == 4


def test_percentiles_mean_and_sum_weigh_each_value() -> None:
    """One slow request that stands for four is slower than the middle of all six."""
    rows = [request(1, STATES[4], 400), request(2, STATES[1], 100), request(3, STATES[1], 200)]
    assert observed(LATENCY, rows) == [400 * MS, 400 * MS, 400 * MS, (1600 + 300) * MS / 6, 1900 * MS]


def test_a_rate_is_that_of_all_that_was_sent() -> None:
    """Two kept at 1 in 2 within 100 ms are forty a second."""
    assert observed(RATE, [request(1, STATES[2]), request(2, STATES[2])]) == [40]


def test_one_span_that_does_not_say_leaves_all_as_they_are() -> None:
    """Raw values, and the note; the outcome is that of the raw values."""
    rows = [request(1, STATES[4], status="error"), request(2, ""), request(3, "ot=th:zz"), request(4, STATES[1])]
    result = result_of(ERRORS, rows)
    assert [condition.observed_value for condition in result.conditions] == [1, 0.25, 4]
    assert {condition.note for condition in result.conditions} == {"sampling unknown"}
    assert "sampling unknown" in result.message


def test_a_threshold_that_cannot_be_is_unknown() -> None:
    """A span that its own sampler would have dropped says nothing about how many there were."""
    rows = [request(1, "ot=th:8;rv:00000000000000"), request(2, STATES[1])]
    assert {condition.note for condition in result_of(ERRORS, rows).conditions} == {"sampling unknown"}


@pytest.mark.parametrize("state", ["", "ot=th:0", "vendor=x", "ot=rv:ffffffffffffff"])
def test_a_run_that_kept_everything_is_judged_as_ever(state: str) -> None:
    """Without a threshold above 0 nothing is weighed, noted or refused."""
    rows = [request(1, state, status="error"), request(2, state)]
    for rule in (ERRORS, LATENCY, WHOLE, EACH):
        result = result_of(rule, rows)
        assert result.outcome is Outcome.PASSED
        assert not any(condition.note for condition in result.conditions)


@pytest.mark.parametrize("rule", [WHOLE, EACH])
def test_what_needs_every_span_is_refused_until_the_flow_expects_it(rule: str) -> None:
    """Not a pass and not a failure: a span that is not there may have been made."""
    rows = [request(1, STATES[2]), request(2, STATES[1])]
    result = result_of(rule, rows)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "1 of 2 spans of requests say that others were not kept" in result.message
    assert "sampling: expected" in result.message
    assert [condition.observed for condition in result.conditions] == ["nothing"]
    assert result_of(f"{rule}sampling: expected\n", rows).outcome is Outcome.PASSED


def test_attributes_alone_do_not_need_every_span() -> None:
    rule = "  - {id: described, coverage: {stages: ingest, attributes: [span.x]}, expect: {ratio: '>= 1%'}}\n"
    bare = rule.replace("stages: ingest, ", "")
    rows = [request(1, STATES[2], attributes={"x": 1})]
    assert result_of(rule, rows).outcome is Outcome.INCONCLUSIVE
    assert result_of(bare, rows).outcome is Outcome.PASSED


def test_sampled_spans_of_no_request_refuse_nothing() -> None:
    """Health checks that are thinned out say nothing about requests."""
    rows = [request(1, STATES[1]), request(2, STATES[4], name="health")]
    assert result_of(WHOLE, rows).outcome is Outcome.PASSED


def test_missing_requests_count_for_those_they_stand_for() -> None:
    """A request without usable end that stands for four of five may have been the slowest: the median is open."""
    rows = [request(1, STATES[4], end=0), request(2, STATES[1], 100)]
    rule = "  - {id: slow, latency: {stage: ingest}, expect: {p50: '< 1s', p90: '< 1s'}}\n"
    result = result_of(rule, rows)
    assert [condition.outcome for condition in result.conditions] == [Outcome.INCONCLUSIVE] * 2
    rows = [request(1, STATES[1], end=0), request(2, STATES[4], 100)]
    result = result_of(rule, rows)
    assert [condition.outcome for condition in result.conditions] == [Outcome.PASSED, Outcome.INCONCLUSIVE]


def test_requests_that_never_came_cannot_be_weighed() -> None:
    """Nobody knows how many each of them would stand for."""
    rule = "  - {id: slow, latency: {stage: ingest}, expect: {p50: '< 1s'}}\n"
    result = result_of(rule, [request(1, STATES[2]), request(2, STATES[2])], expected_requests=3)
    assert result.conditions[0].note.endswith("sampling unknown")


values = st.lists(
    st.tuples(st.sampled_from(sorted(STATES)), st.integers(1, 50), st.booleans(), st.booleans()),
    min_size=1,
    max_size=12,
)
GROUPS = "  - {id: g, latency: {stage: ingest}, expect: {p1: '> 0s', p50: '> 0s', p90: '> 0s', p99.99: '> 0s', mean: '> 0s'}}\n"


@given(values)
def test_weighing_is_as_if_all_that_were_sent_had_been_kept(made: list[tuple[int, int, bool, bool]]) -> None:
    """Each request repeated as often as it stands for others gives the same numbers, the missing included."""
    kept, sent = [], []
    for number, (count, ms, failed, missing) in enumerate(made, 1):
        more = {"status": "error" if failed else "ok"} | ({"end": 0} if missing else {})
        kept.append(request(number, STATES[count], ms, **more))
        sent += [request(1000 * number + copy, "", ms, **more) for copy in range(count)]
    for rule in (GROUPS, ERRORS.replace(", samples: '> 0'", "")):
        few, all_of_them = result_of(rule, kept), result_of(rule, sent)
        assert few.outcome == all_of_them.outcome
        for one, other in zip(few.conditions, all_of_them.conditions, strict=True):
            assert one.outcome == other.outcome
            assert (one.observed_value is None) == (other.observed_value is None)
            if one.observed_value is not None and other.observed_value is not None:
                assert math.isclose(one.observed_value, other.observed_value)


@given(values)
def test_a_share_is_exact(made: list[tuple[int, int, bool, bool]]) -> None:
    """The share of failures, computed by hand."""
    rows = [
        request(number, STATES[count], ms, status="error" if failed else "ok")
        for number, (count, ms, failed, _) in enumerate(made, 1)
    ]
    rule = ERRORS.replace("count: '< 1000', ", "").replace(", samples: '> 0'", "")
    share = Fraction(sum(count for count, _, failed, _ in made if failed), sum(count for count, *_ in made))
    assert observed(rule, rows) == [share.numerator if share.denominator == 1 else float(share)]
