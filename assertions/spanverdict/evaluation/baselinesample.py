"""What one rule measured in a run that others are compared with: numbers, truths, categories.

It is a `Sample` without the run it was taken of, small enough to be kept with a verdict. Up to
`MAX_NUMBERS` numbers are all kept. Of more, every percentile that a rule can ask for is kept exactly
(nearest rank, in steps of 0.01 %), and sum and standard deviation as they were: so what a condition
compares with is exact however many values there were.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.checks.bounds import NO_HIGH, NO_LOW
from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.missing import Missing
from spanverdict.evaluation.sample import Interval, Number, Sample
from spanverdict.evaluation.weighing import WeightedSample
from spanverdict.rulefiles.statistic import Kind, Statistic
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.spantable import AttributeColumn, Int64s

Float64s: TypeAlias = npt.NDArray[np.float64]

MAX_NUMBERS: Final = 30_000
"""Numbers that are kept as they are; of more, not more than so many are."""
MAX_CATEGORIES: Final = 1_000
"""Distinct values that are counted; of a measure with more of them none are."""
_WHOLE: Final = 10_000
"""Percentiles are asked for in steps of one of so many."""
_STATISTICS: Final = (Kind.SUM, Kind.MEAN, Kind.STDDEV)


@dataclass(frozen=True, slots=True)
class Truths:
    """How many values were true: the terms of `ratio` and `count`. A weighted value counts as its weight."""

    true: Fraction
    known: Fraction
    """What a share is of."""
    missing: Fraction

    def statistic(self, kind: Kind) -> Interval | None:
        """Return where a statistic lies; None when there is nothing to take it of."""
        if kind is Kind.COUNT:
            return Interval(self.true, self.true, self.true + self.missing)
        if kind is not Kind.RATIO or not self.known:
            return None
        whole = self.known + self.missing
        return Interval(self.true / self.known, self.true / whole, (self.true + self.missing) / whole)


@dataclass(frozen=True, eq=False)
class BaselineSample:
    """The values of one rule, or of one group of a rule with `per`."""

    definition: str
    """Of the rule's measure and population; others measure something else."""
    unit: Unit
    samples: int
    """How many values were judged."""
    numbers: Int64s | Float64s
    """Ascending: all of them, or of a thinned sample those at the ranks that percentiles ask for."""
    counted: int
    """How many numbers there were."""
    missing: int = 0
    """How many subjects should have had a number and had none."""
    ends: tuple[Int64s | Float64s, Int64s | Float64s] | None = None
    """The least and the most that the numbers may be, likewise; None where they are exact."""
    truths: Truths | None = None
    """Of a measure that is true or false."""
    categories: Mapping[str, int] = field(default_factory=dict)
    """Of a measure of any type: how often each value was there, as JSON text; empty beyond `MAX_CATEGORIES`."""
    problem: str = ""
    """Why some values cannot be right; a pass against them would not stand."""
    settled: Mapping[str, Interval] = field(default_factory=dict)
    """By statistic, what the rest no longer tells: a rate; sum, mean and deviation of what is thinned or in doubt."""
    live: Sample | None = None
    """The sample itself, where it is at hand; it is not kept."""

    @property
    def thinned(self) -> bool:
        """Tell whether `numbers` are only the ranks that percentiles ask for."""
        return len(self.numbers) < self.counted

    def statistic(self, statistic: Statistic) -> Interval | None:
        """Return where a statistic lies; None when there is no value to take it of."""
        if self.live is not None:
            return self.live.statistic(statistic)
        if statistic.kind is Kind.SAMPLES:
            return Interval.point(self.samples)
        if statistic.name in self.settled:
            return self.settled[statistic.name]
        if self.truths is not None:
            return self.truths.statistic(statistic.kind)
        if not self.counted:
            return None
        return self._whole.statistic(statistic) if statistic.kind in _STATISTICS else self._ranked(statistic)

    @cached_property
    def _whole(self) -> Sample:
        """All numbers, which are exact and were not thinned, as a sample."""
        nobody = np.full(self.counted, -1, np.intp)
        lacking = Missing.of_requests(np.full(self.missing, -1, np.intp), "are missing")
        return Sample(Measurement(Unit.NUMBER, self.numbers, "values", nobody, nobody, lacking))

    def _ranked(self, statistic: Statistic) -> Interval:
        known, missing = self.counted, self.missing
        if statistic.kind is Kind.MIN:
            return self._between(0, None if missing else 0, 0)
        if statistic.kind is Kind.MAX:
            return self._between(known - 1, known - 1, None if missing else known - 1)
        permyriad = statistic.permyriad or 0
        highest = rank(permyriad, known + missing) - 1
        lowest = highest - missing
        place = rank(permyriad, known) - 1
        return self._between(place, lowest if lowest >= 0 else None, highest if highest < known else None)

    def _between(self, place: int, lowest: int | None, highest: int | None) -> Interval:
        """Return the number at a place of all of them, and those that it lies between; None is no end."""
        lows, highs = self.ends or (self.numbers, self.numbers)
        least = None if lowest is None else self._at(lows, lowest)
        most = None if highest is None else self._at(highs, highest)
        open_ = (NO_LOW, NO_HIGH) if self.ends else (None, None)
        return Interval(
            self._at(self.numbers, place), None if least == open_[0] else least, None if most == open_[1] else most
        )

    def _at(self, numbers: Int64s | Float64s, place: int) -> Number:
        """Return the number at a place of all of them, one of those that were kept."""
        kept = int(np.searchsorted(kept_places(self.counted, self.missing), place)) if self.thinned else place
        found: int | float = numbers[kept].item()
        return found


def rank(permyriad: int, count: int) -> int:
    """Return the nearest rank of a percentile among so many values, from 1."""
    return max(1, -(-permyriad * count // _WHOLE))


@lru_cache(maxsize=32)
@lru_cache(maxsize=64)
def kept_places(counted: int, missing: int) -> Int64s:
    """Return the places, ascending from 0, of the numbers that percentiles of such a sample can be, or lie between."""
    steps = np.arange(1, _WHOLE, dtype=np.int64)
    of_known = -(-steps * counted // _WHOLE) - 1
    highest = -(-steps * (counted + missing) // _WHOLE) - 1
    places = np.concatenate([[0, counted - 1], of_known, highest, highest - missing])
    found = ascending(places[(places >= 0) & (places < counted)])
    found.flags.writeable = False  # it is shared
    return found


def kept_sample(sample: Sample, definition: str) -> BaselineSample | None:
    """Return what is kept of a sample so that later runs can be compared with it; None when nothing can be.

    Numbers that are weighed (see `weighing`) are not kept.
    """
    measurement, truth = sample.measurement, sample.measurement.unit is Unit.TRUTH
    if isinstance(sample, WeightedSample) and not truth:
        return None
    found = live_sample(sample, definition)
    if truth:
        return replace(found, settled=_settled(sample, (Kind.RATE,)), live=None)
    thin, ends = found.counted > MAX_NUMBERS, measurement.bounds and sample.ends
    places = kept_places(found.counted, found.missing) if thin else slice(None)
    return replace(
        found,
        numbers=found.numbers[places],
        ends=(ends[0].numbers[places], ends[1].numbers[places]) if ends else None,
        settled=_settled(sample, _STATISTICS) if thin or ends else {},
        live=None,
    )


def live_sample(sample: Sample, definition: str) -> BaselineSample:
    """Return all of a sample, for a comparison within one run."""
    measurement, truth = sample.measurement, sample.measurement.unit is Unit.TRUTH
    numbers = np.zeros(0, np.int64) if truth else sample.numbers
    return BaselineSample(
        definition,
        measurement.unit,
        measurement.samples,
        numbers,
        len(numbers),
        0 if truth else len(sample.missing),
        truths=_truths(sample) if truth else None,
        categories=categories_of(measurement.values) if isinstance(measurement.values, AttributeColumn) else {},
        problem=problem_of(sample),
        live=sample,
    )


def _settled(sample: Sample, kinds: Iterable[Kind]) -> dict[str, Interval]:
    found = ((kind, sample.statistic(Statistic(kind, kind))) for kind in kinds)
    return {str(kind): interval for kind, interval in found if interval is not None}


def _truths(sample: Sample) -> Truths:
    measurement, values = sample.measurement, sample.by_position()[0] > 0
    if isinstance(sample, WeightedSample):
        return Truths(sample.weights.total(values), sample.weights.total(measurement.over), sample.lacking)
    return Truths(*map(Fraction, (int(values.sum()), measurement.samples, len(sample.missing))))


def categories_of(column: AttributeColumn) -> dict[str, int]:
    """Count the values of a column, by their JSON text in its order; nothing when there are too many kinds."""
    codes, counts = np.unique(column.codes[column.codes >= 0], return_counts=True)
    if len(codes) > MAX_CATEGORIES:
        return {}
    found: dict[str, int] = {}
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        value = column.values[code]
        whole = isinstance(value, float) and value.is_integer()
        text = json.dumps(int(value) if whole else value, default=str, sort_keys=True)
        found[text] = found.get(text, 0) + count
    return dict(sorted(found.items()))


def problem_of(sample: Sample) -> str:
    """Say why some values of a sample cannot be right; empty when all may be."""
    measurement = sample.measurement
    of_numbers = sample.missing.impossible() if isinstance(measurement.values, AttributeColumn) else ""
    return measurement.problem or of_numbers
