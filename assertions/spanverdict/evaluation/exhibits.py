"""The worst requests behind a failure, each with where its time went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spanverdict.checks.bounds import CERTAIN, NO_HIGH, NO_LOW
from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.runview import RunView
from spanverdict.evaluation.conditions import Judge
from spanverdict.evaluation.outcomes import ConditionResult, Exhibit, Outcome
from spanverdict.evaluation.sample import Sample
from spanverdict.evaluation.timespent import shares_of_each
from spanverdict.evaluation.wording import number_text
from spanverdict.rulefiles.conditions import Operator
from spanverdict.rulefiles.models import Expectation
from spanverdict.rulefiles.statistic import QUANTIFIERS, Kind, Quantity
from spanverdict.telemetry.identifiers import span_id_hex
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Rows

MAX_EXHIBITS = 5


def worst(judge: Judge, view: RunView, judged: Sequence[tuple[Expectation, ConditionResult]]) -> tuple[Exhibit, ...]:
    """Return the values that a reader should look at first, at most `MAX_EXHIBITS`."""
    failed = [expectation for expectation, result in judged if result.outcome is Outcome.FAILED]
    decisive = failed or [expectation for expectation, result in judged if result.outcome is not Outcome.PASSED]
    if not decisive:
        return ()
    measurement = judge.sample.measurement
    found = [_exhibit(measurement, number, view) for number in _positions(judge, decisive[0]).tolist()]
    if not found or not failed:
        found = [*_missing(measurement, view), *found]
    return _with_times(found[:MAX_EXHIBITS], view)


_Found = tuple[int, Exhibit]
"""The request, -1 for none, and what is shown of it."""


def _with_times(found: Sequence[_Found], view: RunView) -> tuple[Exhibit, ...]:
    """Say of each request where its time went."""
    spent = shares_of_each(view, [request for request, _ in found if request >= 0])
    return tuple(replace(exhibit, stages=spent.get(request, ())) for request, exhibit in found)


def _positions(judge: Judge, expectation: Expectation) -> Rows:
    """Return positions of values, worst first; ties in the order of the requests."""
    measurement, values = judge.sample.measurement, judge.sample.measurement.values
    if expectation.statistic.kind in QUANTIFIERS:
        holds, fails = judge.sure(expectation)
        wrong, right = (holds, fails) if expectation.statistic.kind is Kind.NONE else (fails, holds)
        return _ranked(np.concatenate([np.flatnonzero(wrong), np.flatnonzero(~wrong & ~right)]), measurement)
    if measurement.unit is Unit.TRUTH and not isinstance(values, AttributeColumn):
        return _ranked(_truths(values.astype(np.bool_), expectation), measurement)
    if expectation.statistic.kind is Kind.DRIFT:
        return np.zeros(0, np.intp)  # no single value is at fault
    smallest_first = expectation.condition.operator in (Operator.MORE, Operator.AT_LEAST)
    return _extremes(judge.sample, smallest=smallest_first)


def _truths(values: Bools, expectation: Expectation) -> Rows:
    """Of a share that is too small the false are shown, of a count that is too large the true."""
    condition = expectation.condition
    too_many = condition.operator in (Operator.LESS, Operator.AT_MOST)
    if condition.operator is Operator.EQUAL and condition.operands:
        seen = values.mean() if expectation.statistic.kind is Kind.RATIO else values.sum()
        too_many = bool(seen > condition.operands[0])
    return np.flatnonzero(values == too_many)


def _ranked(positions: Rows, measurement: Measurement) -> Rows:
    """Return the worst of some values, where their measure can tell; ties in the order of the requests."""
    if measurement.badness is not None:
        positions = positions[np.argsort(-measurement.badness(positions), kind="stable")]
    return positions[:MAX_EXHIBITS]


def _extremes(sample: Sample, *, smallest: bool) -> Rows:
    """Return the positions of the smallest or largest numbers, that one first, ties in their order."""
    sorted_numbers = sample.numbers
    if not len(sorted_numbers):
        return np.zeros(0, np.intp)
    values, valid = sample.by_position()
    edge = min(MAX_EXHIBITS, len(sorted_numbers))
    limit = sorted_numbers[edge - 1] if smallest else sorted_numbers[-edge]
    candidates = np.flatnonzero(valid & ((values <= limit) if smallest else (values >= limit)))
    distinct, rank = np.unique(values[candidates], return_inverse=True)
    rank = rank if smallest else len(distinct) - rank
    return candidates[np.argsort(rank, kind="stable")][:MAX_EXHIBITS]


def _exhibit(measurement: Measurement, number: int, view: RunView) -> _Found:
    request, member = int(measurement.request[number]), int(measurement.row[number])
    values = measurement.values
    value = values[number] if isinstance(values, AttributeColumn) else values[number].item()
    text = measurement.explain(number) if measurement.explain is not None else ""
    subject = measurement.subject(number) if measurement.subject is not None and request < 0 else ""
    return request, Exhibit(
        view.request_name(request) if request >= 0 else subject,
        view.trace_of(member) if member >= 0 else "",
        _span_of(view, member),
        text or _value_text(view, member, value, measurement.unit) + _doubt(measurement, number),
        about_time=measurement.unit in (Unit.DURATION, Unit.SHARE),
    )


def _value_text(view: RunView, member: int, value: object, unit: Unit) -> str:
    if unit is Unit.TRUTH and member >= 0:
        table = view.spans.table
        return table.pool.string(int(table.name[member]))
    return number_text(value, Quantity(unit))


def _doubt(measurement: Measurement, number: int) -> str:
    """Say between what a value lies that clocks leave in doubt, and what was sent if that cannot be."""
    bounds, quantity = measurement.bounds, Quantity(measurement.unit)
    if bounds is None or bounds.cause[number] == CERTAIN:
        return ""
    low, high, sent = (end[number].item() for end in (bounds.low, bounds.high, bounds.sent))
    least = "unknown" if low == NO_LOW else number_text(low, quantity)
    most = "unknown" if high == NO_HIGH else number_text(high, quantity)
    wrong = f", {number_text(sent, quantity)} as sent" if bounds.corrected[number] else ""
    return f" (between {least} and {most}{wrong})"


def _span_of(view: RunView, member: int) -> str:
    return span_id_hex(int(view.spans.table.span_id[member])) if member >= 0 else ""


def _missing(measurement: Measurement, view: RunView) -> list[_Found]:
    """Show requests that lack a value, each once, with what it lacks."""
    missing = measurement.missing
    here = np.flatnonzero(missing.request >= 0)
    _, first = np.unique(missing.request[here], return_index=True)
    found = []
    for number in here[first][:MAX_EXHIBITS].tolist():
        request, row = int(missing.request[number]), int(missing.row[number])
        member = row if row >= 0 else int(view.first_member[request])
        reason = missing.reasons[missing.reason[number]]
        text = f"missing: {reason.text.removeprefix('have no ')}"
        name, trace, span = view.request_name(request), view.trace_of(member), _span_of(view, member)
        found.append((request, Exhibit(name, trace, span, text, about_time=False)))
    return found
