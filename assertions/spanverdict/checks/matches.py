"""What `count`, `ratio` and `throughput` count. A span that requests share counts once."""

from __future__ import annotations

import numpy as np

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.runview import RunView
from spanverdict.selectors import Selector
from spanverdict.telemetry.spantable import Bools, Rows

_NONE = np.zeros(0, np.intp)


def of_run(of: Selector, view: RunView) -> Measurement:
    """Give a truth for every span of the run: does it match?"""
    return _of_spans(_once(of.mask(view.spans), view), np.ones(len(view.request), np.bool_), view)


def a_request(of: Selector, view: RunView) -> Measurement:
    """Give the number of matches in each request."""
    chosen = of.mask(view.spans) & (view.request >= 0)
    counts = np.bincount(view.request[chosen], minlength=view.n_requests).astype(np.int64)
    request = np.arange(view.n_requests, dtype=np.intp)
    missing = view.with_never_arrived(_NONE)
    return Measurement(Unit.NUMBER, counts, "requests", request, view.first_member, missing, "never arrived")


def share(of: Selector, over: Selector, view: RunView) -> Measurement:
    """Give a truth for every span of `over`; where `of` reaches beyond it, the quotient of the counts."""
    part, whole = _once(of.mask(view.spans), view), _once(over.mask(view.spans), view)
    if not (part & ~whole).any():
        return _of_spans(part, whole, view)
    found = _of_spans(part, whole, view)
    return _with_quotient(found, (_distinct(part, view), _distinct(whole, view)))


def rate(of: Selector, view: RunView) -> Measurement:
    """Give matches a second over the active time of the run."""
    table = view.spans.table
    start, end = table.start_time_unix_nano[view.sound], table.end_time_unix_nano[view.sound]
    active = int(end.max() - start.min()) if len(start) else 0
    chosen = _once(of.mask(view.spans), view)
    found = _of_spans(chosen, chosen, view)
    return _with_quotient(found, (_distinct(chosen, view) * 1_000_000_000, active))


def _of_spans(truth: Bools, population: Bools, view: RunView) -> Measurement:
    rows, members = np.unique(view.row[population], return_index=True)
    member: Rows = np.flatnonzero(population)[members]
    del rows
    return Measurement(Unit.TRUTH, truth[member], "spans", view.request[member], member, _NONE)


def _once(chosen: Bools, view: RunView) -> Bools:
    """Choose a shared span in all its requests when it is chosen in one."""
    spans = np.zeros(int(view.row.max(initial=-1)) + 1, np.bool_)
    spans[view.row[chosen]] = True
    return spans[view.row]


def _distinct(chosen: Bools, view: RunView) -> int:
    return len(np.unique(view.row[chosen]))


def _with_quotient(found: Measurement, quotient: tuple[int, int]) -> Measurement:
    return Measurement(
        found.unit, found.values, found.population, found.request, found.row, found.missing_request, quotient=quotient
    )
