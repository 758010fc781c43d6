"""How much larger a statistic is here than in a baseline, at a level of confidence.

Every function returns between what the run's statistic minus `factor` times the baseline's lies, as (low, high), None
where nothing bounds it. So `<= +10% of baseline` is a question about a factor of 1.1. `scale` asks what the interval
would be, were both samples so many times as large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.evaluation.confidence import FEWEST_OF_MEAN, percentile_ranks
from spanverdict.evaluation.distributions import normal_tail, t_quantile
from spanverdict.evaluation.ranking import Float64s, Ranking
from spanverdict.evaluation.shares import share_ends

Ends: TypeAlias = tuple[float | None, float | None]
Numbers: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.float64]

SEED: Final = 20_240_229
"""Of all resampling, so that the same spans give the same verdict."""
RESAMPLES: Final = 10_000
ROUGHLY: Final = 1_000
"""Resamples where only the size of samples is asked for."""
_EXACT_SIZE: Final = 20
"""Values on either side up to which the distribution of U is counted out."""


@dataclass(frozen=True, slots=True, eq=False)
class Resamples:
    """A percentile of many resamples of one sample, and between what each of them lies."""

    low: Float64s
    high: Float64s
    open_low: bool
    """The sample is too small to bound the percentile from below, …"""
    open_high: bool
    """… and from above."""

    def turned(self, factor: float) -> Resamples:
        """Return what is to be taken off: `factor` times the percentile, its least where most is to be left."""
        low, high = factor * self.low, factor * self.high
        if factor < 0:
            return Resamples(low, high, self.open_low, self.open_high)
        return Resamples(high, low, self.open_high, self.open_low)


def resampled(
    run: Ranking, baseline: Ranking, share: Fraction, level: float, scale: float = 1.0
) -> tuple[Resamples, Resamples]:
    """Bootstrap a percentile of the run and of the baseline (B. Efron, 1979).

    No value is drawn: of a resample of n values the one of rank r is the original's at the r-th of n uniform shares,
    which is beta-distributed. So the cost does not grow with the samples. As the true percentile lies anywhere between
    two ranks, the upper end is taken of the rank above.
    """
    random = np.random.RandomState(SEED)  # its stream is the same in every version of numpy
    own = _resampled(random, run, share, level, scale)
    return own, _resampled(random, baseline, share, level, scale)


def _resampled(
    random: np.random.RandomState, ranking: Ranking, share: Fraction, level: float, scale: float
) -> Resamples:
    size = max(1.0, ranking.worth * scale)
    rank = min(size, math.ceil(share * int(size)) or 1)
    count = RESAMPLES if scale == 1 else ROUGHLY
    low = random.beta(rank, size - rank + 1, count)
    high = random.beta(rank + 1, size - rank, count) if rank < size else np.ones(count)
    ranks = percentile_ranks(int(size), share, level)
    ends = low - ranking.missing, high
    if scale == 1:
        least, most = ranking.least.at(ends[0]), ranking.most.at(ends[1])
    else:
        least, most = ranking.least.about_at(ends[0]), ranking.most.about_at(ends[1])
    return Resamples(least, most, ranks[0] == 0, ranks[1] > int(size))


def percentile_difference(run: Resamples, baseline: Resamples, level: float, factor: float = 1.0) -> Ends:
    """Return the percentile interval of the bootstrap; an end is open where a sample is too small to bound it."""
    off = baseline.turned(factor)
    with np.errstate(invalid="ignore"):
        low, high = np.nan_to_num(run.low - off.low, nan=-np.inf), np.nan_to_num(run.high - off.high, nan=np.inf)
    tail = int((1 - level) / 2 * len(low))
    least, most = float(np.partition(low, tail)[tail]), float(-np.partition(-high, tail)[tail])
    return (
        None if run.open_low or off.open_low or not math.isfinite(least) else least,
        None if run.open_high or off.open_high or not math.isfinite(most) else most,
    )


def share_difference(run: Share, baseline: Share, level: float, *, factor: float = 1.0, scale: float = 1.0) -> Ends:
    """Combine the intervals of two shares (R. G. Newcombe, 1998, method 10; for factors Zou and Donner, 2008)."""
    least, most = (baseline.most, baseline.least) if factor >= 0 else (baseline.least, baseline.most)
    low = _combined((run.least, run.size * scale), (least, baseline.size * scale), level, factor)[0]
    return low, _combined((run.most, run.size * scale), (most, baseline.size * scale), level, factor)[1]


def _combined(
    run: tuple[float, float], baseline: tuple[float, float], level: float, factor: float
) -> tuple[float, float]:
    """Combine two observed shares, each with the size of its sample."""
    (own, size), (other, others) = run, baseline
    low, high = share_ends(own * size, size, level)
    below, above = share_ends(other * others, others, level)
    if factor < 0:
        below, above = above, below
    centre = own - factor * other
    return (
        centre - math.hypot(own - low, factor * (above - other)),
        centre + math.hypot(high - own, factor * (other - below)),
    )


@dataclass(frozen=True, slots=True)
class Share:
    """A share that was observed, the least and the most that it may be, and of how many values."""

    least: float
    most: float
    size: float


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean that was observed, the least and the most that it may be, how values vary, and how many there are."""

    least: float
    most: float
    spread: float
    size: float


def mean_difference(run: Mean, baseline: Mean, level: float, *, factor: float = 1.0, scale: float = 1.0) -> Ends:
    """Compare two means whose values may vary differently (B. L. Welch, 1947)."""
    sizes = run.size * scale, baseline.size * scale
    if min(sizes) < FEWEST_OF_MEAN:
        return None, None
    own, other = run.spread**2 / sizes[0], (factor * baseline.spread) ** 2 / sizes[1]
    scatter = own**2 / (sizes[0] - 1) + other**2 / (sizes[1] - 1)
    freedom = (own + other) ** 2 / scatter if scatter else math.inf
    reach = t_quantile(0.5 + level / 2, freedom) * math.sqrt(own + other)
    least, most = sorted((factor * baseline.least, factor * baseline.most))
    return run.least - most - reach, run.most - least + reach


@dataclass(frozen=True, slots=True)
class Shift:
    """How the values of two samples lie to each other (H. B. Mann and D. R. Whitney, 1947)."""

    u: float
    """How many of all pairs the run's value is the larger one of; equal values count half."""
    pairs: int
    p: float
    """How likely such a shift or a larger one is, to either side, when there is none."""

    @property
    def larger(self) -> float:
        """How likely a value of the run is larger than one of the baseline; 0.5 is no shift."""
        return self.u / self.pairs


def mann_whitney(run: Numbers, baseline: Numbers) -> Shift:
    """Compare two samples of numbers, neither of them empty, in any order.

    The probability is counted out when there are no equal values and at most 20 on either side; else it is that of a
    normal distribution, corrected for ties and for continuity.
    """
    n, m = len(run), len(baseline)
    ordered = np.sort(baseline)
    below, at_most = np.searchsorted(ordered, run), np.searchsorted(ordered, run, side="right")
    u = float(below.sum() + at_most.sum()) / 2
    _, ties = np.unique(np.concatenate([run, baseline]), return_counts=True)
    if max(n, m) <= _EXACT_SIZE and len(ties) == n + m:
        return Shift(u, n * m, _exact_p(u, n, m))
    deviation = shift_deviation(n, m, ties)
    away = max(0.0, abs(u - n * m / 2) - 0.5)
    return Shift(u, n * m, 2 * normal_tail(away / deviation) if deviation else 1.0)


def shift_deviation(n: int, m: int, ties: npt.NDArray[np.int64]) -> float:
    """Return the standard deviation of U without a shift; `ties` says how often each distinct value is there."""
    size = n + m
    tied = float((ties.astype(np.float64) ** 3 - ties).sum())
    return math.sqrt(max(0.0, n * m / 12 * (size + 1 - tied / (size * (size - 1)))))


def _exact_p(u: float, n: int, m: int) -> float:
    """Count the orders of n and m values in which U is as far from its middle or farther."""
    ways = np.zeros(n * m + 1)
    ways[0] = 1
    for step in range(1, n + 1):  # the ways are the coefficients of a Gaussian binomial
        _times(ways, m + step)
        _over(ways, step)
    far = int(max(u, n * m - u))
    return float(min(1.0, 2 * ways[far:].sum() / ways.sum()))


def _times(ways: Float64s, power: int) -> None:
    """Multiply a polynomial by 1 - x^power, in place."""
    ways[power:] -= ways[: len(ways) - power].copy()


def _over(ways: Float64s, power: int) -> None:
    """Divide a polynomial by 1 - x^power, in place."""
    for place in range(power, len(ways)):
        ways[place] += ways[place - power]
