"""Conditions hold exactly when they should, and never for what is no number."""

from __future__ import annotations

import math
import operator
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.rulefiles.conditions import MAX_PATTERN, Condition, Operator, condition_of_list, parse_condition
from spanverdict.rulefiles.mistake import Mistake
from spanverdict.rulefiles.statistic import Quantity
from spanverdict.rulefiles.vectors import holding

COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
DECIMALS = st.decimals(-(10**12), 10**12, allow_nan=False, places=3)
NEVER = [math.nan, math.inf, -math.inf, np.float64("nan"), np.float64("inf")]


def number(text: str) -> Condition:
    return parse_condition(text, Quantity.NUMBER)


@given(st.sampled_from(list(COMPARE)), st.integers(-(2**70), 2**70), st.integers(-(2**70), 2**70))
def test_whole_numbers_of_any_size_are_compared_exactly(sign: str, limit: int, value: int) -> None:
    assert number(f"{sign} {limit}").holds(value) == COMPARE[sign](value, limit)


@given(st.sampled_from(list(COMPARE)), DECIMALS, st.fractions())
def test_fractions_are_compared_exactly(sign: str, limit: Decimal, value: Fraction) -> None:
    assert number(f"{sign} {limit:f}").holds(value) == COMPARE[sign](value, Fraction(limit))


@given(st.sampled_from(list(COMPARE)), DECIMALS, st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_compared_with_the_double_that_the_text_denotes(sign: str, limit: Decimal, value: float) -> None:
    assert number(f"{sign} {limit:f}").holds(value) == COMPARE[sign](value, float(limit))


def test_an_exported_tenth_is_a_tenth() -> None:
    assert number("<= 0.1").holds(0.1)
    assert number("== 0.1").holds(0.1)
    assert not number("< 0.1").holds(0.1)
    assert number("== 0.1").holds(Fraction(1, 10))
    assert not number("== 0.1").holds(0.1 + 2**-56)


def test_whole_numbers_beyond_doubles_are_not_rounded() -> None:
    beyond = 2**53 + 1
    assert not number(f"== {beyond}").holds(float(2**53))
    assert number(f"< {beyond}").holds(float(2**53))
    assert number(f"== {beyond}").holds(beyond)


@pytest.mark.parametrize("value", [1, 1.0, Fraction(1), np.int64(1), np.float64(1), np.float32(1)])
def test_one_is_one_in_every_type(value: float) -> None:
    assert number("== 1").holds(value)
    assert number("== 1.0").holds(value)
    assert number("in [0, 1]").holds(value)


@pytest.mark.parametrize("text", ["< 1", "<= 1", "> 1", ">= 1", "== 1", "!= 1", "0..1", "in [1]"])
@pytest.mark.parametrize("value", NEVER)
def test_what_is_no_finite_number_satisfies_nothing(text: str, value: float) -> None:
    """Proves that a NaN score is never green, not even where "something else than 1" is asked."""
    assert not number(text).holds(value)
    assert not parse_condition(text, Quantity.ANY).holds(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("== 1", True), ("!= 1", True), ("!= 1", "1"), ("< 1", "0"), ("== 1", "1"), ("!= true", 1), ("== true", 1),
     ("!= a", 1), ("!= a", True), ("in [1, a]", True), ("matches /.*/", 1), ("0..1", False)],
)  # fmt: skip
def test_values_of_another_type_satisfy_nothing(text: str, value: object) -> None:
    assert not parse_condition(text, Quantity.ANY).holds(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("0..1", [0, 1, 0.5, Fraction(1, 3)], [-1e-9, 1.0000001, Fraction(-1, 10**30)]),
        ("-1..-0.5", [-1, -0.5, -0.75], [0, -2]),
        ("in [1, 2.5, -3]", [1, 2.5, -3.0], [2, 3]),
        ("== approve", ["approve"], ["Approve", "approve "]),
        ("!= approve", ["decline", ""], ["approve"]),
        ("== 'it\\'s'", ["it's"], ["its"]),
        ('== "a \\"b\\" ] , c"', ['a "b" ] , c'], ["a"]),
        ('in ["a, b", c]', ["a, b", "c"], ["a", "b"]),
        ("== true", [True, np.bool_(True)], [False]),
        ("matches /v[0-9]+/", ["v1", "v22"], ["v1 ", "xv1", "v"]),
        ("matches /a/b/", ["a/b"], ["a"]),
        ("matches /a|bc/", ["a", "bc"], ["abc", "ac"]),
        ("== v1.2-rc/3", ["v1.2-rc/3"], ["v1.2"]),
    ],
)
def test_ranges_lists_texts_and_expressions(text: str, yes: list[object], no: list[object]) -> None:
    condition = parse_condition(text, Quantity.ANY)
    assert all(condition.holds(value) for value in yes)  # type: ignore[arg-type]
    assert not any(condition.holds(value) for value in no)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "quantity", "operands"),
    [
        ("< 200ms", Quantity.DURATION, (200_000_000,)),
        ("<1h30m", Quantity.DURATION, (5400 * 10**9,)),
        ("10us..1.5s", Quantity.DURATION, (10_000, 1_500_000_000)),
        (">= -5ms", Quantity.DURATION, (-5_000_000,)),
        ("> 0.5ns", Quantity.DURATION, (Fraction(1, 2),)),
        (">= 99.5%", Quantity.SHARE, (Fraction(199, 200),)),
        (">= 99.5 %", Quantity.SHARE, (Fraction(199, 200),)),
        (">= 0.995", Quantity.SHARE, (Fraction(199, 200),)),
        (">= 1", Quantity.SHARE, (1,)),
        ("== 100%", Quantity.SHARE, (1,)),
        (">= 1e2", Quantity.COUNT, (100,)),
        ("100.0", None, ()),
        ("== 100.0", Quantity.COUNT, (100,)),
        ("0..2", Quantity.COUNT, (0, 2)),
    ],
)
def test_values_are_read_in_the_unit_of_what_is_asked(
    text: str, quantity: Quantity | None, operands: tuple[object, ...]
) -> None:
    if quantity is None:
        with pytest.raises(Mistake):
            parse_condition(text, Quantity.COUNT)
        return
    assert parse_condition(text, quantity).operands == operands


def test_a_threshold_is_never_met_by_rounding() -> None:
    """Proves that 200,000,001 ns is more than 200ms, and 1.49ms more than 1ms."""
    assert not parse_condition("<= 200ms", Quantity.DURATION).holds(200_000_001)
    assert not parse_condition("<= 1ms", Quantity.DURATION).holds(1_490_000)
    assert not parse_condition(">= 99.5%", Quantity.SHARE).holds(Fraction(994_999_999, 1_000_000_000))
    assert parse_condition(">= 99.5%", Quantity.SHARE).holds(Fraction(199, 200))


@pytest.mark.parametrize("text", ["< 200ms", "  0..1 ", "in [ a,b ]", "matches /x/", "<5"])
def test_a_condition_is_shown_as_it_was_written(text: str) -> None:
    quantity = Quantity.DURATION if "ms" in text else Quantity.ANY
    assert str(parse_condition(text, quantity)) == text.strip()


def test_a_list_of_values_is_shown_as_a_condition() -> None:
    condition = condition_of_list((1, Fraction(1, 2), "a", True), Quantity.ANY)
    assert str(condition) == "in [1, 0.5, a, true]"
    assert condition.operator is Operator.IN


def test_a_mistake_says_where_in_the_text_it_is() -> None:
    with pytest.raises(Mistake) as caught:
        parse_condition("  in [1ms, 20, 3ms]", Quantity.DURATION)
    assert (caught.value.offset, caught.value.length) == (11, 2)


@pytest.mark.parametrize("pattern", ["(", "a{2000}", "(?=x)", r"\1", "x" * (MAX_PATTERN + 1), "((a{90}){90}){90}"])
def test_expressions_that_cannot_be_run_in_linear_time_or_memory_are_refused(pattern: str) -> None:
    with pytest.raises(Mistake) as caught:
        parse_condition(f"matches /{pattern}/", Quantity.ANY)
    assert caught.value.code == "SV048"


@pytest.mark.parametrize("quantity", list(Quantity))
@given(text=st.one_of(st.text(max_size=40), st.text("<>=!.0123456789eE%+-msin []matches/,'\"() baseline", max_size=40)))
def test_any_text_is_a_condition_or_a_mistake_in_it(quantity: Quantity, text: str) -> None:
    try:
        condition = parse_condition(text, quantity)
    except Mistake as caught:
        mistake = caught
    else:
        assert isinstance(condition.holds(1), bool)
        return
    assert mistake.message
    assert 0 <= mistake.offset <= len(text)
    assert mistake.offset + mistake.length <= max(len(text), 1)


LIMITS = st.one_of(
    st.integers(-(2**65), 2**65).map(str), DECIMALS.map(lambda d: f"{d:f}"), st.sampled_from(["0.1", "0.5", "1", "0"])
)
TEXTS = st.one_of(
    st.builds(lambda sign, limit: f"{sign} {limit}", st.sampled_from(list(COMPARE)), LIMITS),
    st.builds(lambda low, high: f"{low}..{high}", LIMITS, LIMITS),
    st.lists(LIMITS, min_size=1, max_size=4).map(lambda limits: f"in [{', '.join(limits)}]"),
)
ARRAYS = st.one_of(
    st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-2, 2))).map(lambda v: np.array(v, np.int64)),
    st.lists(st.one_of(st.floats(), st.sampled_from([0.1, 0.5, 1.0, float(2**53)]))).map(
        lambda v: np.array(v, np.float64)
    ),
    st.lists(st.booleans()).map(lambda v: np.array(v, np.bool_)),
)


@given(TEXTS, ARRAYS)
def test_arrays_are_judged_as_their_values_one_by_one(text: str, values: np.ndarray) -> None:
    try:
        condition = number(text)
    except Mistake:  # an empty range
        return
    assert holding(condition, values).tolist() == [condition.holds(value) for value in values]


@pytest.mark.parametrize("text", ["== true", "!= true", "== false", "in [true, 1]", "== a", "matches /1/", "in [a, 1]"])
def test_arrays_are_judged_so_by_conditions_on_texts_and_truths_too(text: str) -> None:
    condition = parse_condition(text, Quantity.ANY)
    for values in (np.array([True, False]), np.array([1, 0]), np.array([1.0, math.nan])):
        assert holding(condition, values).tolist() == [condition.holds(value) for value in values]


@pytest.mark.parametrize("sign", list(COMPARE))
@pytest.mark.parametrize(
    "limit", ["0", "0.5", "-1.5", str(2**53 + 1), str(-(2**53) - 1), str(2**70), str(-(2**70)), "1e30"]
)
def test_arrays_are_judged_so_at_the_ends_of_their_type(sign: str, limit: str) -> None:
    condition = number(f"{sign} {limit}")
    whole = np.array([-(2**63), -(2**53) - 1, -2, -1, 0, 1, 2**53, 2**53 + 1, 2**63 - 1], np.int64)
    floats = np.array([-(2.0**53), -1.5, -0.0, 0.5, 2.0**53, 2.0**53 + 2, 1e30, 1e300, math.inf, -math.inf, math.nan])
    for values in (whole, floats):
        assert holding(condition, values).tolist() == [condition.holds(value) for value in values]
