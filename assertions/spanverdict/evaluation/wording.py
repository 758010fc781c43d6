"""Observed values and messages in words, in the units of what was measured."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from spanverdict.diagnostics.durations import format_duration, format_exact
from spanverdict.evaluation.outcomes import ConditionResult, Outcome
from spanverdict.evaluation.sample import Interval, Number
from spanverdict.rulefiles.conditions import Condition
from spanverdict.rulefiles.statistic import Quantity

NOTHING: Final = "nothing"
_PLAIN: Final = re.compile(r"(-?[\d.]+)( ?[a-zµ%]*)")
"""A number with one unit at most."""


def observed_text(value: Number, condition: Condition, quantity: Quantity) -> str:
    """Write an observed value, with all its digits where fewer would look like the limit that it misses.

    >>> from spanverdict.rulefiles.conditions import parse_condition
    >>> under = parse_condition("< 200ms", Quantity.DURATION)
    >>> observed_text(200_000_001, under, Quantity.DURATION), observed_text(231_400_001, under, Quantity.DURATION)
    ('200.000001ms', '231.4ms')
    """
    text = number_text(value, quantity)
    if (
        condition.deltas
        or condition.holds(value)
        or all(text != number_text(limit, quantity) for limit in condition.operands)
    ):
        return text
    return _exact_text(value, quantity)


def compared_texts(value: Number, baseline: Number, condition: Condition, quantity: Quantity) -> tuple[str, str]:
    """Write an observed value with its change, and that of the baseline; with all digits where fewer look the same.

    >>> from spanverdict.rulefiles.conditions import parse_condition
    >>> slower = parse_condition("<= +10% of baseline", Quantity.DURATION)
    >>> compared_texts(231_400_000, 200_000_000, slower, Quantity.DURATION)
    ('231.4ms (+15.7 %)', '200ms')
    """
    texts = number_text(value, quantity), number_text(baseline, quantity)
    if texts[0] == texts[1] and value != baseline:
        texts = _exact_text(value, quantity), _exact_text(baseline, quantity)
    parts = [delta.amount * 100 for delta in condition.deltas if delta.relative]
    if not baseline or not parts:
        return texts
    change = (Fraction(value) - Fraction(baseline)) / abs(Fraction(baseline)) * 100
    return f"{texts[0]} ({_percent_apart(change, parts)} %)", texts[1]


def _percent_apart(change: Fraction, limits: Sequence[Fraction]) -> str:
    """Write a change with as many digits as it needs to look unlike the limits that it is not."""
    for digits in (4, 12, 17):
        text = f"{float(change):+.{digits}g}"
        if all(change == limit or text != f"{float(limit):+.{digits}g}" for limit in limits):
            break
    return text


def _exact_text(value: Number, quantity: Quantity) -> str:
    if quantity is Quantity.DURATION:
        exact = Fraction(value)
        return format_exact(exact.numerator) if exact.denominator == 1 else f"{float(exact)!r}ns"
    if quantity is Quantity.SHARE:
        return f"{str(float(Fraction(value) * 100)).removesuffix('.0')} %"
    return str(value) if isinstance(value, int) else repr(float(value))


def number_text(value: object, quantity: Quantity) -> str:
    """Write a value in the unit of its quantity.

    >>> number_text(231_400_000, Quantity.DURATION), number_text(Fraction(39, 40), Quantity.SHARE)
    ('231.4ms', '97.5 %')
    >>> number_text(0.6, Quantity.SHARE)
    '60 %'
    >>> number_text(0.97, Quantity.NUMBER), number_text("ok", Quantity.ANY), number_text(True, Quantity.TRUTH)
    ('0.97', "'ok'", 'true')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int | float | Fraction):
        return repr(value)
    if quantity is Quantity.DURATION:
        return format_duration(value)
    if quantity is Quantity.SHARE:
        return share_text(Fraction(str(value)))
    return str(value) if isinstance(value, int) else f"{float(value):.10g}"


def share_text(share: Fraction) -> str:
    """Write a share in per cent with two digits, never rounded up to a whole that it does not reach.

    >>> share_text(Fraction(1)), share_text(Fraction(99999, 100000)), share_text(Fraction(2, 3))
    ('100 %', '99.99 %', '66.66 %')
    """
    hundredths = int(share * 10_000)
    return f"{hundredths / 100:g} %" if hundredths < 10**7 else f"{hundredths // 100} %"


def machine_value(value: Number) -> int | float:
    """Return a number that JSON can hold."""
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else float(value)
    return value


def level_text(level: float, interval: Interval, condition: Condition, quantity: Quantity) -> str:
    """Write an interval of confidence: `95 % CI 94.28–98.92 %`; what has no end on one side says so.

    >>> from spanverdict.rulefiles.conditions import parse_condition
    >>> under = parse_condition("< 200ms", Quantity.DURATION)
    >>> level_text(0.95, Interval(5, 4_000_000, 6_000_000), under, Quantity.DURATION)
    '95 % CI 4–6ms'
    >>> level_text(0.95, Interval(5, 4_000_000, None), under, Quantity.DURATION)
    '95 % CI 4ms and more'
    """  # noqa: RUF002 - a range is written with this dash
    name = f"{number_text(level, Quantity.SHARE)} CI"
    low, high = (
        "" if end is None else observed_text(end, condition, quantity) for end in (interval.low, interval.high)
    )
    if low and high:
        return f"{name} {_range_text(low, high)}"
    if low or high:
        return f"{name} {low} and more" if low else f"{name} up to {high}"
    return f"no {name}"


def difference_text(level: float, interval: Interval, quantity: Quantity) -> str:
    """Write the interval of a difference to a baseline.

    >>> difference_text(0.95, Interval(0, -2_000_000, 5_500_000), Quantity.DURATION)
    '95 % CI of the difference -2ms to +5.5ms'
    >>> difference_text(0.9, Interval(0, -0.0123, None), Quantity.SHARE)
    '90 % CI of the difference -1.23pp and more'
    """
    name = f"{number_text(level, Quantity.SHARE)} CI of the difference"
    low, high = ("" if end is None else _signed(end, quantity) for end in (interval.low, interval.high))
    if low and high:
        return f"{name} {low} to {high}"
    if low or high:
        return f"{name} {low} and more" if low else f"{name} up to {high}"
    return f"no {name}"


def _signed(value: Number, quantity: Quantity) -> str:
    text = number_text(abs(value), quantity).replace(" %", "pp")
    return text if not value else f"{'-' if value < 0 else '+'}{text}"


def _range_text(low: str, high: str) -> str:
    """Name the unit once where both ends have the same."""
    first, last = _PLAIN.fullmatch(low), _PLAIN.fullmatch(high)
    same = first is not None and last is not None and first[2] == last[2]
    return f"{first[1] if first and same else low}–{high}"  # noqa: RUF001 - a range is written with this dash


def about(number: int) -> str:
    """Write a number that is only known roughly, to two digits, rounded up.

    >>> about(72), about(2061), about(1_000_000)
    ('72', '2,100', '1,000,000')
    """
    unit = 10 ** max(0, len(str(number)) - 2)
    return f"{-(-number // unit) * unit:,}"


def machine_end(end: Number | None) -> int | float | None:
    """Return one end of an interval as a number that JSON can hold; None where nothing bounds it."""
    return None if end is None else machine_value(end)


def message_of(conditions: Sequence[ConditionResult], outcome: Outcome, size: str) -> str:
    """Say in one line what decided: `p95 = 231.4ms, expected < 200ms (n = 200 requests)`."""
    decisive = [condition for condition in conditions if condition.outcome is outcome] or list(conditions)
    said = "; ".join(_said(condition) for condition in decisive)
    notes = list(dict.fromkeys(condition.note for condition in decisive if condition.note))
    return f"{said} ({', '.join([size, *notes])})"


def _said(condition: ConditionResult) -> str:
    return f"{condition.statistic} = {condition.observed}, expected {condition.wanted}"
