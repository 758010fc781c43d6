"""The values behind `output` and `attribute`."""

from __future__ import annotations

import numpy as np

from spanverdict.checks.answers import answers_of, lacking
from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.missing import Missing
from spanverdict.checks.numbers import Float64s, numbers_at
from spanverdict.checks.runview import RunView
from spanverdict.checks.valueof import ValueOf
from spanverdict.telemetry.spantable import AttributeColumn, Int64s, Rows


def one_a_request(stage: str, value: ValueOf, view: RunView) -> Measurement:
    """Give the value of the span that answers for each request."""
    found = answers_of(stage, (value,), view)
    (taken,) = found.taken
    here = taken.here
    missing = Missing.of_requests(found.silent, lacking(value, stage))
    return Measurement(
        Unit.ANY,
        AttributeColumn(taken.column.codes[here], taken.column.values),
        "requests",
        found.request[here],
        found.member[here],
        missing.also(taken.missing(found.request, found.member)).also(view.without_stage(stage)),
    )


def one_a_span(stage: str, value: ValueOf, view: RunView) -> Measurement:
    """Give the number that every span of the stage carries."""
    times = view.stage(stage)
    numbers, missing = numbers_at(value, times, view, f"have no number {value} at {stage}")
    use = numbers.valid
    return Measurement(
        Unit.NUMBER,
        numbers.values[use],
        "spans",
        times.request[use],
        times.member[use],
        missing.also(view.without_stage(stage)),
    )


def summed(stage: str, value: ValueOf, view: RunView) -> Measurement:
    """Give what the numbers of each request's spans at the stage come to; without one of them nobody can say."""
    times = view.stage(stage)
    numbers, missing = numbers_at(value, times, view, f"have no number {value} at {stage}")
    whole = times.present.copy()
    whole[missing.request] = False
    request = np.flatnonzero(whole)
    total = _sums(numbers.values[numbers.valid], times.request[numbers.valid], view.n_requests)
    return Measurement(
        Unit.NUMBER,
        total[request],
        "requests",
        request,
        times.last[request],
        _once_a_request(missing).also(view.without_stage(stage)),
    )


def _sums(values: Int64s | Float64s, request: Rows, n_requests: int) -> Int64s | Float64s:
    """Add up the values of each request: whole numbers exactly, others with more digits than are kept."""
    largest = np.abs(values.astype(np.float64)).max(initial=0)
    if values.dtype == np.int64 and largest * len(values) < 2.0**62:
        exact = np.zeros(n_requests, np.int64)
        np.add.at(exact, request, values)
        return exact
    total = np.zeros(n_requests, np.longdouble)
    np.add.at(total, request, values.astype(np.longdouble))
    return total.astype(np.float64)


def _once_a_request(missing: Missing) -> Missing:
    """Return the last thing that each request lacks."""
    last = np.zeros(len(missing), np.bool_)
    last[len(missing) - 1 - np.unique(missing.request[::-1], return_index=True)[1]] = True
    return missing.part(last)
