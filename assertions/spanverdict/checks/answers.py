"""The spans that answer for their requests: at a stage, the last attempt that did not fail and carries a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spanverdict.checks.runview import RunView
from spanverdict.checks.taken import Taken, take
from spanverdict.checks.valueof import ValueOf
from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.spantable import Rows
from spanverdict.telemetry.vocabulary import StatusCode


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What requests answered at a stage."""

    request: Rows
    """(n,) ascending."""
    member: Rows
    """(n,) the span that answers for each: the same for all values."""
    taken: tuple[Taken, ...]
    """(n,) each, one for each value that was asked for."""
    silent: Rows
    """Requests that have the stage, but no span of it that carries any of the values."""


def answers_of(stage: str, values: Sequence[ValueOf], view: RunView) -> Answers:
    """Find the span that answers for each request; one that did not fail comes first, then the last to end."""
    times, table = view.stage(stage), view.spans.table
    carries = np.logical_or.reduce([view.column(value.field).codes[times.member] >= 0 for value in values])
    member, request = times.member[carries], times.request[carries]
    good = table.status_code[member] != StatusCode.ERROR
    order = order_of(request, good, table.end_time_unix_nano[member], table.span_id[member])
    last = np.flatnonzero(np.diff(request[order], append=-1) != 0)
    member, request = member[order][last], request[order][last]
    silent = times.present.copy()
    silent[request] = False
    taken = tuple(take(value, view, member, lacking(value, stage)) for value in values)
    return Answers(request, member, taken, np.flatnonzero(silent))


def lacking(value: ValueOf | str, stage: str) -> str:
    """Say what a request without the value is, in words that follow a count."""
    return f"have no {value} at {stage}"
