"""Statistics against naive definitions, and what they say when values are missing: passed only if nothing could change it."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.missing import Missing
from spanverdict.diagnostics.diagnostic import Position
from spanverdict.evaluation.conditions import Judge
from spanverdict.evaluation.deciding import decide
from spanverdict.evaluation.outcomes import Outcome
from spanverdict.evaluation.sample import Interval, Sample
from spanverdict.rulefiles.conditions import Condition, parse_condition
from spanverdict.rulefiles.models import Expectation
from spanverdict.rulefiles.statistic import Quantity, Statistic, parse_statistic
from spanverdict.telemetry.spantable import AttributeColumn

PLACE = Position("rules.yaml", 1, 1)


def sample(values: Any, missing: int = 0, unit: Unit = Unit.NUMBER) -> Sample:
    made = values if isinstance(values, AttributeColumn) else np.array(values)
    count = len(made.codes) if isinstance(made, AttributeColumn) else len(made)
    lacking = Missing.of_requests(np.full(missing, -1), "never arrived")
    return Sample(Measurement(unit, made, "requests", np.arange(count), np.arange(count), lacking))


def column(values: Sequence[Any]) -> AttributeColumn:
    return AttributeColumn(np.arange(len(values), dtype=np.int32), tuple(values))


def observed(values: Any, name: str, **more: Any) -> Any:
    interval = sample(values, **more).statistic(parse_statistic(name))
    return None if interval is None else interval.observed


# against naive definitions

WHOLE = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30)
FLOATS = st.lists(st.floats(-(2.0**60), 2.0**60), min_size=1, max_size=30)


@given(WHOLE | FLOATS, st.integers(1, 9999))
def test_percentiles_are_those_of_the_nearest_rank(values: list[Any], permyriad: int) -> None:
    """The least value that a share of all values is at most, however the share is written."""
    statistic = Statistic("p", parse_statistic("p50").kind, permyriad)
    interval = sample(values).statistic(statistic)
    enough = [v for v in values if sum(other <= v for other in values) * 10_000 >= permyriad * len(values)]
    assert interval == Interval.point(min(enough))


@given(WHOLE)
def test_whole_numbers_are_added_up_exactly(values: list[int]) -> None:
    assert observed(values, "sum") == sum(values)
    assert observed(values, "mean") == Fraction(sum(values), len(values))
    assert (observed(values, "min"), observed(values, "max")) == (min(values), max(values))


@given(FLOATS)
def test_floats_are_added_up_as_if_exactly(values: list[float]) -> None:
    exact = sum(map(Fraction, values))
    assert observed(values, "sum") == pytest.approx(float(exact), rel=1e-15, abs=1e-300)
    assert observed(values, "mean") == pytest.approx(float(exact / len(values)), rel=1e-15, abs=1e-300)


@given(st.floats(-1e15, 1e15), st.integers(1, 50))
def test_the_mean_of_equal_values_is_that_value(value: float, count: int) -> None:
    """`mean: <= 0.1` of ten times 0.1."""
    assert observed([value] * count, "mean") == value


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=20), st.integers(-(2**62), 2**62))
def test_the_standard_deviation_does_not_suffer_from_large_numbers(values: list[int], shift: int) -> None:
    assert observed([value + shift for value in values], "stddev") == pytest.approx(statistics.stdev(values), abs=1e-6)


def test_the_standard_deviation_of_one_value_is_zero_and_of_the_widest_range_no_garbage() -> None:
    assert observed([7], "stddev") == 0
    assert observed([-(2**63), 2**63 - 1], "stddev") == pytest.approx(2**63 * math.sqrt(2))


def test_truths_have_a_share_and_a_count() -> None:
    truths = [True, True, False]
    assert observed(truths, "ratio", unit=Unit.TRUTH) == Fraction(2, 3)
    assert observed(truths, "count", unit=Unit.TRUTH) == 2
    assert observed(truths, "samples", unit=Unit.TRUTH) == 3


def test_values_of_any_type_give_the_statistics_of_their_numbers() -> None:
    made = sample(column([1, 2.5, "x", True, None, (1, 2)]), unit=Unit.ANY)
    assert made.numbers.tolist() == [1, 2.5]
    assert len(made.missing) == 4
    assert made.statistic(parse_statistic("samples")) == Interval.point(6)


def test_without_values_there_is_no_statistic() -> None:
    for name in ("p50", "min", "max", "mean", "sum", "stddev"):
        assert sample(np.zeros(0)).statistic(parse_statistic(name)) is None
    assert sample(np.zeros(0, np.bool_), 3, Unit.TRUTH).statistic(parse_statistic("ratio")) is None


# with missing values

LIMITS = [-1, 0, 1, 2, 3]
DOMAIN = [-100.0, *(half / 2 for half in range(-3, 10)), 100.0]
"""What a missing value may be: finely enough to fall between the limits, and far beyond them."""
OF_SUMS = [-100, *range(-20, 21), 100]
"""The same for sums and means: enough to make up for any other value."""


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    low, high = sorted([draw(st.sampled_from(LIMITS)), draw(st.sampled_from(LIMITS))])
    forms = [f"{operator} {low}" for operator in ("<", "<=", ">", ">=", "==", "!=")]
    return parse_condition(draw(st.sampled_from([*forms, f"{low}..{high}", f"in [{low}, {high}]"])), Quantity.NUMBER)


def naive(name: str, values: Sequence[float]) -> Fraction:
    ordered = sorted(map(Fraction, values))
    match name:
        case "min" | "max":
            return ordered[0 if name == "min" else -1]
        case "sum" | "mean":
            return sum(ordered, Fraction(0)) / (1 if name == "sum" else len(ordered))
        case _:
            return ordered[math.ceil(Fraction(name[1:]) / 100 * len(ordered)) - 1]


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
    st.integers(0, 2),
    st.sampled_from(["min", "max", "p10", "p34", "p50", "p75", "p99", "sum", "mean"]),
    conditions(),
)
def test_a_condition_passes_if_and_only_if_it_would_with_any_missing_values(
    values: list[int], missing: int, name: str, condition: Condition
) -> None:
    """And fails if and only if it would fail with any."""
    interval = sample(values, missing).statistic(parse_statistic(name))
    assert interval is not None
    domain = OF_SUMS if name in ("sum", "mean") else DOMAIN
    outcomes = {condition.holds(naive(name, [*values, *rest])) for rest in itertools.product(domain, repeat=missing)}
    expected = {frozenset({True}): Outcome.PASSED, frozenset({False}): Outcome.FAILED}
    assert decide(condition, interval) is expected.get(frozenset(outcomes), Outcome.INCONCLUSIVE)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.booleans(), min_size=1, max_size=4),
    st.integers(0, 3),
    st.sampled_from(["ratio", "count"]),
    st.sampled_from(["<", "<=", ">", ">=", "==", "!=", "..", "in"]),
    st.integers(0, 4),
)
def test_shares_and_counts_are_decided_only_where_missing_truths_change_nothing(
    truths: list[bool], missing: int, name: str, operator: str, limit: int
) -> None:
    """Orderings exactly; where a condition asks for single values, doubt may be left over, but never a wrong word."""
    of, unit = (f"{limit * 25}%", Quantity.SHARE) if name == "ratio" else (str(limit), Quantity.COUNT)
    text = {"..": f"{of} .. {of}", "in": f"in [{of}]"}.get(operator, f"{operator} {of}")
    condition = parse_condition(text, unit)
    interval = sample(truths, missing, Unit.TRUTH).statistic(parse_statistic(name))
    assert interval is not None
    outcomes = set()
    for rest in itertools.product([True, False], repeat=missing):
        true = sum([*truths, *rest])
        outcomes.add(condition.holds(Fraction(true, len(truths) + missing) if name == "ratio" else true))
    found = decide(condition, interval)
    if found is not Outcome.INCONCLUSIVE:
        assert outcomes == {found is Outcome.PASSED}
    elif operator in ("<", "<=", ">", ">="):
        assert outcomes == {True, False}


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
    st.integers(0, 2),
    st.sampled_from(["every", "any", "none"]),
    conditions(),
)
def test_quantifiers_are_decided_only_where_missing_values_change_nothing(
    values: list[int], missing: int, name: str, condition: Condition
) -> None:
    asked = {"every": all, "any": any, "none": lambda held: not any(held)}[name]
    outcomes = {
        asked([condition.holds(value) for value in [*values, *rest]])
        for rest in itertools.product(DOMAIN, repeat=missing)
    }
    expectation = Expectation(parse_statistic(name), condition, PLACE)
    result = Judge(sample(values, missing)).judge(expectation)
    expected = {frozenset({True}): Outcome.PASSED, frozenset({False}): Outcome.FAILED}
    assert result.outcome is expected.get(frozenset(outcomes), Outcome.INCONCLUSIVE)


def test_doubt_says_what_is_missing_and_where_the_statistic_may_lie() -> None:
    expectation = Expectation(parse_statistic("p50"), parse_condition("< 3", Quantity.NUMBER), PLACE)
    result = Judge(sample([1, 2, 3, 4], 1)).judge(expectation)
    assert result.note == "1 of 5 requests never arrived, so it lies between 2 and 3"
    result = Judge(sample([1, 2], 3)).judge(expectation)
    assert result.note == "3 of 5 requests never arrived, so it lies between unknown and unknown"


@pytest.mark.parametrize(
    ("name", "ends"),
    [("p50", (1, 2)), ("max", (3, None)), ("mean", (None, None)), ("samples", (3, 3)), ("every", (3, 4))],
)
def test_a_result_tells_machines_where_the_statistic_may_lie(name: str, ends: tuple[int | None, int | None]) -> None:
    expectation = Expectation(parse_statistic(name), parse_condition(">= 0", Quantity.NUMBER), PLACE)
    result = Judge(sample([1, 2, 3], 1)).judge(expectation)
    assert (result.observed_low, result.observed_high, result.level) == (*ends, None)


@pytest.mark.parametrize(
    ("values", "text", "outcome", "said"),
    [
        ([0, 0, 0], "every 0..1", "passed", "3 of 3 hold"),
        ([0, 5, 0], "every 0..1", "failed", "1 of 3 do not hold"),
        ([0, 5, 0], "any > 4", "passed", "1 of 3 hold"),
        ([0, 5, 0], "none > 4", "failed", "1 of 3 hold"),
        ([0, 0, 0], "none > 4", "passed", "0 of 3 hold"),
    ],
)
def test_quantifiers_say_how_many_hold(values: list[int], text: str, outcome: str, said: str) -> None:
    name, _, condition = text.partition(" ")
    expectation = Expectation(parse_statistic(name), parse_condition(condition, Quantity.NUMBER), PLACE)
    result = Judge(sample(values)).judge(expectation)
    assert (result.outcome, result.observed) == (outcome, said)


MIXED = st.lists(
    st.integers(-3, 3) | st.floats() | st.text("ab", max_size=2) | st.booleans() | st.tuples(st.integers(0, 2)) | st.none(),
    min_size=1, max_size=12,
)  # fmt: skip


@given(
    MIXED, st.sampled_from(["0..1", "== 1", "!= 1", "< 2.5", "in [a, 1]", "matches /a+/", "== true", ">= -1", "!= a"])
)
def test_mixed_values_are_judged_as_one_by_one(values: list[Any], text: str) -> None:
    """All at once or each for itself, arrays by all of their values."""
    condition = parse_condition(text, Quantity.ANY)

    def holds(value: Any) -> bool:
        if isinstance(value, tuple):
            return bool(value) and all(map(holds, value))
        return value is not None and condition.holds(value)

    asked = Expectation(parse_statistic("every"), condition, PLACE)
    surely, _ = Judge(sample(column(values), unit=Unit.ANY)).sure(asked)
    assert surely.tolist() == [holds(value) for value in values]


# what is shown


@pytest.mark.parametrize(
    ("value", "text", "unit", "shown"),
    [
        (200_000_001, "< 200ms", Unit.DURATION, "200.000001ms"),
        (200_000_000, "< 200ms", Unit.DURATION, "200ms"),
        (231_400_001, "< 200ms", Unit.DURATION, "231.4ms"),
        (199_999_999, ">= 200ms", Unit.DURATION, "199.999999ms"),
        (61_000_000_001, "<= 61s", Unit.DURATION, "1m1.000000001s"),
        (199_999_999, "<= 200ms", Unit.DURATION, "200ms"),
        (3.0000000000001, "<= 3", Unit.NUMBER, "3.0000000000001"),
        (2, "< 2", Unit.NUMBER, "2"),
    ],
)
def test_a_value_that_looks_like_the_limit_it_misses_shows_all_its_digits(
    value: Any, text: str, unit: Unit, shown: str
) -> None:
    quantity = Quantity(unit)
    expectation = Expectation(parse_statistic("max"), parse_condition(text, quantity), PLACE)
    assert Judge(sample([value], unit=unit)).judge(expectation).observed == shown


def test_a_mean_between_two_nanoseconds_shows_that_it_misses_the_limit() -> None:
    expectation = Expectation(parse_statistic("mean"), parse_condition("<= 200ms", Quantity.DURATION), PLACE)
    result = Judge(sample([200_000_000, 200_000_001], unit=Unit.DURATION)).judge(expectation)
    assert (result.outcome, result.observed) == ("failed", "200000000.5ns")
