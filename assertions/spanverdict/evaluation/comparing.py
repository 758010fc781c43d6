"""A condition that is relative to a baseline, judged at a level of confidence: by the interval of the difference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Final

from spanverdict.evaluation.baselinesample import BaselineSample
from spanverdict.evaluation.deciding import both, decide_above
from spanverdict.evaluation.differences import (
    Ends,
    Mean,
    Resamples,
    Share,
    mean_difference,
    percentile_difference,
    resampled,
    share_difference,
)
from spanverdict.evaluation.outcomes import Outcome
from spanverdict.evaluation.ranking import Ranking, ranking_of
from spanverdict.evaluation.sample import Interval, Sample
from spanverdict.evaluation.wording import about
from spanverdict.rulefiles.conditions import Condition, Operator
from spanverdict.rulefiles.relative import Delta
from spanverdict.rulefiles.statistic import Kind, Statistic

_DEVIATION: Final = Statistic(Kind.STDDEV, Kind.STDDEV)
_FEW: Final = 10
"""Times below which a fraction matters."""
MOST_TIMES: Final = 1_000_000
"""Nobody looks for a decision in samples that many times larger."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """One statistic of a sample and of its baseline; there is a value of both."""

    sample: Sample
    baseline: BaselineSample
    statistic: Statistic
    level: float

    def outcome(self, condition: Condition, scale: float = 1.0) -> Outcome:
        """Judge a relative condition, as if both samples were `scale` times as large."""
        outcome = Outcome.PASSED
        for operator, delta in _limits(condition):
            found = decide_above(operator, self.difference(self._factor(delta), scale), _amount(delta))
            outcome = both(outcome, found)
        return outcome

    def difference(self, factor: float = 1.0, scale: float = 1.0) -> Interval:
        """Return where the statistic minus `factor` times the baseline's lies."""
        here, there = self._intervals
        observed = float(here.observed) - factor * float(there.observed)
        return Interval(observed, *self._ends(factor, scale))

    def what_would_decide(self, condition: Condition) -> str:
        """Say how many times as many values in both would decide what these leave open."""
        if not _worth(self.baseline):
            return "of the baseline only statistics are known, and no values"
        low = high = 1.0
        while self.outcome(condition, high) is Outcome.INCONCLUSIVE:
            if high > MOST_TIMES:
                return "no number of samples like these would decide it"
            low, high = high, high * 2
        while high - low > high / 20:
            middle = (low + high) / 2
            low, high = (low, middle) if self.outcome(condition, middle) is not Outcome.INCONCLUSIVE else (middle, high)
        times = about(math.ceil(high)) if high > _FEW else f"{high:.2g}"
        return f"about {times} times as many in both would decide it"

    def _factor(self, delta: Delta) -> float:
        """Return how often the baseline is taken: of what is negative a part is positive."""
        sign = -1 if self._intervals[1].observed < 0 else 1
        return float(1 + sign * delta.amount) if delta.relative else 1.0

    @cached_property
    def _intervals(self) -> tuple[Interval, Interval]:
        here, there = self.sample.statistic(self.statistic), self.baseline.statistic(self.statistic)
        assert here is not None
        assert there is not None
        return here, there

    def _ends(self, factor: float, scale: float) -> Ends:
        match self.statistic.kind:
            case Kind.RATIO:
                own, other = self._shares
                if self.sample.beside or max(own.most, other.most) > 1 or not other.size:
                    return None, None  # quotients, or of who knows how many
                return share_difference(own, other, self.level, factor=factor, scale=scale)
            case Kind.MEAN:
                means = self._means
                if means is None:
                    return None, None
                return mean_difference(*means, self.level, factor=factor, scale=scale)
        samples = self._resampled if scale == 1 else self._resample(scale)
        return (None, None) if samples is None else percentile_difference(*samples, self.level, factor)

    @cached_property
    def _resampled(self) -> tuple[Resamples, Resamples] | None:
        return self._resample(1.0)

    def _resample(self, scale: float) -> tuple[Resamples, Resamples] | None:
        share = Fraction(self.statistic.permyriad or 0, 10_000)
        return None if self._rankings is None else resampled(*self._rankings, share, self.level, scale)

    @cached_property
    def _rankings(self) -> tuple[Ranking, Ranking] | None:
        own, other = ranking_of(self.sample), ranking_of(self.baseline)
        return None if own is None or other is None else (own, other)

    @cached_property
    def _shares(self) -> tuple[Share, Share]:
        here, there = self._intervals
        return _share(here, self.sample.worth), _share(there, _worth(self.baseline))

    @cached_property
    def _means(self) -> tuple[Mean, Mean] | None:
        here, there = self._intervals
        scatter = self.baseline.statistic(_DEVIATION)
        if None in (here.low, here.high, there.low, there.high) or scatter is None or scatter.high is None:
            return None
        spread = self.baseline.live.spread if self.baseline.live is not None else float(scatter.high)
        return _mean(here, self.sample.spread, self.sample.worth), _mean(there, spread, _worth(self.baseline))


def _limits(condition: Condition) -> Iterator[tuple[Operator, Delta]]:
    if condition.operator is Operator.WITHIN:
        yield Operator.AT_LEAST, condition.deltas[0]
        yield Operator.AT_MOST, condition.deltas[1]
    else:
        yield condition.operator, condition.deltas[0]


def _amount(delta: Delta) -> Fraction:
    return Fraction(0) if delta.relative else delta.amount


def _share(interval: Interval, size: float) -> Share:
    assert interval.low is not None
    assert interval.high is not None
    return Share(float(interval.low), float(interval.high), size)


def _mean(interval: Interval, spread: float, size: float) -> Mean:
    assert interval.low is not None
    assert interval.high is not None
    return Mean(float(interval.low), float(interval.high), spread, size)


def _worth(baseline: BaselineSample) -> float:
    """Return how many independent values a baseline is worth; of a kept one no more than were judged."""
    if baseline.live is not None:
        return baseline.live.worth
    if baseline.truths is None:
        return baseline.counted + baseline.missing
    truths = baseline.truths
    return float(min(Fraction(baseline.samples), truths.known) * (truths.known + truths.missing) / truths.known)
