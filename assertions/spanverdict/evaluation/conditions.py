"""One line of `expect` against a sample: decided, and put into words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spanverdict.evaluation.deciding import decide
from spanverdict.evaluation.outcomes import ConditionResult, Outcome
from spanverdict.evaluation.sample import Interval, Sample
from spanverdict.evaluation.wording import NOTHING, machine_value, number_text
from spanverdict.rulefiles.conditions import Condition, Operator
from spanverdict.rulefiles.models import Expectation
from spanverdict.rulefiles.statistic import QUANTIFIERS, Kind, Quantity
from spanverdict.telemetry.spantable import AttributeColumn, Bools


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges the expectations of one rule on one sample."""

    sample: Sample

    def judge(self, expectation: Expectation) -> ConditionResult:
        """Judge one expectation."""
        if expectation.statistic.kind in QUANTIFIERS:
            return self._quantified(expectation)
        interval = self.sample.statistic(expectation.statistic)
        if interval is None:
            return self._result(expectation, Outcome.INCONCLUSIVE, None, "nothing to take it of")
        outcome = decide(expectation.condition, interval)
        if expectation.statistic.kind is Kind.SAMPLES and outcome is Outcome.FAILED:
            return self._result(expectation, Outcome.INCONCLUSIVE, interval, "not enough to judge by")
        return self._settled(expectation, outcome, interval)

    def _settled(self, expectation: Expectation, outcome: Outcome, interval: Interval) -> ConditionResult:
        """A pass does not stand where values cannot be right; doubt is explained."""
        problem = self.sample.measurement.problem
        if outcome is Outcome.PASSED and problem and expectation.statistic.kind is not Kind.SAMPLES:
            return self._result(expectation, Outcome.INCONCLUSIVE, interval, problem)
        note = self._doubt(expectation, interval) if outcome is Outcome.INCONCLUSIVE else ""
        return self._result(expectation, outcome, interval, note)

    def _quantified(self, expectation: Expectation) -> ConditionResult:
        holds = self.holds(expectation.condition)
        good, known, missing = int(holds.sum()), len(holds), self.missing
        match expectation.statistic.kind:
            case Kind.EVERY:
                sure = Outcome.FAILED if good < known else None
                otherwise, said = Outcome.PASSED, f"{known - good} of {known} do not hold"
            case Kind.ANY:
                sure = Outcome.PASSED if good else None
                otherwise, said = Outcome.FAILED, f"{good} of {known} hold"
            case _:
                sure = Outcome.FAILED if good else None
                otherwise, said = Outcome.PASSED, f"{good} of {known} hold"
        outcome = sure or (Outcome.INCONCLUSIVE if missing else otherwise)
        note = self._missing_note() if outcome is Outcome.INCONCLUSIVE else ""
        if outcome is Outcome.PASSED and self.sample.measurement.problem:
            outcome, note = Outcome.INCONCLUSIVE, self.sample.measurement.problem
        return ConditionResult(str(expectation.statistic), str(expectation.condition), said, good, outcome, note)

    @property
    def missing(self) -> int:
        """How many values should be there and are not; for quantifiers any type of value is one."""
        return len(self.sample.measurement.missing_request)

    def holds(self, condition: Condition) -> Bools:
        """Tell for each value of the measurement whether the condition holds of it, exactly.

        Decided once for every distinct value.
        """
        values = self.sample.measurement.values
        if isinstance(values, AttributeColumn):
            table = np.array([_holds_of(condition, value) for value in values.values] + [False], np.bool_)
            return table[values.codes]
        distinct, position = np.unique(values, return_inverse=True)
        return _holds_of_sorted(condition, distinct)[position]

    def _doubt(self, expectation: Expectation, interval: Interval) -> str:
        quantity = self._quantity(expectation)
        ends = ["unknown" if end is None else number_text(end, quantity) for end in (interval.low, interval.high)]
        return f"{self._missing_note()}, so it lies between {ends[0]} and {ends[1]}"

    def _missing_note(self) -> str:
        measurement, missing = self.sample.measurement, self.sample.missing
        total = len(measurement.request) + len(measurement.missing_request)
        return f"{missing} of {total} {measurement.population} {measurement.missing_note or 'have no usable value'}"

    def _quantity(self, expectation: Expectation) -> Quantity:
        return expectation.statistic.quantity(self.sample.measurement.unit)

    def _result(
        self, expectation: Expectation, outcome: Outcome, interval: Interval | None, note: str
    ) -> ConditionResult:
        return ConditionResult(
            str(expectation.statistic),
            str(expectation.condition),
            NOTHING if interval is None else number_text(interval.observed, self._quantity(expectation)),
            None if interval is None else machine_value(interval.observed),
            outcome,
            note,
        )


_MONOTONE = frozenset({Operator.LESS, Operator.AT_MOST, Operator.MORE, Operator.AT_LEAST})


def _holds_of_sorted(condition: Condition, distinct: np.ndarray) -> Bools:
    """Tell for ascending distinct numbers; of an ordering the last that holds is found by halving."""
    found = np.zeros(len(distinct), np.bool_)
    if condition.operator not in _MONOTONE or distinct.dtype == np.bool_:
        return np.array([condition.holds(value) for value in distinct.tolist()], np.bool_)
    rising = condition.operator in (Operator.MORE, Operator.AT_LEAST)
    low, high = 0, len(distinct)
    while low < high:
        middle = (low + high) // 2
        if condition.holds(distinct[middle].item()) == rising:
            high = middle
        else:
            low = middle + 1
    found[low if rising else 0 : len(distinct) if rising else low] = True
    return found


def _holds_of(condition: Condition, value: object) -> bool:
    """An array holds when all its values do."""
    if isinstance(value, tuple):
        return bool(value) and all(_holds_of(condition, item) for item in value)
    return isinstance(value, int | float | str | bool) and condition.holds(value)
