"""The values a rule judges, and what is known of those that are missing or in doubt.

A subject that should have a value and has none could have had any, and one that two clocks measured
may be off by as much as these differ. So every statistic is an interval: from what it would be were
all such values smallest, to what it would be were all largest. A condition passes only if it holds
in the whole interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Final, Self, TypeAlias

import numpy as np

from spanverdict.checks.bounds import NO_HIGH, NO_LOW, Bounds
from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.missing import Missing
from spanverdict.checks.numbers import Float64s, Numbers, numbers_of
from spanverdict.rulefiles.statistic import Kind, Statistic
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int64s

Number: TypeAlias = int | float | Fraction

NS_PER_S: Final = 1_000_000_000
_HALF: Final = 32
_WIDEST: Final = 2**62
"""Whole numbers that are farther apart are not subtracted as such."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a statistic lies: `low` and `high` are None where nothing bounds it."""

    observed: Number
    """Over the values that are there, as near as they can be to what was sent."""
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
    """The numbers of a measurement, sorted, beside those that are missing."""

    measurement: Measurement

    @cached_property
    def missing(self) -> Missing:
        """What should be a number and is not there; values that are no numbers among them."""
        measurement, read = self.measurement, self._read
        if read is None:
            return measurement.missing
        return measurement.missing.also(read.missing(measurement.request, measurement.row, "have no value"))

    @cached_property
    def _read(self) -> Numbers | None:
        values = self.measurement.values
        return numbers_of(values, np.arange(len(values.codes))) if isinstance(values, AttributeColumn) else None

    @cached_property
    def numbers(self) -> Int64s | Float64s:
        """The values as numbers, ascending; true and false are 1 and 0."""
        values, valid = self.by_position()
        return _ascending(values[valid])

    @cached_property
    def ends(self) -> tuple[Self, Self]:
        """The sample with all values the least that they may be, and with all the most; itself where all are exact."""
        bounds = self.measurement.bounds
        return (self, self) if bounds is None else (self._with(bounds.low), self._with(bounds.high))

    @property
    def as_sent(self) -> Self | None:
        """The sample as the times that were sent have it, where these cannot be right; else None."""
        bounds = self.measurement.bounds
        return None if bounds is None or not bounds.corrected.any() else self._with(bounds.sent)

    def _with(self, values: Int64s | Float64s) -> Self:
        return replace(self, measurement=replace(self.measurement, values=values, bounds=None))

    def by_position(self) -> tuple[Int64s | Float64s, Bools]:
        """Return the number of each value of the measurement, and which of them there are."""
        values = self.measurement.values
        if self._read is not None:
            return self._read.values, self._read.valid
        assert not isinstance(values, AttributeColumn)
        everything = np.ones(len(values), np.bool_)
        if values.dtype == np.bool_:
            return values.astype(np.int64), everything
        return values, everything  # type: ignore[return-value] # what is left are the two kinds of numbers

    def statistic(self, statistic: Statistic) -> Interval | None:
        """Return where a statistic lies; None when there is no value to take it of."""
        measurement = self.measurement
        match statistic.kind:
            case Kind.SAMPLES:
                return Interval.point(measurement.samples)
            case Kind.RATE:
                return self._rate(Fraction(len(measurement.request)))
            case Kind.RATIO | Kind.COUNT if measurement.unit is Unit.TRUTH:
                return self._of_truths(statistic.kind)
        if not len(self.numbers):
            return None
        return (
            self._of_numbers(statistic)
            if measurement.bounds is None
            else self._of_bounds(statistic, measurement.bounds)
        )

    def _of_bounds(self, statistic: Statistic, bounds: Bounds) -> Interval:
        """All statistics but one never fall when a value grows."""
        observed = self._of_numbers(statistic).observed
        if statistic.kind is Kind.STDDEV:
            return Interval(observed, *self._deviation(bounds))
        least, most = (sample._of_numbers(statistic) for sample in self.ends)  # noqa: SLF001 - of this class
        whole = statistic.kind in (Kind.SUM, Kind.MEAN)
        return Interval(
            observed,
            *known_ends(
                None if whole and NO_LOW in bounds.low else least.low,
                None if whole and NO_HIGH in bounds.high else most.high,
            ),
        )

    def _deviation(self, bounds: Bounds) -> tuple[float | None, float | None]:
        """Bound the standard deviation, which errors of values change by their root mean square at most."""
        if len(self.missing):
            return None, None
        if NO_LOW in bounds.low or NO_HIGH in bounds.high:
            return 0.0, None
        if len(bounds.low) == 1:
            return 0.0, 0.0
        whole, width = bounds.low.dtype == np.int64, bounds.high - bounds.low
        near = _standard_deviation(_ascending(bounds.low + (width // 2 if whole else width / 2)))
        error = math.sqrt(float(np.sum((width / 2 + whole) ** 2)) / (len(width) - 1))
        return max(0.0, near - error), near + error

    def _rate(self, count: Fraction) -> Interval | None:
        """Return how many a second `count` are over the active time."""
        active = self.measurement.active_ns
        if not active:
            return None
        observed, bounds = count * NS_PER_S / active, self.measurement.active_bounds
        if bounds is None:
            return Interval.point(observed)
        least, most = int(bounds.low[0]), int(bounds.high[0])
        low = Fraction(0) if most == NO_HIGH else count * NS_PER_S / most
        return Interval(observed, low, count * NS_PER_S / least if least > 0 else None)

    def _of_truths(self, kind: Kind) -> Interval | None:
        true, known, missing = int(self.numbers.sum()), self.measurement.samples, len(self.missing)
        if kind is Kind.COUNT:
            return Interval(true, true, true + missing)
        if not known:
            return None
        total = known + missing
        return Interval(Fraction(true, known), Fraction(true, total), Fraction(true + missing, total))

    def _of_numbers(self, statistic: Statistic) -> Interval:
        numbers, missing = self.numbers, len(self.missing)
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
                value = as_number(total(numbers), numbers)
            case Kind.MEAN:
                value = as_number(total(numbers) / len(numbers), numbers)
            case _:
                value = _standard_deviation(numbers)
        return Interval(value, None, None) if missing else Interval.point(value)

    def _percentile(self, permyriad: int) -> Interval:
        """Nearest rank: of N values the one at position ceil(p/100 * N), counted from 1."""
        share = Fraction(permyriad, 10_000)
        observed = self.numbers[_rank(share, len(self.numbers)) - 1].item()
        return Interval(observed, self.least_at(share), self.most_at(share))

    def least_at(self, share: Fraction) -> Number | None:
        """Return the least that the value may be at or below which a share of all lies; None when nothing bounds it."""
        missing = len(self.missing)
        place = _rank(share, len(self.numbers) + missing) - missing
        return self.numbers[place - 1].item() if place > 0 else None

    def most_at(self, share: Fraction) -> Number | None:
        """Return the most that it may be, likewise."""
        place = _rank(share, len(self.numbers) + len(self.missing))
        return self.numbers[place - 1].item() if place <= len(self.numbers) else None

    @property
    def size(self) -> int:
        """How many values a statistic is of, the missing among them."""
        truths = self.measurement.unit is Unit.TRUTH
        return (self.measurement.samples if truths else len(self.numbers)) + len(self.missing)

    @cached_property
    def beside(self) -> int:
        """How many truths are counted as true that are no part of what a share is of."""
        over = self.measurement.over
        return 0 if over is None else int((self.by_position()[0][~over] > 0).sum())

    @cached_property
    def worth(self) -> float:
        """How many independent values of equal weight say as much."""
        return self.size

    @cached_property
    def spread(self) -> float:
        """The standard deviation of what the values are a sample of, the most that it may be; there has to be one."""
        bounds = self.measurement.bounds
        most = None if bounds is None else self._deviation(bounds)[1]
        return _standard_deviation(self.numbers) if most is None else most


def known_ends(low: Number | None, high: Number | None) -> tuple[Number | None, Number | None]:
    """Return two ends of an interval, None for one that stands for no bound."""
    return None if low == NO_LOW else low, None if high == NO_HIGH else high


def _ascending(numbers: Int64s | Float64s) -> Int64s | Float64s:
    found: Int64s | Float64s = np.sort(numbers)  # type: ignore[assignment] # the type of what is sorted stays
    return found


def _rank(share: Fraction, count: int) -> int:
    return math.ceil(share * count)


def total(numbers: Int64s | Float64s) -> Fraction:
    """Add up without losing a digit: whole numbers as integers, floats with what the sum itself leaves over."""
    if numbers.dtype == np.int64:
        return Fraction(_whole_total(numbers.astype(np.int64, copy=False)))
    values = numbers.tolist()
    near = math.fsum(values)
    return Fraction(near) + Fraction(math.fsum([*values, -near]))


def _whole_total(numbers: Int64s) -> int:
    """Add up the halves of whole numbers, whose sums cannot run over."""
    high, low = (numbers >> _HALF).sum(), (numbers & ((1 << _HALF) - 1)).sum()
    return (int(high) << _HALF) + int(low)


def as_number(exact: Fraction, numbers: Int64s | Float64s) -> Number:
    """Of floats return the nearest float, so that the mean of equal values is that value."""
    return exact if numbers.dtype == np.int64 else float(exact)


def _standard_deviation(numbers: Int64s | Float64s) -> float:
    """Return the standard deviation of the sample (n - 1), of ascending numbers; 0 for a single value."""
    return float(np.std(deviations(numbers), ddof=1)) if len(numbers) > 1 else 0.0


def deviations(numbers: Int64s | Float64s) -> Float64s:
    """Return how far ascending numbers lie from the one in the middle, so that large ones lose no digits."""
    close = numbers[-1].item() - numbers[0].item() < _WIDEST
    return (numbers - numbers[len(numbers) // 2] if close else numbers).astype(np.float64)
