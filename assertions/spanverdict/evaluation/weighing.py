"""What values count on a run of which not every span was kept.

Where samplers said how many spans each kept one stands for (`paths.sampling`), shares, counts,
percentiles, sums and means count every value as often as its span stands for others. Where one
span of the population does not say, the values are taken as they are, and that is noted. What is
only right when a request has all its spans is not judged, unless the flow expects a sampled run.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Final

import numpy as np

from spanverdict.checks.check import Check, Measurement
from spanverdict.checks.count import Count
from spanverdict.checks.coverage import Coverage
from spanverdict.checks.missing import Missing
from spanverdict.checks.runview import RunView
from spanverdict.evaluation.sample import Interval, Number, Sample, as_number, deviations, total
from spanverdict.paths.sampling import Sampling
from spanverdict.rulefiles.models import Flow
from spanverdict.rulefiles.statistic import Kind, Statistic
from spanverdict.telemetry.spantable import Bools, Int64s, Rows

UNKNOWN_NOTE: Final = "sampling unknown"


def sample_of(measurement: Measurement, view: RunView) -> tuple[Sample, str]:
    """Return the sample to take statistics of, and what a reader should know of its sampling."""
    if not view.sampling.sampled.any():
        return Sample(measurement), ""
    weights = view.sampling.take(measurement.row)
    missing = view.sampling.take(_shown_by(measurement.missing, view))
    if not (weights.known.all() and missing.known.all()):
        return Sample(measurement), UNKNOWN_NOTE
    if not (weights.sampled.any() or missing.sampled.any()):
        return Sample(measurement), ""
    kept = len(weights)
    return WeightedSample(measurement, view, weights), f"{kept} kept stand for {_about(weights.total())}"


def refusal(check: Check, flow: Flow, view: RunView) -> str:
    """Say why a measure cannot be judged on a sampled run; empty when it can."""
    if flow.sampling == "expected" or not needs_every_span(check):
        return ""
    of_requests = view.request >= 0
    sampled = int((view.sampling.sampled & of_requests).sum())
    if not sampled:
        return ""
    said = f"{sampled} of {int(of_requests.sum())} spans of requests say that others were not kept"
    why = f"the run is sampled ({said}), so a request may lack spans that it had"
    return f"{why}; write `sampling: expected` in the flow to judge it all the same"


def needs_every_span(check: Check) -> bool:
    """Tell whether a measure is only right when no span of a request was left out."""
    match check:
        case Count():
            return check.per_request
        case Coverage():
            return bool(check.stages or check.services or check.no_orphans)
    return False


def _shown_by(missing: Missing, view: RunView) -> Rows:
    """Return the member that says how often each missing subject counts: its own, else its request's first, else -1."""
    of_request = np.append(view.first_member, -1)[missing.request]
    return np.where(missing.row >= 0, missing.row, of_request)


def _about(count: Fraction) -> str:
    return str(count.numerator) if count.denominator == 1 else f"about {float(count):.10g}"


@dataclass(frozen=True, eq=False)
class WeightedSample(Sample):
    """A sample in which each value counts as often as its span stands for others."""

    view: RunView
    weights: Sampling
    """(n,) of the values in the order of the measurement; all are known."""

    @cached_property
    def lacking(self) -> Fraction:
        """How many subjects those without a value stand for."""
        return self.view.sampling.take(_shown_by(self.missing, self.view)).total()

    def statistic(self, statistic: Statistic) -> Interval | None:
        """Return where a statistic lies; None when there is no value to take it of."""
        if statistic.kind is Kind.RATE:
            return self._rate(self.weights.total())
        return super().statistic(statistic)

    def _of_truths(self, kind: Kind) -> Interval | None:
        values, _ = self.by_position()
        true, known, missing = self.weights.total(values > 0), self.weights.total(self.measurement.over), self.lacking
        if kind is Kind.COUNT:
            return Interval(true, true, true + missing)
        if not known:
            return None
        return Interval(true / known, true / (known + missing), (true + missing) / (known + missing))

    def _of_numbers(self, statistic: Statistic) -> Interval:
        match statistic.kind:
            case Kind.PERCENTILE:
                return self._percentile(statistic.permyriad or 0)
            case Kind.SUM:
                value = as_number(self._sum(), self.numbers)
            case Kind.MEAN:
                value = as_number(self._sum() / self._sorted.whole, self.numbers)
            case _:
                return super()._of_numbers(statistic)
        return Interval(value, None, None) if self.lacking else Interval.point(value)

    @cached_property
    def _sorted(self) -> _Steps:
        values, valid = self.by_position()
        codes = self.weights.codes[valid][np.argsort(values[valid], kind="stable")]
        return _Steps(codes, self.weights.counts)

    def _sum(self) -> Fraction:
        codes, counts = self._sorted.codes, self._sorted.counts
        return sum((count * total(self.numbers[codes == code]) for code, count in enumerate(counts)), Fraction(0))

    def _percentile(self, permyriad: int) -> Interval:
        """Take the least value at or below which a share of all lies, as many as the values stand for."""
        steps, share = self._sorted, Fraction(permyriad, 10_000)
        observed = self.numbers[steps.first_to_reach(share * steps.whole)].item()
        return Interval(observed, self.least_at(share), self.most_at(share))

    def least_at(self, share: Fraction) -> Number | None:
        """Return the least that the value may be at or below which a share of all lies; None when nothing bounds it."""
        steps, missing = self._sorted, self.lacking
        wanted = share * (steps.whole + missing) - missing
        return self.numbers[steps.first_to_reach(wanted)].item() if wanted > 0 else None

    def most_at(self, share: Fraction) -> Number | None:
        """Return the most that it may be, likewise."""
        steps = self._sorted
        wanted = share * (steps.whole + self.lacking)
        return self.numbers[steps.first_to_reach(wanted)].item() if wanted <= steps.whole else None

    @cached_property
    def worth(self) -> float:
        """How many independent values of equal weight say as much: (Σ weight)² / Σ weight² (L. Kish, 1965)."""
        values = self.weights.take(np.flatnonzero(self.counted))
        lacking = self.view.sampling.take(_shown_by(self.missing, self.view))
        whole = values.total() + lacking.total()
        return float(whole**2 / (values.squares() + lacking.squares())) if whole else 0.0

    @property
    def counted(self) -> Bools:
        """Which values a statistic is of: those that are numbers, of truths those that a share is of."""
        if self.measurement.over is not None:
            return self.measurement.over
        return self.by_position()[1]

    @cached_property
    def spread(self) -> float:
        """The standard deviation of what the values are a sample of, the most that it may be; there has to be one."""
        weights = np.array([float(count) for count in self._sorted.counts])[self._sorted.codes]
        values = deviations(self.numbers)
        variance = np.average((values - np.average(values, weights=weights)) ** 2, weights=weights)
        freedom = 1 - (weights**2).sum() / weights.sum() ** 2
        return self._error + (math.sqrt(variance / freedom) if len(values) > 1 else 0.0)

    @property
    def _error(self) -> float:
        """How far off values in doubt are at most, as the root of their mean square."""
        bounds = self.measurement.bounds
        if bounds is None:
            return 0.0
        width = bounds.high.astype(np.float64) - bounds.low
        return math.sqrt(np.average(width**2, weights=self.weights.adjusted()))


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """Weights of ascending values, added up exactly from the least on."""

    codes: Int64s
    counts: tuple[Fraction, ...]

    @property
    def whole(self) -> Fraction:
        """All of them together."""
        return self._up_to(len(self.codes) - 1)

    def first_to_reach(self, wanted: Fraction) -> int:
        """Return the first position at which they come to `wanted`, which is not more than the whole."""
        return bisect_left(range(len(self.codes)), wanted, key=self._up_to)

    def _up_to(self, place: int) -> Fraction:
        often = np.bincount(self.codes[: place + 1], minlength=len(self.counts)).tolist()
        return sum((count * times for count, times in zip(self.counts, often, strict=True)), Fraction(0))
