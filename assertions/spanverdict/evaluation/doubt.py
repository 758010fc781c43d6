"""Does a condition hold of values that are only known to lie between two others?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spanverdict.checks.bounds import Bounds
from spanverdict.rulefiles.conditions import Condition, Operator
from spanverdict.rulefiles.literals import Operand
from spanverdict.rulefiles.vectors import holding
from spanverdict.telemetry.spantable import Bools

_RISING = (Operator.MORE, Operator.AT_LEAST)
_FALLING = (Operator.LESS, Operator.AT_MOST)


def surely(condition: Condition, bounds: Bounds) -> tuple[Bools, Bools]:
    """Tell of each value whether the condition holds wherever it may lie, and whether it holds nowhere there."""
    low, high = holding(condition, bounds.low), holding(condition, bounds.high)
    if condition.operator in _FALLING:
        return high, ~low
    if condition.operator in _RISING:
        return low, ~high
    if condition.operator is Operator.WITHIN:
        return low & high, ~_reaches(condition, bounds, *condition.operands)
    possible = np.zeros(len(low), np.bool_)
    for operand in condition.operands:
        possible |= _reaches(condition, bounds, operand, operand)
    exact = bounds.low == bounds.high
    return (~possible, exact & possible) if condition.operator is Operator.UNEQUAL else (exact & possible, ~possible)


def _reaches(condition: Condition, bounds: Bounds, least: Operand, most: Operand) -> Bools:
    """Tell which values may lie from `least` to `most`; never for what is no number."""
    below = replace(condition, operator=Operator.AT_MOST, operands=(most,))
    above = replace(condition, operator=Operator.AT_LEAST, operands=(least,))
    return holding(below, bounds.low) & holding(above, bounds.high)
