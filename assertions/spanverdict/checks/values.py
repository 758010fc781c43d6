"""The values behind `output` and `attribute`."""

from __future__ import annotations

from spanverdict.checks.answers import answers_of, lacking
from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.missing import Missing
from spanverdict.checks.numbers import numbers_at
from spanverdict.checks.runview import RunView
from spanverdict.checks.valueof import ValueOf
from spanverdict.telemetry.spantable import AttributeColumn


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
