"""Columns of numbers against Python's own exact integers: comparing, calculating, and numbering equal values."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slow_traceql import aggregate, arithmetic, identity
from spantables import table_of
from spanverdict.paths.forest import grow
from spanverdict.selectors import Spans, parse_field, tree
from spanverdict.selectors.aggregates import scalar
from spanverdict.selectors.numeric import INCOMPARABLE, UNORDERED, Numbers, calculate, signs, verdicts
from spanverdict.selectors.statics import CALCULATE
from spanverdict.selectors.values import Values, identities
from spanverdict.telemetry.spantable import AttributeColumn

EDGES = [0, 1, -1, 2, 2**53, 2**53 + 1, 2**62, 2**63 - 1, -(2**63), 3037000499, 3037000500, -(2**31)]
integers = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from(EDGES), st.integers(-9, 9))
floats = st.one_of(
    st.floats(), integers.map(float), st.sampled_from([2.0**63, -(2.0**63), 0.5, math.nextafter(2.0**63, 0)])
)
numbers = st.one_of(integers, floats, st.none())
columns = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=8)


def column(values: list[Any]) -> Numbers:
    return Values.of_column(AttributeColumn(np.arange(len(values), dtype=np.int32), tuple(values))).numbers()


def exact_sign(a: Any, b: Any) -> int:
    if a is None or b is None:
        return INCOMPARABLE
    if math.isnan(a) or math.isnan(b):
        return UNORDERED
    if math.isinf(a) or math.isinf(b):
        return (a > b) - (a < b)
    x, y = Fraction(a), Fraction(b)
    return (x > y) - (x < y)


@settings(deadline=None)
@given(columns)
@example([(2**53 + 1, float(2**53)), (2**63 - 1, 2.0**63), (-(2**63), -(2.0**63))])
def test_numbers_compare_by_their_exact_value(pairs: list[tuple[Any, Any]]) -> None:
    """Integers beyond 2^53 are told from the floats next to them."""
    found = signs(column([a for a, _ in pairs]), column([b for _, b in pairs]))
    assert found.tolist() == [exact_sign(a, b) for a, b in pairs]


@settings(deadline=None)
@given(columns, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
def test_a_constant_compares_as_a_column_of_it_would(pairs: list[tuple[Any, Any]], op: str) -> None:
    values, constant = column([a for a, _ in pairs]), pairs[0][1]
    if constant is not None:
        whole = signs(values, column([constant] * len(pairs)))
        assert np.array_equal(verdicts(op, signs(values, Numbers.one(constant))), verdicts(op, whole))


@settings(deadline=None)
@given(columns, st.sampled_from("+-*/%"))
@example([(-(2**63), -1)], "/")
@example([(-(2**63), -1)], "%")
@example([(-(2**63), -1)], "*")
@example([(2**63 - 1, 1)], "+")
@example([(7, -2), (-7, 2)], "%")
def test_columns_calculate_as_python_does(pairs: list[tuple[Any, Any]], op: str) -> None:
    """Integers stay exact, and have no result where it does not fit or a divisor is zero."""
    found = calculate(op, column([a for a, _ in pairs]), column([b for _, b in pairs]))
    for number, (a, b) in enumerate(pairs):
        expected = arithmetic(op, a, b)
        assert (bool(found.is_int[number]), bool(found.is_float[number])) == (
            isinstance(expected, int),
            isinstance(expected, float),
        )
        if expected is not None:
            assert (found.ints if isinstance(expected, int) else found.floats)[number] == expected


@settings(deadline=None)
@given(st.integers(-40, 40) | st.sampled_from(EDGES), st.integers(0, 70))
@example(-2, 63)
@example(2, 63)
@example(3037000500, 2)
@example(-1, 2**62 + 1)
@example(2**63 - 1, 1)
def test_powers_of_integers_are_exact_or_absent(base: int, exponent: int) -> None:
    found = calculate("^", column([base]), column([exponent]))
    expected = arithmetic("^", base, exponent)
    assert bool(found.is_int[0]) == (expected is not None)
    assert not found.is_float[0]
    if expected is not None:
        assert found.ints[0] == expected


@settings(deadline=None)
@given(integers, integers, st.sampled_from("+-*/%"))
def test_constants_calculate_as_columns_do(a: int, b: int, op: str) -> None:
    """What is computed when a selector is read is what would be computed for a span."""
    try:
        expected = CALCULATE[op](a, b)
    except ZeroDivisionError:
        expected = math.nan
    found = calculate(op, Numbers.one(a), Numbers.one(b))
    if found.is_int[0]:
        assert found.ints[0] == expected
    elif found.is_float[0]:
        assert found.floats[0] == expected
    else:
        assert math.isnan(expected) or not -(2**63) <= expected < 2**63


values = st.one_of(
    numbers,
    st.booleans(),
    st.sampled_from(["", "a", "1"]),
    st.just((1, "a")),
    st.just((1.0, "a")),
    st.just((True,)),
    st.just((1,)),
    st.just(b"a"),
)


@settings(deadline=None)
@given(st.lists(values, max_size=10), st.data())
def test_equal_values_have_equal_numbers(made: list[Any], data: st.DataObject) -> None:
    """1 and 1.0 are one value, true and 1 are two; absent is -1."""
    codes = data.draw(st.lists(st.integers(-1, len(made) - 1), max_size=10))
    found = identities(Values.of_column(AttributeColumn(np.array(codes, np.int32), tuple(made))))
    chosen = [None if code < 0 else made[code] for code in codes]
    for a, left in zip(found, chosen, strict=True):
        assert (a == -1) == (left is None)
        for b, right in zip(found, chosen, strict=True):
            assert (a == b) == (identity(left) == identity(right))


@pytest.mark.parametrize("kind", [np.int64, np.float64])
@settings(deadline=None)
@given(st.lists(numbers, max_size=10))
@example([-(2**63), -(2.0**63)])
def test_equal_numbers_without_codes_have_equal_numbers(kind: Any, made: list[Any]) -> None:
    """The same for computed columns, which have no distinct values to go by."""
    one = kind(0).item()
    shifted = calculate("+", column(made) if made else column([None]), Numbers.one(one))
    found = identities(Values.of_numbers(shifted))
    entries = [Values.of_numbers(shifted).entry(n) for n in range(len(shifted))]
    for a, left in zip(found, entries, strict=True):
        for b, right in zip(found, entries, strict=True):
            assert (a == b) == (identity(left) == identity(right))


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, st.integers(0, 2)), max_size=8), st.sampled_from(["sum", "avg", "min", "max"]))
@example([(-1, 0), (1, 0), (2**40 - 1, 0), (2**40 - 1, 0)], "sum")
@example([(2**63 - 1, 0), (1, 0), (-(2**63), 1), (-1, 1)], "sum")
@example([(2**53, 0), (float(2**53), 0), (2**53 + 1, 0)], "max")
def test_aggregates_of_each_group_are_exact(made: list[tuple[Any, int]], function: str) -> None:
    """Sums carry across 32 bits and know when they no longer fit; extremes compare by exact value."""
    table = table_of([{"trace": "t", "id": n + 1, "attributes": {"a": value}} for n, (value, _) in enumerate(made)])
    part = np.array([group for _, group in made], np.int64)
    node = tree.Aggregate(function, tree.Attribute(tree.Scope.SPAN, "a"))
    found = scalar(node, Spans.of(table), np.ones(len(made), np.bool_), part, 3)
    for group in range(3):
        expected = aggregate(function, [value for value, where in made if where == group and value is not None])
        assert Values.of_numbers(found).entry(group) == expected


def test_a_child_by_parent_and_by_link_is_one_child() -> None:
    """And so are two links from the same span."""
    rows = [{"trace": "t", "id": 1}, {"trace": "t", "id": 2, "parent": 1}, {"trace": "u", "id": 3}]
    table = table_of(rows)
    links = (np.array([0, 0, 0]), np.array([1, 2, 2]))
    spans = Spans(table, grow(table, np.zeros(3, np.int64), links))
    assert parse_field("span:childCount").numbers(spans).ints.tolist() == [2, 0, 0]
