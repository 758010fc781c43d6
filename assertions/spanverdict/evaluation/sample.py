"""The values a rule judges, and what is known of those that are missing.

A subject that should have a value and has none could have had any. So every statistic is an
interval: from what it would be were all missing values smallest, to what it would be were all
largest. A condition passes only if it holds in the whole interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TypeAlias

import numpy as np

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.numbers import Float64s, numbers_of
from spanverdict.rulefiles.statistic import Kind, Statistic
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int64s

Number: TypeAlias = int | float | Fraction


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a statistic lies: `low` and `high` are None where nothing bounds it."""

    observed: Number
    """Over the values that are there."""
    low: Number | None
    high: Number | None

    @staticmethod
    def point(value: Number) -> Interval:
        """Return the interval of a value that is known."""
        return Interval(value, value, value)

    @property
    def certain(self) -> bool:
        """Tell whether it is a single value."""
        return self.low is not None and self.low == self.high


@dataclass(frozen=True, eq=False)
class Sample:
    """The numbers of a measurement, sorted, beside the count of the missing."""

    measurement: Measurement

    @property
    def missing(self) -> int:
        """How many values should be there and are not; values that are no numbers among them."""
        return len(self.measurement.missing_request) + self._unreadable

    @cached_property
    def _unreadable(self) -> int:
        values = self.measurement.values
        if not isinstance(values, AttributeColumn):
            return 0
        return int((~numbers_of(values, np.arange(len(values.codes))).valid).sum())

    @cached_property
    def numbers(self) -> Int64s | Float64s:
        """The values as numbers, ascending."""
        values = self.measurement.values
        if isinstance(values, AttributeColumn):
            numbers = numbers_of(values, np.arange(len(values.codes)))
            return _ascending(numbers.values[numbers.valid])
        return _ascending(values)

    def statistic(self, statistic: Statistic) -> Interval | None:
        """Return where a statistic lies; None when there is no value to take it of."""
        if statistic.kind is Kind.SAMPLES:
            return Interval.point(len(self.measurement.request))
        quotient = self.measurement.quotient
        if quotient is not None:
            return Interval.point(Fraction(*quotient)) if quotient[1] else None
        if self.measurement.unit is Unit.TRUTH and statistic.kind in (Kind.RATIO, Kind.COUNT):
            return self._of_truths(statistic.kind)
        return self._of_numbers(statistic) if len(self.numbers) else None

    def _of_truths(self, kind: Kind) -> Interval | None:
        true, known, missing = int(self.numbers.sum()), len(self.numbers), self.missing
        if kind is Kind.COUNT:
            return Interval(true, true, true + missing)
        if not known:
            return None
        total = known + missing
        return Interval(Fraction(true, known), Fraction(true, total), Fraction(true + missing, total))

    def _of_numbers(self, statistic: Statistic) -> Interval:
        numbers, missing = self.numbers, self.missing
        match statistic.kind:
            case Kind.PERCENTILE:
                return self._percentile(statistic.permyriad or 0)
            case Kind.MIN:
                least = numbers[0].item()
                return Interval(least, None if missing else least, least)
            case Kind.MAX:
                most = numbers[-1].item()
                return Interval(most, most, None if missing else most)
            case Kind.SUM:
                value: Number = self._sum()
            case Kind.MEAN:
                value = self._sum() / len(numbers)
            case _:
                value = _standard_deviation(numbers)
        return Interval(value, None, None) if missing else Interval.point(value)

    def _sum(self) -> Fraction | float:
        """Add up exactly: whole numbers as integers, floats without losing digits on the way."""
        if self.numbers.dtype == np.int64:
            return Fraction(sum(self.numbers.tolist()))
        return math.fsum(self.numbers.tolist())

    def _percentile(self, permyriad: int) -> Interval:
        """Nearest rank: of N values the one at position ceil(p/100 * N), counted from 1."""
        numbers, missing = self.numbers, self.missing
        known = len(numbers)
        highest = _rank(permyriad, known + missing) - 1
        lowest = highest - missing
        return Interval(
            numbers[_rank(permyriad, known) - 1].item(),
            numbers[lowest].item() if lowest >= 0 else None,
            numbers[highest].item() if highest < known else None,
        )


def _ascending(values: Int64s | Float64s | Bools) -> Int64s | Float64s:
    """Sort numbers; true and false become 1 and 0."""
    if values.dtype == np.float64:
        return np.sort(values.astype(np.float64))
    return np.sort(values.astype(np.int64))


def _rank(permyriad: int, count: int) -> int:
    return max(1, -(-permyriad * count // 10_000))


def _standard_deviation(numbers: Int64s | Float64s) -> float:
    """Return the standard deviation of the sample (n - 1); 0 for a single value."""
    if len(numbers) == 1:
        return 0.0
    origin = numbers[len(numbers) // 2]
    return float(np.std((numbers - origin).astype(np.float64), ddof=1))
