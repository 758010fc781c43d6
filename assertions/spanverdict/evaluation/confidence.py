"""Where a statistic of all that could have been sampled lies, at a level of confidence.

What a run observed is one sample of what the system does. The interval covers the statistic of the whole at least
about as often as its level says, whatever the distribution; it is two-sided, half of the doubt at each end. Missing
values widen it: its lower end is that of a sample in which all of them are smallest, its upper end of one in which all
are largest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Final

import numpy as np

from spanverdict.evaluation.deciding import decide
from spanverdict.evaluation.distributions import binomial_quantile, t_quantile
from spanverdict.evaluation.outcomes import Outcome
from spanverdict.evaluation.ranking import Ranking, ranking_of
from spanverdict.evaluation.sample import Interval, Sample, known_ends
from spanverdict.evaluation.shares import share_ends
from spanverdict.evaluation.wording import about
from spanverdict.rulefiles.models import Expectation
from spanverdict.rulefiles.statistic import Kind, Statistic

FEWEST_OF_MEAN: Final = 30
"""Values below which their mean says too little about a mean, unless the distribution is known."""
MOST: Final = 1_000_000_000
"""Samples beyond which nobody looks for a decision."""


def at_level(sample: Sample, statistic: Statistic, level: float) -> Interval | None:
    """Return the interval for a percentile, a share or a mean; None when there is no value to take it of."""
    found = sample.statistic(statistic)
    if found is None or statistic.kind is not Kind.PERCENTILE:
        return found if found is None else _of_size(sample, statistic.kind, found, level, sample.worth)
    size, (least, most) = int(sample.worth), sample.ends
    low, high = (Fraction(rank, size) for rank in percentile_ranks(size, _share(statistic), level))
    return Interval(found.observed, *known_ends(least.least_at(low), most.most_at(high)))


def _of_size(sample: Sample, kind: Kind, found: Interval, level: float, size: float) -> Interval:
    """Return the interval for a share or a mean, as if the sample were of this size and otherwise the same."""
    if kind is Kind.RATIO:
        return Interval(found.observed, None, None) if sample.beside else _of_share(found, level, size)
    return _of_mean(sample, found, level, size) if kind is Kind.MEAN else found


def _share(statistic: Statistic) -> Fraction:
    return Fraction(statistic.permyriad or 0, 10_000)


def percentile_ranks(size: int, share: Fraction, level: float) -> tuple[int, int]:
    """Return the ranks, from 1, of the values between which a percentile lies; 0 and size + 1 are beyond all values.

    How many values lie below a percentile is binomial, whatever their distribution (W. R. Thompson, 1936): fewer than
    `low` lie at or below it as seldom as the level allows, and as seldom `high` or more lie below it.

    >>> percentile_ranks(100, Fraction(1, 2), 0.95), percentile_ranks(50, Fraction(99, 100), 0.95)
    ((40, 61), (48, 51))
    """
    tail = (1 - level) / 2
    return binomial_quantile(tail, size, float(share)), binomial_quantile(1 - tail, size, float(share)) + 1


def _of_share(interval: Interval, level: float, size: float) -> Interval:
    assert interval.low is not None
    assert interval.high is not None
    low, _ = share_ends(float(interval.low * size), size, level)
    _, high = share_ends(float(interval.high * size), size, level)
    return Interval(interval.observed, low, high)


def _of_mean(sample: Sample, found: Interval, level: float, size: float) -> Interval:
    """Student's t: right for means of many values, whatever their distribution."""
    if found.low is None or found.high is None or size < FEWEST_OF_MEAN:
        return Interval(found.observed, None, None)
    reach = t_quantile(0.5 + level / 2, size - 1) * sample.spread / math.sqrt(size)
    return Interval(found.observed, float(found.low) - reach, float(found.high) + reach)


def what_would_decide(sample: Sample, expectation: Expectation, level: float) -> str:
    """Say how many values like those that are there would decide what these leave open."""
    population = sample.measurement.population
    if sample.beside:
        return f"{sample.beside} {population} are counted that are not part of the whole, so it is no share"
    size = deciding_size(sample, expectation, level)
    if size is not None:
        return f"about {about(size)} {population} would decide it"
    found = sample.statistic(expectation.statistic)
    if found is None or decide(expectation.condition, found) is Outcome.INCONCLUSIVE:
        return f"no number of {population} would decide it while so much is {_open(sample)}"
    if found.observed in expectation.condition.operands:
        return f"no number of {population} would decide it, as it is the limit itself"
    return f"not even {MOST:,} {population} would decide it, so close is it to the limit"


def _open(sample: Sample) -> str:
    return "missing" if len(sample.missing) else "in doubt"


def deciding_size(sample: Sample, expectation: Expectation, level: float) -> int | None:
    """Return how many values would decide, were they like those that are there; None when no number would.

    None as well beyond `MOST`. For a weighted sample it is the number of values to be kept.
    """
    statistic, found, ranking = expectation.statistic, sample.statistic(expectation.statistic), ranking_of(sample)
    if found is None or ranking is None:
        return None

    def decided(size: int) -> bool:
        if statistic.kind is Kind.PERCENTILE:
            interval = _about(found, ranking, percentile_ranks(size, _share(statistic), level), size)
        else:
            interval = _of_size(sample, statistic.kind, found, level, size)
        return decide(expectation.condition, interval) is not Outcome.INCONCLUSIVE

    size = _first(decided, max(2, math.ceil(sample.worth)))
    return None if size is None else math.ceil(size * sample.size / sample.worth)


def _about(found: Interval, ranking: Ranking, ranks: tuple[int, int], size: int) -> Interval:
    """Return about where the percentile of a larger sample would lie."""
    low, high = (np.array([rank / size]) for rank in ranks)
    least = float(ranking.least.about_at(low - ranking.missing)[0])
    most = float(ranking.most.about_at(high)[0])
    return Interval(found.observed, least if math.isfinite(least) else None, most if math.isfinite(most) else None)


def _first(decided: Callable[[int], bool], start: int) -> int | None:
    """Return about the first size that decides: doubled until it does, then halved down."""
    low = high = start
    while not decided(high):
        if high > MOST:
            return None
        low, high = high, high * 2
    while high - low > 1 and high - low > low // 1000:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high
