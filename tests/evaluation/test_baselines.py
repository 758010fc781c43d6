"""Comparing with a baseline: exact, never green without one, and inside a run with other requests of it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleruns import MS, Row, call, events, flow_of, judged, measured, only, scores, view
from spanverdict.checks.bounds import NO_HIGH, NO_LOW, Bounds
from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.missing import Missing
from spanverdict.evaluation.baselines import Baseline, definition_of
from spanverdict.evaluation.baselinesample import MAX_NUMBERS, BaselineSample, kept_sample, live_sample
from spanverdict.evaluation.deciding import decide_against
from spanverdict.evaluation.outcomes import BaselineOrigin, FlowStarted, Outcome, RuleEvaluated, RuleResult
from spanverdict.evaluation.past import Past
from spanverdict.evaluation.sample import Interval, Sample
from spanverdict.rulefiles.conditions import Condition, Operator
from spanverdict.rulefiles.models import Flow
from spanverdict.rulefiles.relative import Delta
from spanverdict.rulefiles.statistic import parse_statistic
from spanverdict.telemetry.spantable import AttributeColumn

COMPARE = {
    Operator.LESS: lambda value, limit: value < limit,
    Operator.AT_MOST: lambda value, limit: value <= limit,
    Operator.MORE: lambda value, limit: value > limit,
    Operator.AT_LEAST: lambda value, limit: value >= limit,
    Operator.EQUAL: lambda value, limit: value == limit,
    Operator.UNEQUAL: lambda value, limit: value != limit,
}
NUMBERS = st.integers(-50, 50) | st.fractions(-50, 50) | st.floats(-50, 50)
DELTAS = st.builds(Delta, st.fractions(-1, 3), st.booleans())


def of(operator: Operator, *deltas: Delta) -> Condition:
    return Condition("as written", operator, (), deltas)


# deciding


@given(st.sampled_from(list(COMPARE)), DELTAS, NUMBERS, NUMBERS)
def test_known_values_are_compared_exactly(operator: Operator, delta: Delta, value: Any, baseline: Any) -> None:
    """With no number rounded: the limit is that of rational arithmetic on exactly these numbers."""
    expected = COMPARE[operator](Fraction(value), delta.limit(Fraction(baseline)))
    outcome = decide_against(of(operator, delta), Interval.point(value), Interval.point(baseline))
    assert outcome is (Outcome.PASSED if expected else Outcome.FAILED)


@given(st.sampled_from(list(COMPARE)), DELTAS, *[st.tuples(st.integers(-6, 6), st.integers(-6, 6))] * 2)
def test_what_is_uncertain_is_decided_as_if_all_possibilities_were_tried(
    operator: Operator, delta: Delta, value: tuple[int, int], baseline: tuple[int, int]
) -> None:
    here, there = sorted(value), sorted(baseline)
    outcome = decide_against(of(operator, delta), Interval(here[0], *here), Interval(there[0], *there))
    tried = {
        COMPARE[operator](one, delta.limit(Fraction(other)))
        for one, other in itertools.product(range(here[0], here[1] + 1), range(there[0], there[1] + 1))
    }
    if outcome is not Outcome.INCONCLUSIVE:
        assert tried == {outcome is Outcome.PASSED}
    elif operator not in (Operator.EQUAL, Operator.UNEQUAL) and abs(delta.amount) <= 1:
        assert tried == {True, False}


@given(DELTAS, DELTAS, NUMBERS, NUMBERS)
def test_a_range_is_both_of_its_ends(low: Delta, high: Delta, value: Any, baseline: Any) -> None:
    intervals = Interval.point(value), Interval.point(baseline)
    both = {
        decide_against(of(operator, delta), *intervals)
        for operator, delta in ((Operator.AT_LEAST, low), (Operator.AT_MOST, high))
    }
    outcome = decide_against(of(Operator.WITHIN, low, high), *intervals)
    assert outcome is (Outcome.PASSED if both == {Outcome.PASSED} else Outcome.FAILED)


@given(st.sampled_from(list(COMPARE)), DELTAS, NUMBERS)
def test_an_end_that_nobody_knows_never_passes(operator: Operator, delta: Delta, value: Any) -> None:
    unknown = Interval(value, None, None)
    assert decide_against(of(operator, delta), Interval.point(value), unknown) is Outcome.INCONCLUSIVE
    assert decide_against(of(operator, delta), unknown, Interval.point(value)) is Outcome.INCONCLUSIVE
    infinite = Interval.point(float("inf"))
    assert decide_against(of(operator, delta), Interval.point(value), infinite) is Outcome.INCONCLUSIVE
    assert decide_against(of(operator, delta), infinite, Interval.point(value)) is Outcome.INCONCLUSIVE


# what is kept of a sample

STATISTICS = ["p0.1", "p1.07", "p50", "p95", "p99.99", "min", "max", "mean", "sum", "stddev", "samples"]


def sample(values: Any, missing: int = 0, unit: Unit = Unit.NUMBER) -> Sample:
    lacking = Missing.of_requests(np.full(missing, -1), "never arrived")
    places = np.arange(len(values.codes) if isinstance(values, AttributeColumn) else len(values))
    return Sample(Measurement(unit, values, "requests", places, places, lacking))


def kept(of_sample: Sample) -> BaselineSample:
    found = kept_sample(of_sample, "any")
    assert found is not None
    return found


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.just(7), min_size=1, max_size=40), st.integers(0, 3))
def test_a_kept_sample_has_the_statistics_of_the_sample(values: list[int], missing: int) -> None:
    whole = sample(np.array(values), missing)
    for name in STATISTICS:
        statistic = parse_statistic(name)
        assert kept(whole).statistic(statistic) == live_sample(whole, "any").statistic(statistic)
        assert kept(whole).statistic(statistic) == whole.statistic(statistic)


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 4), st.integers(0, 4)), min_size=1), st.integers(0, 2))
def test_what_clocks_leave_in_doubt_is_kept_in_doubt(values: list[tuple[int, int, int]], missing: int) -> None:
    """Where 4 stands for a value that nothing bounds on that side."""
    sent = np.array([value for value, _, _ in values])
    low = np.array([NO_LOW if less == 4 else value - less for value, less, _ in values])
    high = np.array([NO_HIGH if more == 4 else value + more for value, _, more in values])
    bounds = Bounds(low, high, sent, np.zeros(len(sent), np.int64), str)
    exact = sample(sent, missing)
    doubtful = Sample(replace(exact.measurement, bounds=bounds))
    for name in STATISTICS:
        assert kept(doubtful).statistic(parse_statistic(name)) == doubtful.statistic(parse_statistic(name)), name


@settings(max_examples=8, deadline=None)
@given(st.integers(MAX_NUMBERS + 1, 120_000), st.sampled_from([0, 1, 17, 40_000]), st.booleans())
def test_of_a_large_sample_few_numbers_are_kept_and_all_statistics(size: int, missing: int, whole: bool) -> None:
    made = np.random.default_rng(size).lognormal(3, 2, size)
    large = sample((made * 1000).astype(np.int64) if whole else made, missing)
    small = kept(large)
    assert small.thinned
    assert len(small.numbers) <= MAX_NUMBERS
    names = [*STATISTICS, *(f"p{number / 100:g}" for number in range(1007, 9999, 411))]
    for name in names:
        statistic = parse_statistic(name)
        assert small.statistic(statistic) == large.statistic(statistic), name


@given(st.lists(st.booleans(), max_size=20), st.integers(0, 3))
def test_of_truths_the_counts_are_kept(values: list[bool], missing: int) -> None:
    whole = sample(np.array(values, np.bool_), missing, Unit.TRUTH)
    for name in ("ratio", "count", "samples"):
        assert kept(whole).statistic(parse_statistic(name)) == whole.statistic(parse_statistic(name))


def test_of_a_rate_the_time_is_kept() -> None:
    found = Sample(measured([*call("a"), *call("b", 850)], "throughput: {name: in}"))
    assert kept(found).statistic(parse_statistic("rate")) == found.statistic(parse_statistic("rate"))
    assert found.statistic(parse_statistic("rate")) == Interval.point(Fraction(2))


def test_of_values_of_any_type_categories_are_counted() -> None:
    found = kept(Sample(measured(scores(["ok", "ok", True, 1, 1.5, "1"]), "output: {stage: score, value: span.score}")))
    assert found.categories == {'"1"': 1, '"ok"': 2, "1": 1, "1.5": 1, "true": 1}
    assert (found.numbers.tolist(), found.missing) == ([1, 1.5], 4)
    assert found.problem.startswith("4 hold what is no finite number")


# judging by another run

RULE = "- {id: r, latency: {stage: score}, expect: {p95: '%s'}}"


def slow(milliseconds: float, count: int = 3) -> list[Row]:
    """Requests whose scoring takes so long."""
    rows = [row for n in range(count) for row in call(f"{n + 1:032x}", 1000 * n)]
    return [row | {"end": row["start"] + round(milliseconds * MS)} if row["name"] == "score" else row for row in rows]


def baseline(rows: list[Row], flow: Flow) -> Past:
    """What a run measured, as the baseline of another."""
    samples = {
        (event.result.id, event.result.group): event.sample
        for event in events(rows, flow, keep_samples=True)
        if isinstance(event, RuleEvaluated) and event.sample is not None
    }
    return Past({flow.name: Baseline(BaselineOrigin("previous", "run-0", 1), samples)})


def against(before: list[Row], now: list[Row], rule: str, **more: Any) -> RuleResult:
    flow = flow_of(rule)
    (result,) = judged(now, flow, past=baseline(before, flow), **more).values()
    return result


@pytest.mark.parametrize(
    ("condition", "milliseconds", "outcome"),
    [
        ("<= +10% of baseline", 44, Outcome.PASSED),
        ("<= +10% of baseline", 44.000001, Outcome.FAILED),
        ("< +10% of baseline", 44, Outcome.FAILED),
        ("<= +5ms of baseline", 45, Outcome.PASSED),
        ("<= +5ms of baseline", 45.000001, Outcome.FAILED),
        (">= -1% of baseline", 39.6, Outcome.PASSED),
        (">= -1% of baseline", 39.599999, Outcome.FAILED),
        ("<= -10% of baseline", 36.1, Outcome.FAILED),
        ("== baseline", 40, Outcome.PASSED),
        ("!= baseline", 40, Outcome.FAILED),
        ("-5%..+5ms of baseline", 38, Outcome.PASSED),
        ("-5%..+5ms of baseline", 37.999999, Outcome.FAILED),
    ],
)
def test_a_nanosecond_decides(condition: str, milliseconds: float, outcome: Outcome) -> None:
    assert against(slow(40), slow(milliseconds), RULE % condition).outcome is outcome


def test_a_failure_says_what_it_was_compared_with() -> None:
    result = against(slow(40), slow(44.000001), RULE % "<= +10% of baseline")
    assert result.message == "p95 = 44ms (+10.0000025 %), expected <= +10% of baseline 40ms (n = 3 requests)"
    assert result.conditions[0].baseline_value == 40 * MS


def test_what_rounds_to_the_same_is_written_out() -> None:
    result = against(slow(40), slow(40.000001), RULE % "<= baseline")
    assert "p95 = 40.000001ms, expected <= baseline 40ms" in result.message


def test_a_part_of_nothing_is_nothing_and_an_amount_is_an_amount() -> None:
    rule = "- {id: r, count: '{ span:name = \"extra\" }', expect: {count: '%s'}}"
    extra = [*call("a"), call("a")[1] | {"id": 9, "name": "extra"}]
    assert against(call("a"), extra, rule % "<= +10% of baseline").outcome is Outcome.FAILED
    assert against(call("a"), extra, rule % "<= +1 of baseline").outcome is Outcome.PASSED
    assert against(call("a"), call("a"), rule % "<= +10% of baseline").outcome is Outcome.PASSED


@pytest.mark.parametrize("condition", ["<= +10% of baseline", ">= -100% of baseline", "!= baseline", "== baseline"])
def test_without_a_baseline_nothing_passes_and_it_is_said_why(condition: str) -> None:
    missing = "no complete run of flow scoring before this one is stored"
    origin = BaselineOrigin("previous", missing=missing)
    flow = flow_of(RULE % condition)
    (result,) = judged(slow(1), flow, past=Past({"scoring": Baseline(origin)})).values()
    assert (result.outcome, missing in result.message) == (Outcome.INCONCLUSIVE, True)
    unasked = only(slow(1), RULE % condition)
    assert (unasked.outcome, "there is no baseline" in unasked.message) == (Outcome.INCONCLUSIVE, True)


def test_other_conditions_of_the_rule_still_fail_without_a_baseline() -> None:
    result = only(slow(40), "- {id: r, latency: {stage: score}, expect: {p95: '<= baseline', max: '< 1ms'}}")
    assert result.outcome is Outcome.FAILED


def test_a_rule_that_measured_something_else_is_no_baseline() -> None:
    now = flow_of(RULE % "<= baseline")
    before = baseline(slow(40), flow_of(RULE.replace("stage: score", "stage: notify") % "<= baseline"))
    (result,) = judged(slow(1), now, past=before).values()
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "the baseline run run-0 measured r in another way" in result.message
    (result,) = judged(
        slow(1), now, past=baseline(slow(40), flow_of("- {id: x, latency: request, expect: {p95: '> 0s'}}"))
    ).values()
    assert "the baseline run run-0 has no values of the rule r" in result.message


def test_a_group_that_the_baseline_lacks_is_not_judged() -> None:
    rule = "- {id: r, latency: {stage: score}, per: span.tier, expect: {p95: '<= +10% of baseline'}}"
    flow = flow_of(rule)
    gold, basic = ([row | {"attributes": {"tier": tier}} for row in call(tier[0] * 4)] for tier in ("gold", "basic"))
    found = judged([*gold, *basic], flow, past=baseline(gold, flow))
    assert {name: str(result.outcome) for name, result in found.items()} == {
        "r[basic]": "inconclusive", "r[gold]": "passed",
    }  # fmt: skip
    assert "has no values of the group basic" in found["r[basic]"].message


def test_what_the_baseline_lacks_may_have_been_anything() -> None:
    """Three of four requests of the baseline have no score: its p95 is at least that of the fourth."""
    before = [row for n, row in enumerate(slow(40, 4)) if row["name"] != "score" or n < 3]
    assert against(before, slow(40), RULE % "<= baseline").outcome is Outcome.PASSED
    assert against(before, slow(40), RULE % "> baseline").outcome is Outcome.FAILED
    result = against(before, slow(41), RULE % "<= baseline")
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "in the baseline it lies between 40ms and unknown" in result.message


def test_a_baseline_that_cannot_be_right_lets_nothing_pass() -> None:
    rule = "- {id: r, latency: {from: score.end, to: notify.start}, expect: {p95: '<= baseline'}}"
    early = [row | {"start": row["start"] - 100 * MS} if row["name"] == "notify" else row for row in call("b", 5000)]
    before = [*call("a"), *early]
    result = against(before, call("a"), rule)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "in the baseline: 1 requests" in result.message


def test_too_few_samples_beside_the_baseline_are_no_verdict() -> None:
    rule = "- {id: r, latency: {stage: score}, expect: {p95: '<= baseline', samples: '>= -10% of baseline'}}"
    assert against(slow(40, 10), slow(40, 9), rule).outcome is Outcome.PASSED
    assert against(slow(40, 10), slow(40, 8), rule).outcome is Outcome.INCONCLUSIVE


def test_the_verdict_names_its_baseline() -> None:
    flow = flow_of(RULE % "<= baseline")
    found = events(slow(40), flow, past=baseline(slow(40), flow))
    (started,) = (event for event in found if isinstance(event, FlowStarted))
    assert started.baseline == BaselineOrigin("previous", "run-0", 1)


# a canary inside the run


def version(name: str, milliseconds: float, first: int, count: int = 3, **more: Any) -> list[Row]:
    rows = [row for n in range(first, first + count) for row in call(f"{n:032x}", 1000 * n)]
    return [
        row | {"end": row["start"] + round(milliseconds * MS), "attributes": {"version": name, **more}}
        if row["name"] == "score" else row for row in rows
    ]  # fmt: skip


def canary(rows: list[Row], rule: str, **more: Any) -> RuleResult:
    flow = flow_of(f"{rule}", head=CANARY_HEAD)
    (result,) = judged(rows, flow, **more).values()
    return result


CANARY_HEAD = """
version: 1
flow: scoring
baseline: {where: '{ span.version = "v1" }'}
stages:
  - {stage: ingest, select: {name: in}}
  - {stage: score, select: {name: score}}
  - {stage: notify, select: {name: notify}}
"""


@pytest.mark.parametrize(("milliseconds", "outcome"), [(44, Outcome.PASSED), (44.1, Outcome.FAILED)])
def test_a_canary_is_compared_with_the_others(milliseconds: float, outcome: Outcome) -> None:
    result = canary([*version("v1", 40, 1), *version("v2", milliseconds, 9)], RULE % "<= +10% of baseline")
    assert (result.outcome, result.samples) == (outcome, 3)


def test_without_any_request_of_the_baseline_a_canary_does_not_pass() -> None:
    result = canary(version("v2", 40, 1), RULE % "<= +10% of baseline")
    assert result.outcome is Outcome.INCONCLUSIVE
    assert 'no request contains { span.version = "v1" }' in result.message


def test_without_any_other_request_there_is_nothing_to_judge() -> None:
    result = canary(version("v1", 40, 1), RULE % "<= +10% of baseline")
    assert result.outcome is Outcome.FAILED
    assert result.message == 'nothing to judge beside the baseline { span.version = "v1" }'


def test_a_rule_that_compares_nothing_judges_all_requests() -> None:
    assert canary([*version("v1", 40, 1), *version("v2", 40, 9)], RULE % "<= 1s").samples == 6


def test_where_and_per_choose_from_both_sides() -> None:
    rows = [
        *version("v1", 40, 1, kind="card"), *version("v1", 400, 11, kind="cash"),
        *version("v2", 44, 21, kind="card"), *version("v2", 600, 31, kind="cash"),
    ]  # fmt: skip
    rule = "- {id: r, latency: {stage: score}, where: '{ span.kind = \"card\" }', expect: {p95: '<= +10% of baseline'}}"
    result = canary(rows, rule)
    assert (result.outcome, result.samples, result.conditions[0].baseline) == (Outcome.PASSED, 3, "40ms")
    grouped = "- {id: r, latency: {stage: score}, per: span.kind, expect: {p95: '<= +10% of baseline'}}"
    found = judged(rows, flow_of(grouped, head=CANARY_HEAD))
    assert {name: str(one.outcome) for name, one in found.items()} == {"r[card]": "passed", "r[cash]": "failed"}


def test_a_request_that_never_arrived_might_have_been_either() -> None:
    rows = [*version("v1", 40, 1), *version("v2", 40, 9)]
    assert canary(rows, RULE % "<= baseline", expected=6).outcome is Outcome.PASSED
    assert canary(rows, RULE % "<= baseline", expected=7).outcome is Outcome.INCONCLUSIVE


def test_a_coverage_that_never_arrived_is_held_against_the_canary_alone() -> None:
    rows = [*version("v1", 40, 1), *version("v2", 40, 9)]
    rule = "- {id: r, coverage: {stages: all}, expect: {ratio: '>= -1pp of baseline'}}"
    assert canary(rows, rule, expected=6).outcome is Outcome.PASSED
    result = canary(rows, rule, expected=7)
    assert (result.outcome, result.conditions[0].baseline) == (Outcome.FAILED, "100 %")


def test_a_canary_names_what_it_is_compared_with() -> None:
    flow = flow_of(RULE % "<= baseline", head=CANARY_HEAD)
    found = events([*version("v1", 40, 1), *version("v2", 40, 9)], flow)
    (started,) = (event for event in found if isinstance(event, FlowStarted))
    assert started.baseline == BaselineOrigin('{ span.version = "v1" }')


def test_the_definition_of_a_rule_is_that_of_what_it_measures() -> None:
    one, same, other, chosen = flow_of(
        """
        - {id: a, latency: {stage: score}, expect: {p95: '< 1s'}}
        - {id: b, latency: {stage: score, of: extent}, expect: {max: '< 2s'}, severity: critical}
        - {id: c, latency: {stage: notify}, expect: {p95: '< 1s'}}
        - {id: d, latency: {stage: score}, where: '{ span.x = 1 }', expect: {p95: '< 1s'}}
        """
    ).rules
    assert definition_of(one) == definition_of(same)
    assert len({definition_of(rule) for rule in (one, other, chosen)}) == 3
    assert view(call("a"), flow_of(RULE % "< 1s")).n_requests == 1
