"""A condition on drift: judged where there are enough values for it to mean something, else said how many would do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.golden import GoldenFile
from spanverdict.checks.missing import Missing
from spanverdict.checks.output import Output
from spanverdict.evaluation import drift
from spanverdict.evaluation.baselines import Baseline
from spanverdict.evaluation.baselinesample import BaselineSample, categories_of, live_sample
from spanverdict.evaluation.deciding import decide
from spanverdict.evaluation.differences import mann_whitney
from spanverdict.evaluation.drift import Counts, Drift
from spanverdict.evaluation.outcomes import BaselineOrigin, ConditionResult, Outcome
from spanverdict.evaluation.ranking import Ranking, ranking_of
from spanverdict.evaluation.sample import Interval, Sample
from spanverdict.evaluation.weighing import WeightedSample
from spanverdict.evaluation.wording import NOTHING, about
from spanverdict.rulefiles.conditions import Condition
from spanverdict.rulefiles.drift import MEASURES
from spanverdict.rulefiles.models import Expectation, Rule
from spanverdict.telemetry.spantable import AttributeColumn

_WIDENING: Final = {"ks": 1, "tv": 1, "shift": 2}
"""How much of a distance one part of missing values may be; of the others any."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """Drift, of how many values here and there it is, and which part of both is missing."""

    drift: Drift
    here: float
    there: float
    missing: float
    freedom: int = 1
    """Of categories: how many more than one there are."""

    @property
    def scatter(self) -> float:
        return 1 / self.here + 1 / self.there


def judge_drift(sample: Sample, baseline: BaselineSample, expectation: Expectation) -> ConditionResult:
    """Judge how far the values are from those of a baseline."""
    name, condition = expectation.statistic.drift, expectation.condition
    of = _of_numbers if MEASURES[name].of_numbers else _of_categories
    found = of(name, sample, baseline)
    if isinstance(found, str):
        return ConditionResult("drift", str(condition), NOTHING, None, Outcome.INCONCLUSIVE, found)
    needed = _needed(name, found, condition)
    interval = _interval(name, found)
    outcome = _outcome(condition, found, interval, enough=found.scatter <= needed)
    said = [found.drift.most]
    if found.drift.floor:
        said.append(f"unchanged values come to {found.drift.floor:.3g} by chance")
    if found.scatter > needed and outcome is Outcome.INCONCLUSIVE:
        said.append(_would_do(needed, found.there, sample.measurement.population))
    if found.missing and outcome is Outcome.INCONCLUSIVE:
        said.append(f"{100 * found.missing:.3g} % of both are missing")
    return ConditionResult(
        "drift", str(condition), _text(found.drift.value, condition), found.drift.value, outcome, ", ".join(said),
        None if interval.low is None else float(interval.low), None if interval.high is None else float(interval.high),
    )  # fmt: skip


def golden_baseline(rule: Rule) -> Baseline | None:
    """Return the golden values that a rule compares all together with; None when it has none."""
    check = rule.check
    if not isinstance(check, Output) or check.golden is None or not check.together:
        return None
    file = check.golden.file
    return Baseline(BaselineOrigin(file.name), everywhere=golden_sample(file, check.values[0][0]))


def golden_sample(file: GoldenFile, name: str) -> BaselineSample:
    """Return the golden values of one name, as if a run had given them."""
    values = file.values(name)
    distinct = list(dict.fromkeys((type(value), value) for value in values))
    codes = {key: code for code, key in enumerate(distinct)}
    column = AttributeColumn(
        np.array([codes[type(value), value] for value in values], np.int32), tuple(value for _, value in distinct)
    )
    nobody = np.full(len(values), -1, np.intp)
    return live_sample(Sample(Measurement(Unit.ANY, column, "values", nobody, nobody, Missing.none())), "")


def _of_numbers(name: str, sample: Sample, baseline: BaselineSample) -> _Measured | str:
    here, there = ranking_of(sample), ranking_of(baseline)
    if here is None:
        return "no value is a number"
    if there is None:
        return "the baseline has no numbers"
    sizes = _known(here), _known(there)
    scatter = 1 / sizes[0] + 1 / sizes[1]
    match name:
        case "ks":
            found = drift.kolmogorov_smirnov(here.least, there.least, scatter)
        case "psi":
            found = drift.stability_index(here.least, there.least, sizes)
        case _:
            found = drift.shift(here.least, there.least, scatter)
            found = replace(found, most=f"{found.most}{_chance_of_shift(sample, baseline)}")
    return _Measured(found, *sizes, here.missing + there.missing)


def _chance_of_shift(sample: Sample, baseline: BaselineSample) -> str:
    """Say how likely such a shift is without any, where the values themselves are at hand and of equal weight."""
    there = baseline.numbers if baseline.live is None else baseline.live.numbers
    weighted = isinstance(sample, WeightedSample) or isinstance(baseline.live, WeightedSample)
    return "" if weighted or baseline.thinned else f" (Mann-Whitney: p = {mann_whitney(sample.numbers, there).p:.2g})"


def _known(ranking: Ranking) -> float:
    return ranking.worth * (1 - ranking.missing)


def _of_categories(name: str, sample: Sample, baseline: BaselineSample) -> _Measured | str:
    values = sample.measurement.values
    assert isinstance(values, AttributeColumn)
    if sample.worth < sample.size * (1 - 1e-9):
        return "categories of values with unequal weight are not counted"
    own, other = categories_of(values), baseline.categories
    if not own or not other:
        return f"{'there are' if not own else 'the baseline has'} no categories, or more of them than are counted"
    names = tuple(sorted({*own, *other}))
    here, there = _counts(own, names), _counts(other, names)
    measure = drift.total_variation if name == "tv" else drift.chi_square
    missing = len(sample.measurement.missing) / (here.sum() + len(sample.measurement.missing))
    lacking = max(0, baseline.missing - (int(there.sum()) - baseline.counted))
    freedom = max(1, drift.pooled_rare(here, there).shape[1] - 1)
    missing += lacking / (there.sum() + lacking)
    return _Measured(measure(here, there, names), float(here.sum()), float(there.sum()), float(missing), freedom)


def _counts(categories: Mapping[str, int], names: tuple[str, ...]) -> Counts:
    return np.array([categories.get(name, 0) for name in names], np.int64)


def _interval(name: str, found: _Measured) -> Interval:
    """Return where the drift lies, whatever the missing values are."""
    value = found.drift.value
    if not found.missing:
        return Interval.point(value)
    if name not in _WIDENING:
        return Interval(value, None, None)
    reach = _WIDENING[name] * found.missing
    return Interval(value, max(0.0, value - reach), min(1.0, value + reach))


def _needed(name: str, found: _Measured, condition: Condition) -> float:
    """Return the scatter from which down the statistic means something."""
    limit = _limit(condition)
    if MEASURES[name].likelihood:
        return drift.scatter_to_find(limit, found.freedom)
    if not found.drift.floor:
        return found.scatter
    times = limit / found.drift.floor
    return found.scatter * (times if name == "psi" else times**2)


def _outcome(condition: Condition, found: _Measured, interval: Interval, *, enough: bool) -> Outcome:
    """Too few values never pass, and fail only by more than chance would explain, which a likelihood has in it."""
    outcome = decide(condition, interval)
    by_chance = 0 < found.drift.value <= found.drift.floor
    surely_failed = outcome is Outcome.FAILED and not by_chance
    return outcome if enough or surely_failed else Outcome.INCONCLUSIVE


def _limit(condition: Condition) -> float:
    (limit,) = condition.operands
    return float(limit)


def _would_do(needed: float, there: float, population: str) -> str:
    room = needed - 1 / there
    if room > 0:
        return f"about {about(math.ceil(1 / room))} {population} would do against this baseline of {round(there):,}"
    return f"about {about(math.ceil(2 / needed))} values in both would do"


def _text(value: float, condition: Condition) -> str:
    """Write drift with four digits, with all where these look like the limit that it misses."""
    text = f"{value:.4g}"
    return repr(value) if not condition.holds(value) and text == f"{_limit(condition):.4g}" else text
