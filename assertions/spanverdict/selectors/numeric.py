"""Columns of numbers that stay exact: integers never pass through a float, and compare with floats by value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.selectors.words import MIN_INT
from spanverdict.telemetry.spantable import Bools, Int8s, Int64s

Float64s: TypeAlias = npt.NDArray[np.float64]

UNORDERED: Final = 2
"""The sign of a comparison with not-a-number: unequal, neither less nor greater."""
INCOMPARABLE: Final = 3
"""The sign where a side is absent or of another type: every comparison is false."""

_BEYOND: Final = float(2**63)


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """One number a row, or none. All arrays have one shape; it may be (1,) for a constant."""

    is_int: Bools
    is_float: Bools
    """A row is an integer, a float or, with neither, no number."""
    ints: Int64s
    """0 where the row is no integer."""
    floats: Float64s
    """0.0 where the row is no float."""

    def __len__(self) -> int:
        return len(self.ints)

    @property
    def valid(self) -> Bools:
        """Where there is a number."""
        return self.is_int | self.is_float

    def as_floats(self) -> Float64s:
        """Return all numbers as floats, 0.0 where there is none; large integers are rounded."""
        return np.where(self.is_float, self.floats, self.ints)

    @staticmethod
    def of_ints(ints: Int64s, valid: Bools) -> Numbers:
        """Return integers where `valid`."""
        return Numbers(valid, np.zeros(len(ints), np.bool_), ints, np.zeros(len(ints)))

    @staticmethod
    def one(value: float) -> Numbers:
        """Return one number, of shape (1,), which goes with a column of any length."""
        whole = isinstance(value, int)
        return Numbers(
            np.array([whole]),
            np.array([not whole]),
            np.array([value if whole else 0], np.int64),
            np.array([0.0 if whole else value], np.float64),
        )


def signs(a: Numbers, b: Numbers) -> Int8s:
    """Compare by value: -1, 0 or 1 as `a` is less, equal or greater; else UNORDERED or INCOMPARABLE."""
    if a.is_int.all() and b.is_int.all():
        return _sign(a.ints, b.ints)
    found = np.full(np.broadcast_shapes(a.ints.shape, b.ints.shape), INCOMPARABLE, np.int8)
    _put(found, a.is_int & b.is_int, lambda: _sign(a.ints, b.ints))
    _put(found, a.is_float & b.is_float, lambda: _float_sign(a.floats, b.floats))
    _put(found, a.is_int & b.is_float, lambda: _mixed_sign(a.ints, b.floats))
    _put(found, a.is_float & b.is_int, lambda: _turned(_mixed_sign(b.ints, a.floats)))
    return found


def _put(found: Int8s, where: Bools, compute: Callable[[], Int8s]) -> None:
    if where.any():
        np.copyto(found, compute(), where=where)


def _sign(a: Int64s, b: Int64s) -> Int8s:
    return (a > b).astype(np.int8) - (a < b).astype(np.int8)


def _float_sign(a: Float64s, b: Float64s) -> Int8s:
    found = (a > b).astype(np.int8) - (a < b).astype(np.int8)
    return np.where(np.isnan(a) | np.isnan(b), np.int8(UNORDERED), found)


def _mixed_sign(ints: Int64s, floats: Float64s) -> Int8s:
    """Compare integers with floats through the whole part, which is exact within 64 bits."""
    inside = (floats >= -_BEYOND) & (floats < _BEYOND)
    whole = np.floor(np.where(inside, floats, 0.0))
    found = _sign(ints, whole.astype(np.int64))
    found = np.where((found == 0) & (floats > whole), np.int8(-1), found)
    outside = np.where(np.isnan(floats), UNORDERED, np.where(floats > 0, -1, 1)).astype(np.int8)
    return np.where(inside, found, outside)


def _turned(found: Int8s) -> Int8s:
    return np.where(found == UNORDERED, found, -found)


def verdicts(op: str, found: Int8s) -> Bools:
    """Tell where signs satisfy a comparison."""
    return _SATISFIED[op].take(found + 1)


_SATISFIED: Final = MappingProxyType(
    {
        "=": np.array([False, True, False, False, False]),
        "!=": np.array([True, False, True, True, False]),
        "<": np.array([True, False, False, False, False]),
        "<=": np.array([True, True, False, False, False]),
        ">": np.array([False, False, True, False, False]),
        ">=": np.array([False, True, True, False, False]),
    }
)
"""For each comparison, which of the signs -1, 0, 1, UNORDERED and INCOMPARABLE satisfy it."""


def calculate(op: str, a: Numbers, b: Numbers) -> Numbers:
    """Apply an operator; a row without a number on either side, or without a result, has none.

    Integers give integers: `/` where it leaves no remainder, `^` where the exponent is not
    negative. There is no result for a division by zero, beyond 64 bits, or for not-a-number.
    """
    whole = a.is_int & b.is_int
    mixed = a.valid & b.valid & ~whole
    with np.errstate(all="ignore"):
        ints, exact, inexact = _INTEGER[op](a.ints, b.ints)
        x, y = a.as_floats(), b.as_floats()
        floats = _FLOAT[op](x, y)
    mixed = (mixed | (whole & inexact)) & ~np.isnan(floats)
    if op in "/%":
        mixed &= y != 0
    if op == "^":
        mixed &= (x != 0) | (y >= 0)
    whole &= exact
    return Numbers(whole, mixed, np.where(whole, ints, 0), np.where(mixed, floats, 0.0))


_Result: TypeAlias = tuple[Int64s, Bools, Bools]
"""Integers, where they are the result, and where only a float can be."""


def _added(a: Int64s, b: Int64s) -> _Result:
    found = a + b
    return found, ((a ^ found) & (b ^ found)) >= 0, _none(found)


def _subtracted(a: Int64s, b: Int64s) -> _Result:
    found = a - b
    return found, ((a ^ b) & (a ^ found)) >= 0, _none(found)


def _multiplied(a: Int64s, b: Int64s) -> _Result:
    found = a * b
    divisor = np.where(a == 0, 1, a)
    fits = (a == 0) | ((found // divisor == b) & (found % divisor == 0))
    wraps = ((a == -1) & (b == MIN_INT)) | ((b == -1) & (a == MIN_INT))
    return found, fits & ~wraps, _none(found)


def _divided(a: Int64s, b: Int64s) -> _Result:
    divisor = np.where(b == 0, 1, b)
    whole = (a % divisor == 0) & (b != 0)
    return a // divisor, whole & ~((a == MIN_INT) & (b == -1)), ~whole & (b != 0)


def _remainder(a: Int64s, b: Int64s) -> _Result:
    found = np.fmod(a, np.where((b == 0) | (b == -1), 1, b))
    return found, b != 0, _none(found)


def _raised(a: Int64s, b: Int64s) -> _Result:
    found = np.power(a, np.maximum(b, 0))
    size = np.power(np.abs(a.astype(np.float64)), b)
    fits = (size < _BEYOND) | (b <= 1) | ((size == _BEYOND) & (a < 0) & (b % 2 == 1))
    return found, fits & (b >= 0), b < 0


def _none(like: Int64s) -> Bools:
    return np.zeros(like.shape, np.bool_)


_INTEGER: Final = MappingProxyType[str, Callable[[Int64s, Int64s], _Result]](
    {"+": _added, "-": _subtracted, "*": _multiplied, "/": _divided, "%": _remainder, "^": _raised}
)
_FLOAT: Final = MappingProxyType[str, Callable[[Float64s, Float64s], Float64s]](
    {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.fmod, "^": np.power}
)
