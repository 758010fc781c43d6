"""The truths behind `order`: which requests started their stages one after the other."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.clockdoubt import elapsed_bounds
from spanverdict.checks.latency import Moment
from spanverdict.checks.missing import Missing
from spanverdict.checks.order import Order
from spanverdict.checks.runview import RunView
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.spantable import Bools

UNDECIDED: Final = "started two stages of the order so close that their clocks leave open which was first"


def measure(order: Order, view: RunView) -> Measurement:
    """Give one truth a request; equal starts are in order."""
    before = np.full(view.n_requests, -1, np.intp)
    wrong, undecided, lacking = (np.zeros(view.n_requests, np.bool_) for _ in range(3))
    for place, name in enumerate(order.stages):
        present = view.stage(name).present
        for earlier in ascending(before[present & (before >= 0)]).tolist():
            found = _passed(order.stages[earlier], name, view)
            here = present & (before == earlier)
            wrong |= here & found.surely_back
            undecided |= here & found.may_be_back & ~found.surely_back
        before[present] = place
        lacking |= ~present & (view.stages[name].minimum > 0)
    undecided &= ~wrong & ~lacking
    request = np.flatnonzero((~lacking | wrong) & ~undecided)
    missing = Missing.of_requests(np.flatnonzero(lacking & ~wrong), "lack a stage of the order")
    missing = missing.also(Missing.of_requests(np.flatnonzero(undecided), UNDECIDED))

    def explain(number: int) -> str:
        times = [(view.stage(name), name) for name in order.stages]
        starts = [(int(found.start[request[number]]), name) for found, name in times if found.count[request[number]]]
        return "started " + ", ".join(name for _, name in sorted(starts, key=lambda start: start[0]))

    return Measurement(
        Unit.TRUTH,
        ~wrong[request],
        "requests",
        request,
        view.first_member[request],
        missing.also(view.not_arrived()),
        explain=explain,
    )


class _Passed(NamedTuple):
    """What is known of the way from one stage's start to another's, (n_requests,) each."""

    surely_back: Bools
    may_be_back: Bools


def _passed(earlier: str, later: str, view: RunView) -> _Passed:
    first, second = view.stage(earlier), view.stage(later)
    both = np.flatnonzero(first.present & second.present)
    sent = second.start[both] - first.start[both]
    bounds = elapsed_bounds(Moment(earlier, "start"), Moment(later, "start"), sent, view)
    ends = (sent, sent) if bounds is None else (bounds.high, bounds.low)
    surely, perhaps = np.zeros(view.n_requests, np.bool_), np.zeros(view.n_requests, np.bool_)
    surely[both], perhaps[both] = ends[0] < 0, ends[1] < 0
    return _Passed(surely, perhaps)
