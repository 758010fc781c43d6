"""What `count`, `ratio` and `throughput` count. A span that requests share counts once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.clockdoubt import active_bounds
from spanverdict.checks.missing import Missing
from spanverdict.checks.runview import RunView
from spanverdict.selectors import Selector
from spanverdict.telemetry.spantable import Bools


def of_run(of: Selector, view: RunView) -> Measurement:
    """Give a truth for every span of the run: does it match?"""
    truth = _once(of.mask(view.spans), view)
    if not view.shared:
        return Measurement(Unit.TRUTH, truth, "spans", view.request, np.arange(len(truth)), Missing.none())
    return _of_spans(truth, np.ones(len(truth), np.bool_), view)


def a_request(of: Selector, view: RunView) -> Measurement:
    """Give the number of matches in each request."""
    chosen = of.mask(view.spans) & (view.request >= 0)
    counts = np.bincount(view.request[chosen], minlength=view.n_requests).astype(np.int64)
    request = np.arange(view.n_requests, dtype=np.intp)
    return Measurement(Unit.NUMBER, counts, "requests", request, view.first_member, view.not_arrived())


def share(of: Selector, over: Selector, view: RunView) -> Measurement:
    """Give a truth for every span that either selector matches, and which of them count as the whole."""
    part, whole = _once(of.mask(view.spans), view), _once(over.mask(view.spans), view)
    found = _of_spans(part, part | whole, view)
    return replace(found, over=whole[found.row])


def rate(of: Selector, view: RunView) -> Measurement:
    """Give the matches, and the active time of the run that a rate is over."""
    table = view.spans.table
    start, end = table.start_time_unix_nano[view.sound], table.end_time_unix_nano[view.sound]
    active = int(end.max()) - int(start.min()) if len(start) else 0
    chosen = _once(of.mask(view.spans), view)
    found = _of_spans(chosen, chosen, view)
    return replace(found, active_ns=active, active_bounds=active_bounds(active, view))


def _of_spans(truth: Bools, population: Bools, view: RunView) -> Measurement:
    """Give the truths of a population of spans, each span once."""
    here = np.flatnonzero(population)
    if not view.shared:
        return Measurement(Unit.TRUTH, truth[here], "spans", view.request[here], here, Missing.none())
    first = np.full(int(view.row.max(initial=-1)) + 1, -1, np.intp)
    first[view.row[here[::-1]]] = here[::-1]
    member = first[first >= 0]
    return Measurement(Unit.TRUTH, truth[member], "spans", view.request[member], member, Missing.none())


def _once(chosen: Bools, view: RunView) -> Bools:
    """Choose a shared span in all its requests when it is chosen in one."""
    if not view.shared:
        return chosen
    spans = np.zeros(int(view.row.max(initial=-1)) + 1, np.bool_)
    spans[view.row[chosen]] = True
    return spans[view.row]
