"""Does a condition hold of something that is only known to lie in an interval?"""

from __future__ import annotations

from fractions import Fraction

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
