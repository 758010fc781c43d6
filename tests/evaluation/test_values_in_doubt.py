"""Values that lie between two others: whatever they are, the statistic lies in its interval and the outcome stands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.checks.bounds import CERTAIN, NO_HIGH, NO_LOW, Bounds
from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.missing import Missing
from spanverdict.diagnostics.diagnostic import Position
from spanverdict.evaluation.conditions import Judge
from spanverdict.evaluation.doubt import surely
from spanverdict.evaluation.outcomes import ConditionResult, Outcome
from spanverdict.evaluation.sample import Sample
from spanverdict.rulefiles.conditions import parse_condition
from spanverdict.rulefiles.models import Expectation
from spanverdict.rulefiles.statistic import Quantity, parse_statistic

STATISTICS = ("p50", "p95", "p10", "min", "max", "mean", "sum", "stddev")
CONDITIONS = ("< 3", "<= 3", "> 3", ">= 3", "== 3", "!= 3", "2..4", "in [1, 3]")
PLACE = Position("rules.yaml", 1, 1)


@st.composite
def doubtful(draw: st.DrawFn, *, open_ends: bool = False) -> tuple[Bounds, list[int]]:
    """Bounds, and values that lie within them."""
    values = draw(st.lists(st.integers(-5, 10), min_size=1, max_size=12))
    reach = st.integers(0, 4) | (st.just(None) if open_ends else st.nothing())
    below, above = (draw(st.lists(reach, min_size=len(values), max_size=len(values))) for _ in range(2))
    low = [NO_LOW if by is None else value - by for value, by in zip(values, below, strict=True)]
    high = [NO_HIGH if by is None else value + by for value, by in zip(values, above, strict=True)]
    sent = draw(st.lists(st.integers(-5, 10), min_size=len(values), max_size=len(values)))
    return bounds_of(low, high, sent), values


def bounds_of(low: Any, high: Any, sent: Any) -> Bounds:
    low, high = np.array(low), np.array(high)
    return Bounds(low, high, np.array(sent), np.where(low < high, 1, CERTAIN), lambda cause: f"clocks {cause}")


def sample(bounds: Bounds, missing: int = 0) -> Sample:
    rows = np.arange(len(bounds.low))
    lost = Missing.of_requests(np.full(missing, -1), "never arrived")
    return Sample(Measurement(Unit.NUMBER, bounds.nearest(), "requests", rows, rows, lost, bounds=bounds))


def exact(values: Any) -> Sample:
    rows = np.arange(len(values))
    return Sample(Measurement(Unit.NUMBER, np.array(values), "requests", rows, rows, Missing.none()))


def judged(bounds: Bounds, statistic: str, condition: str, missing: int = 0) -> ConditionResult:
    line = Expectation(parse_statistic(statistic), parse_condition(condition, Quantity.NUMBER), PLACE)
    return Judge(sample(bounds, missing)).judge(line)


@given(doubtful(open_ends=True), st.lists(st.integers(-50, 50), max_size=3), st.sampled_from(STATISTICS))
def test_statistics_lie_in_their_interval(made: tuple[Bounds, list[int]], lost: list[int], name: str) -> None:
    bounds, values = made
    interval = sample(bounds, len(lost)).statistic(parse_statistic(name))
    real = exact([*values, *lost]).statistic(parse_statistic(name))
    assert interval is not None
    assert real is not None
    rounding = 1e-9 if name == "stddev" else 0
    assert interval.low is None or float(interval.low) <= float(real.observed) + rounding
    assert interval.high is None or float(interval.high) >= float(real.observed) - rounding


@given(doubtful(), st.sampled_from(["p50", "p95", "min", "max", "mean", "sum"]))
def test_both_ends_of_an_interval_can_be(made: tuple[Bounds, list[int]], name: str) -> None:
    """Proves that no interval is wider than the values make it."""
    bounds, _ = made
    interval = sample(bounds).statistic(parse_statistic(name))
    ends = [exact(values).statistic(parse_statistic(name)) for values in (bounds.low, bounds.high)]
    assert interval is not None
    assert [interval.low, interval.high] == [end.observed if end else None for end in ends]
    assert interval.low <= interval.observed <= interval.high  # type: ignore[operator] # both are bounded


@given(doubtful(open_ends=True), st.sampled_from(CONDITIONS))
def test_a_condition_surely_holds_where_it_holds_of_all_that_may_be(made: tuple[Bounds, list[int]], text: str) -> None:
    bounds, _ = made
    condition = parse_condition(text, Quantity.NUMBER)
    holds, fails = surely(condition, bounds)
    for low, high, always, never in zip(bounds.low.tolist(), bounds.high.tolist(), holds, fails, strict=True):
        near = range(max(low, -20), min(high, 20) + 1)
        assert always == all(condition.holds(value) for value in near)
        assert never == (not any(condition.holds(value) for value in near))


@given(doubtful(open_ends=True), st.sampled_from(["every", "any", "none", *STATISTICS]), st.sampled_from(CONDITIONS))
def test_a_clear_outcome_is_that_of_the_values_whatever_they_are(
    made: tuple[Bounds, list[int]], statistic: str, condition: str
) -> None:
    bounds, values = made
    outcome = judged(bounds, statistic, condition).outcome
    line = Expectation(parse_statistic(statistic), parse_condition(condition, Quantity.NUMBER), PLACE)
    assert outcome in (Outcome.INCONCLUSIVE, Judge(exact(values)).judge(line).outcome)


@pytest.mark.parametrize(
    ("statistic", "condition", "outcome", "note"),
    [
        ("max", "< 10", "passed", "between 7 and 9: clocks 1"),
        ("max", "< 9", "inconclusive", "between 7 and 9: clocks 1"),
        ("max", "< 7", "failed", "between 7 and 9: clocks 1"),
        ("min", "< 7", "passed", ""),
        ("every", "< 9", "inconclusive", "1 requests may or may not: clocks 1"),
        ("any", "> 8", "inconclusive", "1 requests may or may not: clocks 1"),
        ("none", "> 8", "inconclusive", "1 requests may or may not: clocks 1"),
        ("every", "<= 9", "passed", ""),
    ],
)
def test_what_is_said_of_an_interval(statistic: str, condition: str, outcome: str, note: str) -> None:
    result = judged(bounds_of([4, 7], [4, 9], [4, 8]), statistic, condition)
    assert (str(result.outcome), result.note) == (outcome, note)


def test_what_was_sent_is_said_where_it_cannot_be() -> None:
    result = judged(bounds_of([4, 7], [4, 9], [4, 30]), "max", "< 10")
    assert (result.observed, result.observed_low, result.observed_high) == ("9", 7, 9)
    assert result.note == "between 7 and 9: clocks 1; 30 as sent"


def test_what_nothing_bounds_is_unknown() -> None:
    result = judged(bounds_of([4, NO_LOW], [4, NO_HIGH], [4, 8]), "max", "< 10")
    assert (str(result.outcome), result.note) == ("inconclusive", "between 4 and unknown: clocks 1")
    assert (result.observed_low, result.observed_high) == (4, None)


def test_what_is_missing_and_what_is_in_doubt_are_both_said() -> None:
    result = judged(bounds_of([4, 7], [4, 9], [4, 8]), "p50", "< 8", missing=1)
    assert str(result.outcome) == "inconclusive"
    assert result.note == "1 of 3 requests never arrived, clocks 1, so it lies between 4 and 9"
