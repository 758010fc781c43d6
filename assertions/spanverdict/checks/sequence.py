"""The truths behind `order`: which requests started their stages one after the other."""

from __future__ import annotations

import numpy as np

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.missing import Missing
from spanverdict.checks.order import Order
from spanverdict.checks.runview import RunView


def measure(order: Order, view: RunView) -> Measurement:
    """Give one truth a request; equal starts are in order."""
    reached = np.full(view.n_requests, np.iinfo(np.int64).min)
    truth = np.ones(view.n_requests, np.bool_)
    lacking = np.zeros(view.n_requests, np.bool_)
    for name in order.stages:
        times = view.stage(name)
        start = np.where(times.present, times.start, reached)
        truth &= start >= reached
        reached = start
        lacking |= ~times.present & (view.stages[name].minimum > 0)
    request = np.flatnonzero(~lacking | ~truth)
    missing = Missing.of_requests(np.flatnonzero(lacking & truth), "lack a stage of the order")

    def explain(number: int) -> str:
        times = [(view.stage(name), name) for name in order.stages]
        starts = [(int(found.start[request[number]]), name) for found, name in times if found.count[request[number]]]
        return "started " + ", ".join(name for _, name in sorted(starts, key=lambda start: start[0]))

    return Measurement(
        Unit.TRUTH,
        truth[request],
        "requests",
        request,
        view.first_member[request],
        missing.also(view.not_arrived()),
        explain=explain,
    )
