"""One line of `expect` against a sample: decided, and put into words."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spanverdict.evaluation.baselinesample import BaselineSample, problem_of
from spanverdict.evaluation.comparing import Comparison
from spanverdict.evaluation.confidence import at_level, what_would_decide
from spanverdict.evaluation.deciding import decide, decide_against
from spanverdict.evaluation.drifting import judge_drift
from spanverdict.evaluation.outcomes import ConditionResult, Outcome
from spanverdict.evaluation.sample import Interval, Sample
from spanverdict.evaluation.valuewise import answers
from spanverdict.evaluation.wording import (
    NOTHING,
    compared_texts,
    difference_text,
    level_text,
    machine_end,
    machine_value,
    number_text,
    observed_text,
)
from spanverdict.rulefiles.drift import MEASURES
from spanverdict.rulefiles.models import Expectation
from spanverdict.rulefiles.statistic import QUANTIFIERS, Kind, Quantity, Statistic
from spanverdict.telemetry.spantable import Bools


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges the expectations of one rule on one sample."""

    sample: Sample
    baseline: BaselineSample | str = "there is no baseline"
    """What relative conditions compare with, or why there is nothing."""
    level: float | None = None
    """Of the confidence to judge with, 0..1; None judges what was observed."""

    def judge(self, expectation: Expectation) -> ConditionResult:
        """Judge one expectation."""
        if expectation.statistic.kind in QUANTIFIERS:
            return self._quantified(expectation)
        if expectation.statistic.kind is Kind.DRIFT:
            return self._drifted(expectation)
        interval = self._interval(expectation.statistic)
        if interval is None:
            return self._result(expectation, Outcome.INCONCLUSIVE, None, "nothing to take it of")
        if expectation.condition.deltas:
            return self._compared(expectation, interval)
        outcome = decide(expectation.condition, interval)
        if expectation.statistic.kind is not Kind.SAMPLES:
            return self._settled(expectation, outcome, interval)
        if outcome is Outcome.FAILED:
            return self._result(expectation, Outcome.INCONCLUSIVE, interval, "not enough to judge by")
        return self._result(expectation, outcome, interval, "")

    def _compared(self, expectation: Expectation, interval: Interval) -> ConditionResult:
        """Judge a condition that is relative to the baseline; without one nothing can be said."""
        baseline = self.baseline
        if not isinstance(baseline, BaselineSample):
            return self._result(expectation, Outcome.INCONCLUSIVE, interval, baseline)
        limit = baseline.statistic(expectation.statistic)
        if limit is None:
            return self._result(expectation, Outcome.INCONCLUSIVE, interval, "the baseline has nothing to take it of")
        if self.level is None or expectation.statistic.kind is Kind.SAMPLES:
            outcome = decide_against(expectation.condition, interval, limit)
            uncertain = outcome is Outcome.INCONCLUSIVE or (self.clocks and not interval.certain)
            note = self._doubt_of_two(expectation, interval, limit) if uncertain else ""
        else:
            outcome, note = self._difference(expectation, baseline, self.level)
        if outcome is Outcome.PASSED and (problem := self.problem or _in_baseline(baseline.problem)):
            outcome, note = Outcome.INCONCLUSIVE, problem
        if outcome is Outcome.FAILED and expectation.statistic.kind is Kind.SAMPLES:
            outcome, note = Outcome.INCONCLUSIVE, "not enough to judge by"
        values = interval.observed, limit.observed
        observed, text = compared_texts(*values, expectation.condition, self._quantity(expectation))
        result = self._result(expectation, outcome, interval, note)
        return replace(result, observed=observed, baseline=text, baseline_value=machine_value(limit.observed))

    def _difference(self, expectation: Expectation, baseline: BaselineSample, level: float) -> tuple[Outcome, str]:
        """Judge by the interval of the difference; say what it is, and of doubt what would decide."""
        comparison = Comparison(self.sample, baseline, expectation.statistic, level)
        outcome = comparison.outcome(expectation.condition)
        said = difference_text(level, comparison.difference(), self._quantity(expectation))
        if outcome is not Outcome.INCONCLUSIVE:
            return outcome, said
        missing = len(self.sample.missing)
        lacking = [self._missing_note(missing) if missing else "", self.clocks]
        return outcome, _joined(said, *lacking, comparison.what_would_decide(expectation.condition))

    def _drifted(self, expectation: Expectation) -> ConditionResult:
        """Judge how far the values are from those of the baseline; without one nothing can be said."""
        baseline = self.baseline
        if not isinstance(baseline, BaselineSample):
            return self._result(expectation, Outcome.INCONCLUSIVE, None, baseline)
        result = judge_drift(self.sample, baseline, expectation)
        of_any = not MEASURES[expectation.statistic.drift].of_numbers
        problem = self.sample.measurement.problem if of_any else self.problem or _in_baseline(baseline.problem)
        if result.outcome is Outcome.PASSED and problem:
            return replace(result, outcome=Outcome.INCONCLUSIVE, note=_joined(result.note, problem))
        return result

    def _doubt_of_two(self, expectation: Expectation, interval: Interval, limit: Interval) -> str:
        """Say what is not certain: what is compared, the baseline, or both."""
        own = [] if interval.certain else [self._doubt(expectation, interval)]
        others = [] if limit.certain else [f"in the baseline it lies {self._span(expectation, limit)}"]
        return "; ".join(own + others)

    def _span(self, expectation: Expectation, interval: Interval) -> str:
        quantity = self._quantity(expectation)
        ends = ["unknown" if end is None else number_text(end, quantity) for end in (interval.low, interval.high)]
        return f"between {ends[0]} and {ends[1]}"

    def _settled(self, expectation: Expectation, outcome: Outcome, interval: Interval) -> ConditionResult:
        """A pass does not stand where values cannot be right; doubt is explained."""
        problem = self.problem
        if self.level is not None:
            return self._at_level(expectation, outcome, interval, self.level)
        if outcome is Outcome.PASSED and problem:
            return self._result(expectation, Outcome.INCONCLUSIVE, interval, problem)
        uncertain = outcome is Outcome.INCONCLUSIVE or (self.clocks and not interval.certain)
        note = self._doubt(expectation, interval) if uncertain else ""
        return self._result(expectation, outcome, interval, note)

    def _interval(self, statistic: Statistic) -> Interval | None:
        if self.level is None or statistic.kind is Kind.SAMPLES:
            return self.sample.statistic(statistic)
        return at_level(self.sample, statistic, self.level)

    def _at_level(
        self, expectation: Expectation, outcome: Outcome, interval: Interval, level: float
    ) -> ConditionResult:
        """Say of every outcome what the interval is, and of doubt what would decide."""
        notes = [level_text(level, interval, expectation.condition, self._quantity(expectation))]
        if outcome is Outcome.PASSED and self.problem:
            return self._result(expectation, Outcome.INCONCLUSIVE, interval, _joined(*notes, self.problem))
        if outcome is Outcome.INCONCLUSIVE:
            missing = len(self.sample.missing)
            notes += [self._missing_note(missing) if missing else "", self.clocks]
            notes += [what_would_decide(self.sample, expectation, level)]
        return self._result(expectation, outcome, interval, _joined(*notes))

    @property
    def problem(self) -> str:
        """Why a pass would not stand; empty when it would."""
        return problem_of(self.sample)

    @property
    def clocks(self) -> str:
        """What the clocks behind the values leave in doubt; empty when they leave nothing."""
        bounds = self.sample.measurement.bounds or self.sample.measurement.active_bounds
        return "" if bounds is None else bounds.note()

    def _quantified(self, expectation: Expectation) -> ConditionResult:
        """Judge `every`, `any` or `none`; any type of value is one."""
        measurement = self.sample.measurement
        good, bad = (int(marks.sum()) for marks in self.sure(expectation))
        known, missing = len(measurement.request), len(measurement.missing)
        said = f"{good} of {known} hold"
        match expectation.statistic.kind:
            case Kind.EVERY:
                sure, otherwise = Outcome.FAILED if bad else None, Outcome.PASSED
                said = f"{bad} of {known} do not hold" if bad else said
            case Kind.ANY:
                sure, otherwise = Outcome.PASSED if good else None, Outcome.FAILED
            case _:
                sure, otherwise = Outcome.FAILED if good else None, Outcome.PASSED
        doubtful = known - good - bad
        outcome = sure or (Outcome.INCONCLUSIVE if missing or doubtful else otherwise)
        note = self._open_note(missing, doubtful) if outcome is Outcome.INCONCLUSIVE else ""
        if outcome is Outcome.PASSED and measurement.problem:
            outcome, note = Outcome.INCONCLUSIVE, measurement.problem
        statistic, expected = str(expectation.statistic), str(expectation.condition)
        return ConditionResult(statistic, expected, said, good, outcome, note, good, good + doubtful + missing)

    def _open_note(self, missing: int, doubtful: int) -> str:
        population = self.sample.measurement.population
        why = f"may or may not: {self.clocks}" if self.clocks else "hold what the condition cannot be asked of"
        open_ = f"{doubtful} {population} {why}" if doubtful else ""
        return _joined(self._missing_note(missing) if missing else "", open_)

    def sure(self, expectation: Expectation) -> tuple[Bools, Bools]:
        """Tell of each value whether the condition surely holds of it, and whether it surely does not."""
        return answers(expectation.condition, self.sample.measurement, expectation.statistic.kind)

    def _doubt(self, expectation: Expectation, interval: Interval) -> str:
        missing, between = len(self.sample.missing), self._span(expectation, interval)
        if missing:
            return f"{_joined(self._missing_note(missing), self.clocks)}, so it lies {between}"
        known = "" if interval.low is None and interval.high is None else f"{between}: "
        return f"{known}{self.clocks}{self._as_sent(expectation)}"

    def _as_sent(self, expectation: Expectation) -> str:
        """Say what the times themselves give, where the clocks show that it cannot be."""
        sample = self.sample.as_sent
        found = None if sample is None else sample.statistic(expectation.statistic)
        return "" if found is None else f"; {number_text(found.observed, self._quantity(expectation))} as sent"

    def _missing_note(self, missing: int) -> str:
        measurement = self.sample.measurement
        lacking = measurement.missing if missing == len(measurement.missing) else self.sample.missing
        total = len(measurement.request) + len(measurement.missing)
        return f"{missing} of {total} {measurement.population} {lacking.note()}"

    def _quantity(self, expectation: Expectation) -> Quantity:
        return expectation.statistic.quantity(self.sample.measurement.unit)

    def _result(
        self, expectation: Expectation, outcome: Outcome, interval: Interval | None, note: str
    ) -> ConditionResult:
        condition, quantity = expectation.condition, self._quantity(expectation)
        statistic, expected = str(expectation.statistic), str(condition)
        if interval is None:
            return ConditionResult(statistic, expected, NOTHING, None, outcome, note)
        return ConditionResult(
            statistic,
            expected,
            observed_text(interval.observed, condition, quantity),
            machine_value(interval.observed),
            outcome,
            note,
            machine_end(interval.low),
            machine_end(interval.high),
            None if expectation.statistic.kind is Kind.SAMPLES else self.level,
        )


def _joined(*notes: str) -> str:
    return ", ".join(filter(None, notes))


def _in_baseline(problem: str) -> str:
    return f"in the baseline: {problem}" if problem else ""
