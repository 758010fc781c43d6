"""Warnings of conditions in vain are right: what is warned of can be shown never, or always, to hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spanverdict.diagnostics.diagnostic import Position, Problems
from spanverdict.rulefiles.bounds import warn_of_vain_conditions
from spanverdict.rulefiles.conditions import parse_condition
from spanverdict.rulefiles.models import Expectation
from spanverdict.rulefiles.statistic import parse_statistic

NAMES = ["min", "p10", "p50", "p99", "max", "mean", "every"]
CONDITIONS = st.one_of(
    st.builds(
        lambda sign, limit: f"{sign} {limit}", st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.integers(-5, 5)
    ),
    st.builds(lambda low, wide: f"{low}..{low + wide}", st.integers(-5, 5), st.integers(0, 3)),
    st.lists(st.integers(-5, 5), min_size=1, max_size=3).map(lambda numbers: f"in {numbers}"),
)


def warnings(expect: dict[str, str], unit: str = "number") -> list[str]:
    problems = Problems()
    lines = []
    for column, (name, text) in enumerate(expect.items(), 1):
        statistic = parse_statistic(name)
        lines.append(Expectation(statistic, parse_condition(text, statistic.quantity(unit)), Position("f", 1, column)))
    warn_of_vain_conditions(tuple(lines), unit, problems)
    return [found.message for found in problems.sorted()]


def statistic_of(name: str, values: list[int]) -> list[float]:
    """What a condition on the statistic is asked of: one number, or for `every` all of them."""
    ranked = sorted(values)
    if name == "every":
        return list(ranked)
    if name == "mean":
        return [sum(ranked) / len(ranked)]
    permyriad = {"min": 0, "max": 10_000}.get(name) or parse_statistic(name).permyriad or 0
    return [ranked[max(1, -(-permyriad * len(ranked) // 10_000)) - 1]]


@given(
    st.dictionaries(st.sampled_from(NAMES), CONDITIONS, min_size=1, max_size=4),
    st.lists(st.integers(-6, 6), min_size=1, max_size=8),
)
def test_no_values_satisfy_what_is_said_to_be_impossible(expect: dict[str, str], values: list[int]) -> None:
    satisfied = all(
        parse_condition(text, parse_statistic(name).quantity("number")).holds(value)
        for name, text in expect.items()
        for value in statistic_of(name, values)
    )
    assert not (satisfied and warnings(expect))


def test_an_impossible_pair_is_found_whatever_its_order() -> None:
    assert warnings({"p50": "> 10", "p99": "< 10"}) == ["p99 < 10 and p50 > 10 can never hold together"]
    assert warnings({"p99": "< 10", "p50": "> 10"}) == ["p50 > 10 and p99 < 10 can never hold together"]
    assert warnings({"p99": "> 10", "p50": "< 10"}) == []


def test_limits_that_touch_can_hold_together_unless_one_is_open() -> None:
    assert warnings({"min": ">= 10", "max": "<= 10"}) == []
    assert warnings({"min": ">= 10", "max": "< 10"}) != []
    assert warnings({"mean": "> 10", "max": "<= 10"}) != []


def test_a_mean_is_not_compared_with_percentiles() -> None:
    assert warnings({"mean": "> 100", "p99": "< 1"}) == []


def test_shares_and_counts_have_ends() -> None:
    assert warnings({"ratio": ">= 0%"}, "truth") == ["ratio >= 0% always holds"]
    assert warnings({"ratio": "0..1"}, "truth") == ["ratio 0..1 always holds"]
    assert warnings({"ratio": "> 100%"}, "truth") == ["ratio > 100% can never hold"]
    assert warnings({"ratio": "< 0%"}, "truth") == ["ratio < 0% can never hold"]
    assert warnings({"ratio": ">= 100%", "samples": "> 0", "count": "<= 0"}, "truth") == []
    assert warnings({"samples": ">= 0"}) == ["samples >= 0 always holds"]
    assert warnings({"samples": "< 0"}) == ["samples < 0 can never hold"]
