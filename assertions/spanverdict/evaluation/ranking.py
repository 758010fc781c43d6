"""Numbers in their order, and how much of a sample lies at or below each: what resamples and drift are read from.

All kinds of samples come to this: whole and thinned ones, weighted ones, with missing values and values in doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.checks.bounds import NO_HIGH, NO_LOW
from spanverdict.evaluation.baselinesample import BaselineSample, kept_places
from spanverdict.evaluation.sample import Sample
from spanverdict.evaluation.weighing import WeightedSample
from spanverdict.telemetry.spantable import Int64s

Float64s: TypeAlias = npt.NDArray[np.float64]


_ROUNDING: Final = 1e-12
"""Of shares that are added up."""


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """Ascending numbers, each with the share of the sample that lies at or below it. Both are (n,)."""

    values: Float64s
    reach: Float64s
    """Ascending to 1, or to less where values are missing."""

    def at(self, share: Float64s) -> Float64s:
        """Return the least number at or below which so much lies; -inf for nothing, inf beyond all that is known."""
        place = np.searchsorted(self.reach, share)
        found = np.where(place < len(self.values), self.values[np.minimum(place, len(self.values) - 1)], np.inf)
        return np.where(share > 0, found, -np.inf)

    def about_at(self, share: Float64s) -> Float64s:
        """Return `at` as a larger sample like this one might have it: with numbers between those that are there."""
        middles = self.reach - np.diff(self.reach, prepend=0) / 2
        found = np.interp(share, middles, self.values)
        return np.where(share > 0, np.where(share > self.reach[-1] * (1 + _ROUNDING), np.inf, found), -np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The numbers of a sample, as the least and as the most that they may be."""

    least: Ladder
    most: Ladder
    missing: float
    """Which part of the sample has no number."""
    worth: float
    """How many independent values of equal weight say as much, the missing among them."""

    def between(self, share: Float64s) -> tuple[Float64s, Float64s]:
        """Return between which numbers those lie at or below which such shares of the sample are."""
        return self.least.at(share - self.missing), self.most.at(share)

    @property
    def exact(self) -> bool:
        """Tell whether every number is known and none is missing."""
        return not self.missing and self.least is self.most


def ranking_of(sample: Sample | BaselineSample) -> Ranking | None:
    """Return the ranking of the numbers of a sample; None when it has none."""
    if isinstance(sample, BaselineSample):
        return _of_baseline(sample) if sample.live is None else ranking_of(sample.live)
    if not len(sample.numbers):
        return None
    if isinstance(sample, WeightedSample):
        whole = sample.weights.total(sample.counted) + sample.lacking
        least, most = (_weighted(end, float(whole)) for end in sample.ends)
        return Ranking(least, most, float(sample.lacking / whole), sample.worth)
    return _of_numbers(sample.numbers, [end.numbers for end in sample.ends], len(sample.missing))


def _of_numbers(numbers: Int64s | Float64s, ends: list[Int64s | Float64s], missing: int) -> Ranking:
    size = len(numbers) + missing
    reach = np.arange(1, len(numbers) + 1) / size
    return _of_ends(ends[0], ends[1], reach, missing / size, size)


def _of_baseline(sample: BaselineSample) -> Ranking | None:
    if not sample.counted:
        return None
    size = sample.counted + sample.missing
    places = kept_places(sample.counted, sample.missing) if sample.thinned else np.arange(sample.counted)
    least, most = sample.ends or (sample.numbers, sample.numbers)
    return _of_ends(least, most, (places + 1) / size, sample.missing / size, size)


def _of_ends(least: Int64s | Float64s, most: Int64s | Float64s, reach: Float64s, missing: float, size: int) -> Ranking:
    low = Ladder(_open(least), reach)
    return Ranking(low, low if most is least else Ladder(_open(most), reach), missing, size)


def _weighted(sample: WeightedSample, whole: float) -> Ladder:
    values, valid = sample.by_position()
    order = np.argsort(values[valid], kind="stable")
    weights = sample.weights.adjusted()[valid][order]
    return Ladder(_open(values[valid][order]), np.cumsum(weights) / whole)


def _open(numbers: Int64s | Float64s) -> Float64s:
    """Return numbers as floats; what stands for no bound is infinite."""
    found = numbers.astype(np.float64)
    if numbers.dtype == np.int64:
        found[numbers == NO_LOW], found[numbers == NO_HIGH] = -np.inf, np.inf
    return found
