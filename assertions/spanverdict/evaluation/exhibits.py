"""The worst requests behind a failure, each with where its time went."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.pathtimes import PathTimes, path_times
from spanverdict.checks.runview import RunView
from spanverdict.evaluation.conditions import Judge
from spanverdict.evaluation.outcomes import ConditionResult, Exhibit, Outcome, StageShare
from spanverdict.evaluation.wording import number_text
from spanverdict.rulefiles.conditions import Operator
from spanverdict.rulefiles.models import Expectation
from spanverdict.rulefiles.statistic import QUANTIFIERS, Kind, Quantity
from spanverdict.telemetry.identifiers import span_id_hex
from spanverdict.telemetry.spantable import AttributeColumn, Rows

MAX_EXHIBITS = 5


def worst(judge: Judge, view: RunView, judged: Sequence[tuple[Expectation, ConditionResult]]) -> tuple[Exhibit, ...]:
    """Return the values that a reader should look at first, at most `MAX_EXHIBITS`."""
    decisive = [expectation for expectation, result in judged if result.outcome is not Outcome.PASSED]
    if not decisive:
        return ()
    measurement = judge.sample.measurement
    found = [_exhibit(measurement, int(number), view) for number in _positions(judge, decisive[0])]
    if not found or _is_about_missing(judged):
        found = [*_missing(measurement, view), *found]
    return tuple(found[:MAX_EXHIBITS])


def _is_about_missing(judged: Sequence[tuple[Expectation, ConditionResult]]) -> bool:
    return not any(result.outcome is Outcome.FAILED for _, result in judged)


def _positions(judge: Judge, expectation: Expectation) -> Rows:
    """Return positions of values, worst first; ties in the order of the requests."""
    measurement = judge.sample.measurement
    if expectation.statistic.kind in (Kind.RATIO, Kind.COUNT) and measurement.unit is Unit.TRUTH:
        return _truths(measurement, expectation)
    if expectation.statistic.kind in QUANTIFIERS:
        wanted = expectation.statistic.kind is Kind.NONE
        return np.flatnonzero(judge.holds(expectation.condition) == wanted)[:MAX_EXHIBITS]
    if isinstance(measurement.values, AttributeColumn) or not len(measurement.values):
        return np.zeros(0, np.intp)
    values = measurement.values
    smallest_first = expectation.condition.operator in (Operator.MORE, Operator.AT_LEAST)
    order = np.argsort(values if smallest_first else -values.astype(np.float64), kind="stable")
    return order[:MAX_EXHIBITS]


def _truths(measurement: Measurement, expectation: Expectation) -> Rows:
    """Of a share that is too small the false are shown, of a count that is too large the true."""
    too_many = expectation.condition.operator in (Operator.LESS, Operator.AT_MOST, Operator.EQUAL)
    values = measurement.values
    if isinstance(values, AttributeColumn):
        return np.zeros(0, np.intp)
    return np.flatnonzero(values.astype(np.bool_) == too_many)[:MAX_EXHIBITS]


def _exhibit(measurement: Measurement, number: int, view: RunView) -> Exhibit:
    request, member = int(measurement.request[number]), int(measurement.row[number])
    values = measurement.values
    value = values[number] if isinstance(values, AttributeColumn) else values[number].item()
    text = measurement.explain(number) if measurement.explain is not None else ""
    stages = stage_shares(view, request) if measurement.unit is Unit.DURATION and request >= 0 else ()
    return Exhibit(
        view.request_name(request) if request >= 0 else "",
        view.trace_of(member) if member >= 0 else "",
        _span_of(view, member),
        text or _value_text(view, member, value, measurement.unit),
        stages,
    )


def _value_text(view: RunView, member: int, value: object, unit: Unit) -> str:
    if unit is Unit.TRUTH and member >= 0:
        table = view.spans.table
        return table.pool.string(int(table.name[member]))
    return number_text(value, Quantity(unit))


def _span_of(view: RunView, member: int) -> str:
    return span_id_hex(int(view.spans.table.span_id[member])) if member >= 0 else ""


def _missing(measurement: Measurement, view: RunView) -> list[Exhibit]:
    requests = measurement.missing_request[measurement.missing_request >= 0]
    found = []
    for request in np.unique(requests)[:MAX_EXHIBITS].tolist():
        member = int(view.first_member[request])
        text = f"missing: {measurement.missing_note.removeprefix('have no ')}"
        found.append(Exhibit(view.request_name(request), view.trace_of(member), _span_of(view, member), text))
    return found


def stage_shares(view: RunView, request: int) -> tuple[StageShare, ...]:
    """Return what the time of a request was spent on along its critical path, the longest first."""
    return shares_of(path_times(view.part([request])))


def shares_of(times: PathTimes) -> tuple[StageShare, ...]:
    """Return what the time of all requests together was spent on, the longest first."""
    whole = int(times.time.sum())
    found = [
        StageShare(name, spent, spent / whole)
        for name, spent in zip(times.names, times.time.sum(axis=0).tolist(), strict=True)
        if spent
    ]
    return tuple(sorted(found, key=lambda share: (-share.duration_ns, share.stage)))
