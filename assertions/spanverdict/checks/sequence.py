"""The truths behind `order`: which requests started their stages one after the other."""

from __future__ import annotations

import numpy as np

from spanverdict.checks.check import Measurement, Unit
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
    missing = view.with_never_arrived(np.flatnonzero(lacking & truth))

    def explain(number: int) -> str:
        starts = [(int(view.stage(name).start[request[number]]), name) for name in order.stages]
        return "started " + ", ".join(name for _, name in sorted(starts))

    return Measurement(
        Unit.TRUTH,
        truth[request],
        "requests",
        request,
        view.first_member[request],
        missing,
        "lack a stage of the order",
        explain=explain,
    )
