"""The values behind `output` and `attribute`."""

from __future__ import annotations

import numpy as np

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.missing import Missing
from spanverdict.checks.numbers import numbers_of
from spanverdict.checks.runview import RunView
from spanverdict.selectors import Field
from spanverdict.telemetry.spantable import AttributeColumn
from spanverdict.telemetry.vocabulary import StatusCode


def one_a_request(stage: str, value: Field, view: RunView) -> Measurement:
    """Give the value of the stage's last span that carries one; one that did not fail comes first."""
    times, table = view.stage(stage), view.spans.table
    column = view.column(value)
    carries = column.codes[times.member] >= 0
    member, request = times.member[carries], times.request[carries]
    good = table.status_code[member] != StatusCode.ERROR
    order = np.lexsort((table.span_id[member], table.end_time_unix_nano[member], good, request))
    last = np.flatnonzero(np.diff(request[order], append=-1) != 0)
    member, request = member[order][last], request[order][last]
    lacking = times.present.copy()
    lacking[request] = False
    missing = Missing.of_requests(np.flatnonzero(lacking), f"have no {value} at {stage}")
    return Measurement(
        Unit.ANY,
        AttributeColumn(column.codes[member], column.values),
        "requests",
        request,
        member,
        missing.also(view.without_stage(stage)),
    )


def one_a_span(stage: str, value: Field, view: RunView) -> Measurement:
    """Give the number that every span of the stage carries."""
    times = view.stage(stage)
    numbers = numbers_of(view.column(value), times.member)
    use = np.flatnonzero(numbers.valid)
    missing = numbers.missing(times.request, times.member, f"have no number {value} at {stage}")
    return Measurement(
        Unit.NUMBER,
        numbers.values[use],
        "spans",
        times.request[use],
        times.member[use],
        missing.also(view.without_stage(stage)),
    )
