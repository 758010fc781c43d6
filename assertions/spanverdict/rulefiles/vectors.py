"""Conditions over whole arrays, with the same answers as `Condition.holds` one by one."""

from __future__ import annotations

from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.rulefiles.conditions import Condition, Operator
from spanverdict.rulefiles.literals import Operand

Bools: TypeAlias = npt.NDArray[np.bool_]
Array: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.float64] | Bools

_LOWEST = -(2**63)
_HIGHEST = 2**63 - 1


def holding(condition: Condition, values: Array) -> Bools:
    """Tell of every value whether it satisfies the condition.

    `values` is (n,) int64, float64 or bool; the result (n,) is a new array. Exactly as
    `Condition.holds`: NaN and infinities satisfy nothing, truths only meet truths.
    """
    if condition.operator is Operator.MATCHES:
        return np.zeros(len(values), np.bool_)
    if condition.operator is Operator.IN:
        masks = [_compare(Operator.EQUAL, values, operand) for operand in condition.operands]
        return np.asarray(np.logical_or.reduce(masks))
    if condition.operator is Operator.WITHIN:
        low, high = condition.operands
        return _compare(Operator.AT_LEAST, values, low) & _compare(Operator.AT_MOST, values, high)
    return _compare(condition.operator, values, condition.operands[0])


def _compare(operator: Operator, values: Array, operand: Operand) -> Bools:
    if isinstance(operand, str) or isinstance(operand, bool) != (values.dtype == np.bool_):
        return np.zeros(len(values), np.bool_)
    if values.dtype == np.int64:
        return _integers(operator, values, operand)
    if values.dtype == np.bool_:
        return np.asarray(values == operand if operator is Operator.EQUAL else values != operand)
    return _floats(operator, values, operand)


def _integers(operator: Operator, values: Array, limit: int | Fraction) -> Bools:
    """Compare with the next whole number on the side that matters; no float is involved."""
    floor = limit.__floor__()
    whole = floor == limit
    match operator:
        case Operator.LESS:
            return _at_most(values, floor - 1 if whole else floor)
        case Operator.AT_MOST:
            return _at_most(values, floor)
        case Operator.MORE:
            return ~_at_most(values, floor)
        case Operator.AT_LEAST:
            return ~_at_most(values, floor - 1 if whole else floor)
        case _:
            equal = _at_most(values, floor) & ~_at_most(values, floor - 1) if whole else np.zeros(len(values), np.bool_)
            return equal if operator is Operator.EQUAL else ~equal


def _at_most(values: Array, limit: int) -> Bools:
    if limit < _LOWEST:
        return np.zeros(len(values), np.bool_)
    return np.ones(len(values), np.bool_) if limit > _HIGHEST else np.asarray(values <= np.int64(limit))


def _floats(operator: Operator, values: Array, limit: int | Fraction) -> Bools:
    """Compare with the double of the limit; a whole number that has none lies beside its nearest double."""
    nearest = float(limit)
    beyond = 0 if isinstance(limit, Fraction) else (limit > nearest) - (limit < nearest)
    below, equal = values < nearest, values == nearest
    if beyond > 0:
        below, equal = below | equal, np.zeros(len(values), np.bool_)
    elif beyond < 0:
        equal = np.zeros(len(values), np.bool_)
    masks = {
        Operator.LESS: below,
        Operator.AT_MOST: below | equal,
        Operator.MORE: ~(below | equal),
        Operator.AT_LEAST: ~below,
        Operator.EQUAL: equal,
        Operator.UNEQUAL: ~equal,
    }
    return np.asarray(masks[operator] & np.isfinite(values))
