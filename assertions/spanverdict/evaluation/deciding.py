"""Does a condition hold of something that is only known to lie in an interval?"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final, TypeAlias

from spanverdict.evaluation.outcomes import Outcome
from spanverdict.evaluation.sample import Interval, Number
from spanverdict.rulefiles.conditions import Condition, Operator


def decide(condition: Condition, interval: Interval) -> Outcome:
    """Return passed when it holds in the whole interval, failed when it holds nowhere in it.

    >>> from spanverdict.rulefiles.conditions import parse_condition
    >>> from spanverdict.rulefiles.statistic import Quantity
    >>> under = parse_condition("< 10", Quantity.NUMBER)
    >>> [str(decide(under, Interval(5, low, high))) for low, high in ((5, 9), (5, 10), (10, None))]
    ['passed', 'inconclusive', 'failed']
    """
    match condition.operator:
        case Operator.LESS | Operator.AT_MOST:
            return _between(_holds(condition, interval.high), _holds(condition, interval.low))
        case Operator.MORE | Operator.AT_LEAST:
            return _between(_holds(condition, interval.low), _holds(condition, interval.high))
        case Operator.WITHIN:
            return _within(condition, interval)
        case _:
            return _equality(condition, interval)


def decide_above(operator: Operator, excess: Interval, amount: Fraction) -> Outcome:
    """Decide an order between a difference that lies in an interval and the amount that it is compared with."""
    return _one_sided(operator, (_exact(excess.low), _exact(excess.high)), (amount, amount))


def decide_against(condition: Condition, interval: Interval, baseline: Interval) -> Outcome:
    """Decide a condition that is relative to a baseline which itself is only known to lie in an interval.

    Passed when it holds whatever both are, failed when it holds for no two of them. Nothing is rounded: floats count
    as exactly the numbers that they are.

    >>> from spanverdict.rulefiles.conditions import parse_condition
    >>> from spanverdict.rulefiles.statistic import Quantity
    >>> slower = parse_condition("<= +10% of baseline", Quantity.NUMBER)
    >>> [str(decide_against(slower, Interval.point(value), Interval.point(100))) for value in (110, 111)]
    ['passed', 'failed']
    """
    ends = _exact(baseline.low), _exact(baseline.high)
    limits = [delta.limits(*ends) for delta in condition.deltas]
    here = _exact(interval.low), _exact(interval.high)
    match condition.operator:
        case Operator.WITHIN:
            return both(_one_sided(Operator.AT_LEAST, here, limits[0]), _one_sided(Operator.AT_MOST, here, limits[1]))
        case Operator.EQUAL | Operator.UNEQUAL:
            sides = [_one_sided(side, here, limits[0]) for side in (Operator.AT_LEAST, Operator.AT_MOST)]
            same = both(*sides)
            return same if condition.operator is Operator.EQUAL else _OPPOSITE[same]
        case _:
            return _one_sided(condition.operator, here, limits[0])


_Ends: TypeAlias = tuple[Fraction | None, Fraction | None]
_OPPOSITE: Final = {
    Outcome.PASSED: Outcome.FAILED,
    Outcome.FAILED: Outcome.PASSED,
    Outcome.INCONCLUSIVE: Outcome.INCONCLUSIVE,
}


def _exact(value: Number | None) -> Fraction | None:
    """Return a number as it is; what is not finite is no end."""
    return None if value is None or (isinstance(value, float) and not math.isfinite(value)) else Fraction(value)


def _one_sided(operator: Operator, here: _Ends, limit: _Ends) -> Outcome:
    """Decide an order between two numbers that lie in intervals."""
    if operator in (Operator.MORE, Operator.AT_LEAST):
        turned = Operator.LESS if operator is Operator.MORE else Operator.AT_MOST
        return _one_sided(turned, limit, here)
    strict = operator is Operator.LESS
    worst = None if here[1] is None or limit[0] is None else _below(here[1], limit[0], strict=strict)
    best = None if here[0] is None or limit[1] is None else _below(here[0], limit[1], strict=strict)
    return _between(worst, best)


def _below(left: Fraction, right: Fraction, *, strict: bool) -> bool:
    return left < right if strict else left <= right


def both(first: Outcome, second: Outcome) -> Outcome:
    """Return what two conditions that both have to hold come to."""
    if Outcome.FAILED in (first, second):
        return Outcome.FAILED
    return Outcome.PASSED if first is second is Outcome.PASSED else Outcome.INCONCLUSIVE


def _holds(condition: Condition, value: Number | None) -> bool | None:
    """Tell whether it holds of one end of the interval; None where there is no end."""
    return None if value is None else condition.holds(value)


def _between(worst: bool | None, best: bool | None) -> Outcome:
    if worst:
        return Outcome.PASSED
    return Outcome.FAILED if best is False else Outcome.INCONCLUSIVE


def _within(condition: Condition, interval: Interval) -> Outcome:
    low, high = condition.operands
    if _holds(condition, interval.low) and _holds(condition, interval.high):
        return Outcome.PASSED
    beyond = interval.low is not None and _above(interval.low, high)
    short = interval.high is not None and _above(low, interval.high)
    return Outcome.FAILED if beyond or short else Outcome.INCONCLUSIVE


def _equality(condition: Condition, interval: Interval) -> Outcome:
    if interval.certain:
        return Outcome.PASSED if condition.holds(interval.observed) else Outcome.FAILED
    possible = any(_may_be(interval, operand) for operand in condition.operands)
    if possible:
        return Outcome.INCONCLUSIVE
    return Outcome.PASSED if condition.operator is Operator.UNEQUAL else Outcome.FAILED


def _may_be(interval: Interval, operand: object) -> bool:
    below = interval.low is not None and _above(interval.low, operand)
    above = interval.high is not None and _above(operand, interval.high)
    return isinstance(operand, int | float | Fraction) and not below and not above


def _above(left: object, right: object) -> bool:
    """Compare two numbers exactly; false for what is no number."""
    if isinstance(left, int | float | Fraction) and isinstance(right, int | float | Fraction):
        return left > right
    return False
