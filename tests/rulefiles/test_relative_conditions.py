"""Conditions relative to a baseline: what they read as, and where their limits lie."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.rulefiles.conditions import Operator, parse_condition
from spanverdict.rulefiles.mistake import Mistake
from spanverdict.rulefiles.relative import Delta
from spanverdict.rulefiles.statistic import Quantity

SIZES = st.fractions(-1000, 1000)
DELTAS = st.builds(Delta, st.fractions(-1, 5), st.booleans())


@pytest.mark.parametrize(
    ("text", "quantity", "operator", "deltas"),
    [
        ("<= +10% of baseline", Quantity.DURATION, Operator.AT_MOST, [Delta(Fraction(1, 10), relative=True)]),
        ("<=+10%of baseline", Quantity.DURATION, None, []),
        ("<= +5ms of baseline", Quantity.DURATION, Operator.AT_MOST, [Delta(Fraction(5_000_000))]),
        (">= -1m30s of  baseline", Quantity.DURATION, Operator.AT_LEAST, [Delta(Fraction(-90_000_000_000))]),
        (">= -1% of baseline", Quantity.SHARE, Operator.AT_LEAST, [Delta(Fraction(-1, 100), relative=True)]),
        (">= -0.5pp of baseline", Quantity.SHARE, Operator.AT_LEAST, [Delta(Fraction(-1, 200))]),
        ("< +2 of baseline", Quantity.COUNT, Operator.LESS, [Delta(Fraction(2))]),
        ("> -0.1 of baseline", Quantity.NUMBER, Operator.MORE, [Delta(Fraction(-1, 10))]),
        (" == baseline ", Quantity.NUMBER, Operator.EQUAL, [Delta(Fraction(0))]),
        ("!= baseline", Quantity.SHARE, Operator.UNEQUAL, [Delta(Fraction(0))]),
        (
            "-5%..+10ms of baseline",
            Quantity.DURATION,
            Operator.WITHIN,
            [Delta(Fraction(-1, 20), relative=True), Delta(Fraction(10_000_000))],
        ),
    ],
)
def test_a_relative_condition_reads_as_its_operator_and_deltas(
    text: str, quantity: Quantity, operator: Operator | None, deltas: list[Delta]
) -> None:
    if operator is None:
        with pytest.raises(Mistake):
            parse_condition(text, quantity)
        return
    condition = parse_condition(text, quantity)
    assert (condition.operator, list(condition.deltas)) == (operator, deltas)
    assert condition.operands == ()
    assert str(condition) == text.strip()


def test_the_word_baseline_is_a_text_where_texts_are_compared() -> None:
    condition = parse_condition("== baseline", Quantity.ANY)
    assert condition.holds("baseline")
    assert not condition.deltas


@given(DELTAS, SIZES, SIZES, st.fractions(0, 1))
def test_the_limits_of_an_interval_enclose_the_limit_of_each_value_in_it(
    delta: Delta, one: Fraction, other: Fraction, part: Fraction
) -> None:
    low, high = sorted((one, other))
    least, most = delta.limits(low, high)
    assert least is not None
    assert most is not None
    assert least <= delta.limit(low + part * (high - low)) <= most


@given(DELTAS, SIZES, SIZES)
def test_the_limits_of_an_interval_are_no_wider_than_they_must_be(delta: Delta, one: Fraction, other: Fraction) -> None:
    low, high = sorted((one, other))
    reached = {delta.limit(value) for value in (low, high, *((Fraction(0),) if low < 0 < high else ()))}
    assert set(delta.limits(low, high)) <= reached


@given(DELTAS, SIZES)
def test_what_is_not_known_at_one_end_is_not_bounded_there(delta: Delta, value: Fraction) -> None:
    assert delta.limits(None, value)[0] is None
    assert delta.limits(value, None)[1] is None
    assert delta.limits(None, None) == (None, None)


@given(st.fractions(0, 3), SIZES)
def test_more_is_never_less_whatever_the_sign_of_the_baseline(part: Fraction, baseline: Fraction) -> None:
    """`+10%` of -10ms is above it, not below."""
    assert Delta(part, relative=True).limit(baseline) >= baseline
    assert Delta(-min(part, Fraction(1)), relative=True).limit(baseline) <= baseline
