"""Conditions judged at a level of confidence: how often intervals hold the truth, and what the outcome is."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ruleruns import MS, call, flow_of, judged, only, scores, without
from spanverdict.checks.bounds import NO_HIGH, Bounds
from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.missing import Missing
from spanverdict.diagnostics.diagnostic import Position
from spanverdict.evaluation.conditions import Judge
from spanverdict.evaluation.confidence import _of_size, at_level, deciding_size, percentile_ranks
from spanverdict.evaluation.deciding import decide
from spanverdict.evaluation.outcomes import Outcome
from spanverdict.evaluation.sample import Interval, Sample
from spanverdict.rulefiles.conditions import parse_condition
from spanverdict.rulefiles.models import Expectation
from spanverdict.rulefiles.statistic import Kind, parse_statistic

LONG = (pytest.mark.soak,)
TO = "\N{EN DASH}"
PLACE = Position("rules.yaml", 1, 1)
SIZES = st.integers(1, 3000)
PERCENT = st.integers(1, 9999).map(lambda permyriad: Fraction(permyriad, 10_000))
LEVELS = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])


def sample(values: Any, missing: int = 0, unit: Unit = Unit.NUMBER) -> Sample:
    made = np.array(values)
    lacking = Missing.of_requests(np.full(missing, -1), "never arrived")
    return Sample(Measurement(unit, made, "requests", np.arange(len(made)), np.arange(len(made)), lacking))


def truths(true: int, n: int, missing: int = 0) -> Sample:
    return sample(np.arange(n) < true, missing, Unit.TRUTH)


def expectation(text: str, unit: Unit = Unit.NUMBER) -> Expectation:
    name, _, condition = text.partition(" ")
    statistic = parse_statistic(name)
    return Expectation(statistic, parse_condition(condition, statistic.quantity(unit)), PLACE)


def interval(made: Sample, name: str, level: float = 0.95) -> Interval:
    found = at_level(made, parse_statistic(name), level)
    assert found is not None
    return found


# percentiles


@given(SIZES, PERCENT, LEVELS)
def test_ranks_of_a_percentile_leave_out_as_much_as_the_level_allows_and_could_not_be_closer(
    n: int, share: Fraction, level: float
) -> None:
    low, high = percentile_ranks(n, share, level)
    tail, below = (1 - level) / 2, stats.binom(n, float(share))
    assert below.cdf(low - 1) <= tail + 1e-9
    assert below.cdf(low) >= tail - 1e-9
    assert below.sf(high - 1) <= tail + 1e-9
    assert below.sf(high - 2) >= tail - 1e-9
    assert 0 <= low <= high <= n + 1


def times_covered(
    draw: Callable[[np.random.Generator, int], npt.NDArray[np.float64]], truth: float, name: str, n: int, runs: int
) -> tuple[float, float]:
    """Return how often an interval at 90 % holds the truth, and three times the error of that share."""
    rng = np.random.default_rng(n)
    found = [interval(sample(draw(rng, n)), name, 0.9) for _ in range(runs)]
    inside = sum((i.low is None or i.low <= truth) and (i.high is None or truth <= i.high) for i in found)
    return inside / runs, 3 * (0.9 * 0.1 / runs) ** 0.5


def rounded(rng: np.random.Generator, n: int) -> npt.NDArray[np.float64]:
    return np.floor(rng.exponential(3, n))


@pytest.mark.parametrize(
    ("n", "runs"),
    [(20, 600), (200, 600), pytest.param(200, 20_000, marks=LONG), pytest.param(5000, 20_000, marks=LONG)],
)
@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_intervals_of_percentiles_hold_the_true_percentile_of_any_distribution(n: int, runs: int, share: float) -> None:
    """Proves it by drawing from a skewed distribution, and from one with many equal values."""
    name = f"p{share * 100:g}"
    skewed, error = times_covered(lambda rng, n: rng.lognormal(0, 1, n), stats.lognorm(1).ppf(share), name, n, runs)
    assert skewed >= 0.9 - error
    equal, error = times_covered(rounded, float(np.floor(stats.expon(scale=3).ppf(share))), name, n, runs)
    assert equal >= 0.9 - error


@pytest.mark.parametrize(
    ("n", "runs"),
    [(30, 1000), (300, 1000), pytest.param(30, 20_000, marks=LONG), pytest.param(3000, 20_000, marks=LONG)],
)
def test_intervals_of_means_hold_the_true_mean(n: int, runs: int) -> None:
    even, error = times_covered(lambda rng, n: rng.normal(5, 2, n), 5, "mean", n, runs)
    assert abs(even - 0.9) <= error
    skewed, error = times_covered(lambda rng, n: rng.exponential(1, n), 1, "mean", n, runs)
    assert skewed >= 0.87 - error


def test_the_interval_of_a_mean_is_students() -> None:
    values = np.random.default_rng(3).normal(100, 7, 50)
    found = interval(sample(values), "mean")
    assert (found.low, found.high) == pytest.approx(stats.ttest_1samp(values, 0).confidence_interval(), rel=1e-6)


def test_of_too_few_values_there_is_no_end() -> None:
    assert interval(sample(range(50)), "p99").high is None
    assert interval(sample(range(5)), "p50") == Interval(2, None, None)
    assert interval(sample(range(29)), "mean") == Interval(14, None, None)
    assert interval(sample(range(6)), "p50") == Interval(2, 0, 5)


# any statistic

NUMBERS = st.lists(st.integers(-5, 5) | st.floats(-5, 5), min_size=1, max_size=120)
NAMES = st.sampled_from(["p50", "p90", "p99", "mean"])


def within(inner: Interval, outer: Interval) -> bool:
    return (outer.low is None or (inner.low is not None and outer.low <= inner.low)) and (
        outer.high is None or (inner.high is not None and inner.high <= outer.high)
    )


@given(NUMBERS, NAMES, st.integers(0, 5))
def test_more_confidence_is_never_narrower_and_holds_what_was_observed(
    values: list[float], name: str, missing: int
) -> None:
    made = sample(np.array(values, np.float64), missing)
    found = [interval(made, name, level) for level in (0.5, 0.8, 0.95, 0.999)]
    assert all(within(narrow, wide) for narrow, wide in itertools.pairwise(found))
    plain = made.statistic(parse_statistic(name))
    assert plain is not None
    assert name == "mean" or within(Interval(plain.observed, plain.low, plain.high), found[0])


@given(NUMBERS, NAMES, st.randoms(use_true_random=False))
def test_the_order_of_values_makes_no_difference(values: list[float], name: str, random: Any) -> None:
    mixed = list(values)
    random.shuffle(mixed)
    first, second = (interval(sample(np.array(each, np.float64)), name) for each in (values, mixed))
    assert first == second


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 20), min_size=8, max_size=40), st.integers(0, 3), st.data())
def test_missing_values_widen_an_interval_to_all_that_they_could_make_of_it(
    values: list[int], missing: int, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["p25", "p50", "p75"]))
    rest = data.draw(st.lists(st.integers(-5, 25), min_size=missing, max_size=missing))
    assert within(interval(sample([*values, *rest]), name, 0.8), interval(sample(values, missing), name, 0.8))
    true, n = sum(value > 9 for value in values), len(values)
    completed = interval(truths(true + sum(value > 9 for value in rest), n + missing), "ratio", 0.8)
    assert within(completed, interval(truths(true, n, missing), "ratio", 0.8))


# the size that would decide


@pytest.mark.parametrize(
    ("made", "text", "size"),
    [
        (truths(200, 200), "ratio >= 99%", 368),
        (sample(range(50)), "p99 < 60", 368),
        (truths(195, 200), "ratio >= 98%", 3012),
        (truths(195, 200), "ratio >= 97.5%", None),
        (truths(195, 200), "ratio < 97.5%", None),
        (sample([2] * 100), "p50 > 2", 100),
        (truths(195, 200, 4), "ratio >= 97%", None),
        (sample(range(20)), "mean < 20", 30),
        (sample([*range(19), 100]), "p95 < 75", 2048),
        (sample([*range(19), 100]), "p95 < 30", 636),
    ],
)
def test_the_size_that_would_decide(made: Sample, text: str, size: int | None) -> None:
    found = deciding_size(made, expectation(text, made.measurement.unit), 0.95)
    assert found == (None if size is None else pytest.approx(size, rel=0.01))


@settings(deadline=None)
@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.integers(1, 99))
def test_so_many_decide_and_half_of_the_further_ones_do_not(counts: tuple[int, int], limit: int) -> None:
    made, asked = truths(*counts), expectation(f"ratio >= {limit}%", Unit.TRUTH)
    size = deciding_size(made, asked, 0.95)
    first = interval(made, "ratio")
    if decide(asked.condition, first) is not Outcome.INCONCLUSIVE:
        return
    if size is None:
        assert Fraction(*counts) == Fraction(limit, 100)
        return
    plain = made.statistic(asked.statistic)
    assert plain is not None
    decided, not_yet = (
        _of_size(made, Kind.RATIO, plain, 0.95, each) for each in (size, (size + made.size) // 2)
    )  # fmt: skip
    assert decide(asked.condition, decided) is not Outcome.INCONCLUSIVE
    assert decide(asked.condition, not_yet) is Outcome.INCONCLUSIVE or size - made.size < 30


# results


@pytest.mark.parametrize(
    ("made", "text", "outcome", "note"),
    [
        (truths(195, 200), "ratio >= 94%", "passed", f"95 % CI 94.28{TO}98.92 %"),
        (truths(195, 200), "ratio >= 99%", "failed", f"95 % CI 94.28{TO}98.92 %"),
        (
            truths(195, 200),
            "ratio >= 98%",
            "inconclusive",
            f"95 % CI 94.28{TO}98.92 %, about 3,100 requests would decide it",
        ),
        (
            truths(195, 200),
            "ratio >= 97.5%",
            "inconclusive",
            f"95 % CI 94.28{TO}98.92 %, no number of requests would decide it, as it is the limit itself",
        ),
        (
            truths(195, 200),
            "ratio >= 97.4999%",
            "inconclusive",
            f"95 % CI 94.28{TO}98.92 %, not even 1,000,000,000 requests would decide it, so close is it to the limit",
        ),
        (
            truths(195, 200, 4),
            "ratio >= 97%",
            "inconclusive",
            (
                f"95 % CI 91.82{TO}98.94 %, 4 of 204 requests never arrived,"
                " no number of requests would decide it while so much is missing"
            ),
        ),
        (sample(range(50)), "p99 < 60", "inconclusive", "95 % CI 47 and more, about 370 requests would decide it"),
        (sample(range(50)), "p99 < 40", "failed", "95 % CI 47 and more"),
        (sample(range(50)), "p1 > -1", "inconclusive", "95 % CI up to 2, about 370 requests would decide it"),
        (sample(range(4)), "p50 < 9", "inconclusive", "no 95 % CI, about 6 requests would decide it"),
        (sample(range(100)), "p50 < 61", "passed", f"95 % CI 39{TO}60"),
        (sample([10**8] * 300, unit=Unit.DURATION), "p95 < 200ms", "passed", f"95 % CI 100{TO}100ms"),
        (sample(range(40)), "samples >= 30", "passed", ""),
        (sample(range(40)), "samples >= 50", "inconclusive", "not enough to judge by"),
    ],
)
def test_what_is_said_of_a_condition(made: Sample, text: str, outcome: str, note: str) -> None:
    result = Judge(made, level=0.95).judge(expectation(text, made.measurement.unit))
    assert (result.outcome.value, result.note) == (outcome, note)
    assert result.level == (None if text.startswith("samples") else 0.95)


def test_a_result_tells_machines_the_interval() -> None:
    result = Judge(truths(195, 200), level=0.95).judge(expectation("ratio >= 98%", Unit.TRUTH))
    assert (result.observed_low, result.observed_high) == pytest.approx((0.94282, 0.98928), abs=1e-5)
    result = Judge(sample(range(50)), level=0.95).judge(expectation("p99 < 60"))
    assert (result.observed_value, result.observed_low, result.observed_high) == (49, 47, None)


RULE = "- {{id: r, {measure}, confidence: 95%, expect: {{{expect}}}}}"


def rule(measure: str, expect: str) -> str:
    return RULE.format(measure=measure, expect=expect)


def test_values_that_cannot_be_right_never_let_a_rule_pass() -> None:
    rows = scores([1.0] * 300 + ["x"])
    result = only(rows, rule("output: {stage: score, value: span.score}", "p50: '<= 1'"))
    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.conditions[0].note.startswith(f"95 % CI 1{TO}1, 1 hold what is no finite number")
    rows = scores([1.0] * 300)
    assert only(rows, rule("output: {stage: score, value: span.score}", "p50: '<= 1'")).outcome is Outcome.PASSED


def test_a_quotient_that_is_no_share_has_no_interval() -> None:
    """Proves it for a count of what is not part of the whole: nothing is known of how it varies."""
    rows = scores([1] * 200)
    asked = "ratio: {{of: '{}', over: '{{ name = \"in\" }}'}}"
    result = only(rows, rule(asked.format('{ name = "score" }'), "ratio: '>= 90%'"))
    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.conditions[0].note == (
        "no 95 % CI, 200 spans are counted that are not part of the whole, so it is no share"
    )
    within = rule(asked.format('{ name = "in" && span:duration < 1s }'), "ratio: '>= 90%'")
    assert only(rows, within).outcome is Outcome.PASSED


@pytest.mark.parametrize(("name", "fewest"), [("p95", 72), ("p99", 368), ("p50", 6), ("mean", 30)])
def test_of_so_many_values_there_is_an_interval_and_of_fewer_none(name: str, fewest: int) -> None:
    assert interval(sample(range(fewest)), name).high is not None
    assert interval(sample(range(fewest - 1)), name).high is None


def test_values_in_doubt_widen_the_interval() -> None:
    values = np.arange(100)
    low, high = values - 3, values + 5
    doubt = Bounds(low, high, values, np.ones(100, np.int64), lambda cause: "clocks differ")
    made = Sample(replace(sample(values).measurement, bounds=doubt))
    exact = interval(sample(values), "p50")
    assert (exact.low, exact.high) == (39, 60)
    assert interval(made, "p50") == Interval(49, 36, 65)
    mean, wide = interval(sample(values), "mean"), interval(made, "mean")
    assert wide.low < mean.low - 3 < mean.high + 5 < wide.high
    open_ = replace(doubt, high=np.where(values > 90, NO_HIGH, high))
    made = Sample(replace(made.measurement, bounds=open_))
    assert interval(made, "p50").high == 65
    assert interval(made, "p90").high is None
    assert interval(made, "mean").high is None
    result = Judge(made, level=0.95).judge(expectation("p50 < 62"))
    assert (result.outcome, result.note) == (
        "inconclusive",
        f"95 % CI 36{TO}65, clocks differ, about 210 requests would decide it",
    )


def test_each_group_is_judged_by_its_own_interval() -> None:
    rows = scores([0] * 500 + [1] * 20)
    rows = [{**row, "resource": {"size": "many" if row["trace"] < f"{501:032x}" else "few"}} for row in rows]
    text = "- {id: r, latency: request, confidence: 95%, per: resource.size, expect: {p99: '< 1s'}}"
    assert {name: result.outcome.value for name, result in judged(rows, flow_of(text)).items()} == {
        "r[few]": "inconclusive",
        "r[many]": "passed",
    }


def test_lost_requests_count_against_the_interval() -> None:
    whole = [row for n in range(400) for row in call(f"{n + 1:032x}", 1000 * n)]
    text = rule("latency: request", "p95: '< 1s'")
    assert only(whole, text).outcome is Outcome.PASSED
    lost = [*whole[: 370 * 3], *without(whole[370 * 3 :], "notify")]
    assert only(lost, text).outcome is Outcome.INCONCLUSIVE


# sampled runs


def weighted(states: list[tuple[str, int]], name: str) -> Any:
    """Return the result for requests that take so many milliseconds, each with the trace state of a sampler."""
    head = """
version: 1
flow: sampled
stages:
  - {stage: ingest, select: {name: ingest}}
"""
    rows = [
        {"trace": f"{n:016x}{'f' * 16}", "id": n + 1, "name": "ingest", "start": 10**18, "end": 10**18 + ms * MS,
         "trace_state": state}
        for n, (state, ms) in enumerate(states)
    ]  # fmt: skip
    text = f"- {{id: r, latency: {{stage: ingest}}, confidence: 90%, expect: {{{name}: '< 1ms'}}}}"
    (result,) = judged(rows, flow_of(text, head)).values()
    return result.conditions[0]


@pytest.mark.parametrize("name", ["p50", "p90", "mean"])
def test_values_of_equal_weight_are_as_good_as_values_without(name: str) -> None:
    times = np.random.default_rng(4).integers(1, 500, 300).tolist()
    plain, half = (weighted([(state, ms) for ms in times], name) for state in ("", "ot=th:8"))
    assert (half.observed_low, half.observed_high) == pytest.approx((plain.observed_low, plain.observed_high))


@pytest.mark.parametrize("name", ["p50", "mean"])
def test_values_of_unequal_weight_are_worth_less(name: str) -> None:
    times = np.random.default_rng(5).integers(1, 500, 300).tolist()
    equal = weighted([("ot=th:8", ms) for ms in times], name)
    unequal = weighted([("ot=th:f" if n % 10 == 0 else "ot=th:0", ms) for n, ms in enumerate(times)], name)
    assert unequal.observed_high - unequal.observed_low > equal.observed_high - equal.observed_low
    few = weighted([("ot=th:ffff" if n == 0 else "ot=th:0", ms) for n, ms in enumerate(times)], name)
    assert (few.observed_low, few.observed_high) == (None, None)
