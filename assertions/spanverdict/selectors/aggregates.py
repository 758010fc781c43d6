"""One number a spanset: counts, sums, averages and extremes, exact for integers."""

from __future__ import annotations

import numpy as np

from spanverdict.selectors import tree
from spanverdict.selectors.columns import Spans
from spanverdict.selectors.conditions import numbers_at
from spanverdict.selectors.numeric import Numbers, calculate, signs
from spanverdict.selectors.statics import constant
from spanverdict.selectors.typecheck import level
from spanverdict.telemetry.spantable import Bools, Int64s, Rows

_LOW = np.int64(0xFFFFFFFF)
_TOP = 2**31


def scalar(node: tree.Expression, spans: Spans, members: Bools, part: Int64s, count: int) -> Numbers:
    """Compute aggregates and arithmetic over them, (count,); `part` says in which spanset a span is."""
    fixed = constant(node)
    if fixed is not None:
        assert isinstance(fixed.value, int | float)  # numbers only, as was checked
        return Numbers.one(fixed.value)
    match node:
        case tree.Aggregate():
            return _aggregate(node, spans, members, part, count)
        case tree.Unary():
            return calculate("-", Numbers.one(0), scalar(node.operand, spans, members, part, count))
        case tree.Binary():
            left = scalar(node.left, spans, members, part, count)
            return calculate(node.op, left, scalar(node.right, spans, members, part, count))
        case _:
            raise AssertionError("fields stand inside aggregates only, as was checked")


def _aggregate(node: tree.Aggregate, spans: Spans, members: Bools, part: Int64s, count: int) -> Numbers:
    if node.argument is None:
        counted = np.bincount(part[members], minlength=count)
        return Numbers.of_ints(counted, np.ones(count, np.bool_))
    where = level(node.argument)
    numbers = numbers_at(node.argument, where, spans)
    if where is not tree.Scope.SPAN:
        owners = spans.owners(where)
        members, part = members[owners], part[owners]
    rows = np.flatnonzero(members & numbers.valid)
    chosen = Numbers(numbers.is_int[rows], numbers.is_float[rows], numbers.ints[rows], numbers.floats[rows])
    match node.function:
        case "sum":
            return _sum(chosen, part[rows], count)
        case "avg":
            counted = np.bincount(part[rows], minlength=count)
            return calculate("/", _sum(chosen, part[rows], count), Numbers.of_ints(counted, counted > 0))
        case _:
            return _extreme(chosen, part[rows], count, least=node.function == "min")


def _sum(numbers: Numbers, part: Int64s | Rows, count: int) -> Numbers:
    """Add up exactly: in two halves of 32 bits, each of which has room for 2^31 rows."""
    low = _added(part, numbers.ints & _LOW, count)
    high = _added(part, numbers.ints >> 32, count) + (low >> 32)
    fits = (high >= -_TOP) & (high < _TOP)
    ints = (np.where(fits, high, 0) << 32) + (low & _LOW)
    floats = np.bincount(part[numbers.is_float], numbers.floats[numbers.is_float], count)
    any_int = np.bincount(part[numbers.is_int], minlength=count) > 0
    any_float = np.bincount(part[numbers.is_float], minlength=count) > 0
    total = high * 2.0**32 + (low & _LOW) + floats
    is_float = any_float & ~np.isnan(total)
    is_int = any_int & ~any_float & fits
    return Numbers(is_int, is_float, np.where(is_int, ints, 0), np.where(is_float, total, 0.0))


def _added(part: Int64s | Rows, ints: Int64s, count: int) -> Int64s:
    found = np.zeros(count, np.int64)
    np.add.at(found, part, ints)
    return found


def _extreme(numbers: Numbers, part: Int64s | Rows, count: int, *, least: bool) -> Numbers:
    """Find the least or greatest number; not-a-number takes no part."""
    pick = np.minimum if least else np.maximum
    bound = np.iinfo(np.int64)
    ints = np.full(count, bound.max if least else bound.min)
    floats = np.full(count, np.inf if least else -np.inf)
    ordered = numbers.is_float & ~np.isnan(numbers.floats)
    pick.at(ints, part[numbers.is_int], numbers.ints[numbers.is_int])
    pick.at(floats, part[ordered], numbers.floats[ordered])
    has_int = np.bincount(part[numbers.is_int], minlength=count) > 0
    has_float = np.bincount(part[ordered], minlength=count) > 0
    whole = Numbers(has_int, ~has_int, ints, floats)
    broken = Numbers(~has_float, has_float, ints, floats)
    sign = signs(whole, broken)
    is_int = has_int & (~has_float | (sign <= 0 if least else sign >= 0))
    is_float = has_float & ~is_int
    return Numbers(is_int, is_float, np.where(is_int, ints, 0), np.where(is_float, floats, 0.0))
