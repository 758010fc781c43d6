"""The durations behind `latency` from or to a span event, computed over all requests at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from spanverdict.checks.bounds import Bounds
from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.clockdoubt import Instants, bounds_between
from spanverdict.checks.clockshift import nearest, nearest_shift
from spanverdict.checks.latency import BetweenEvents, EventMoment, Moment
from spanverdict.checks.missing import Missing, Reason
from spanverdict.checks.runview import RunView
from spanverdict.selectors.tree import Scope
from spanverdict.telemetry.spantable import MAX_TIME, Bools, Int64s, Rows

_NEVER: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class _Times:
    """When something happened in each request; all (n_requests,), -1 where it did not."""

    time: Int64s
    member: Rows
    told: Int64s
    """The time, as near to what was sent as it can be by the clock of the request."""

    @property
    def there(self) -> Bools:
        """Tell in which requests it did."""
        there: Bools = self.time != _NEVER
        return there


@dataclass(frozen=True, slots=True, eq=False)
class _Occurrences:
    """All events of one name in a stage and below it, by request, then time."""

    request: Int64s
    time: Int64s
    member: Rows
    told: Int64s
    n_requests: int

    def first(self, not_before: Int64s | None = None) -> _Times:
        """Return the first of each request, of those that are not before a time of it."""
        late = slice(None) if not_before is None else self.told >= not_before[self.request]
        columns = [column[late] for column in (self.time, self.member, self.told)]
        request = self.request[late]
        heads = np.flatnonzero(np.diff(request, prepend=-1))
        found = [np.full(self.n_requests, _NEVER, column.dtype) for column in columns]
        for every, column in zip(found, columns, strict=True):
            every[request[heads]] = column[heads]
        return _Times(*found)


def between_events(form: BetweenEvents, view: RunView, missing: Missing) -> Measurement:
    """Measure from the first of one event to the first of another that is not before it.

    `missing` are the requests that lack one of the stages that are named.
    """
    stages = [form.stage, *(side.stage for side in (form.begin, form.finish) if isinstance(side, Moment))]
    whole = np.logical_and.reduce([view.stage(name).present for name in stages])
    begin = _occurrences(form.begin, form.stage, view).first() if _is_event(form.begin) else _at(form.begin, view)
    every, after = _finish(form, begin, view)
    for lacking, reason in (
        (~begin.there, Reason(f"have no {form.begin} in {form.stage}")),
        (begin.there & ~every.there, Reason(f"have no {form.finish} in {form.stage}")),
        (
            begin.there & every.there & ~after.there,
            Reason(f"have {form.finish} in {form.stage} only before {form.begin}", impossible=True),
        ),
    ):
        requests = np.flatnonzero(whole & lacking)
        missing = missing.also(replace(Missing.of_requests(requests, ""), reasons=(reason,)))
    request = np.flatnonzero(whole & begin.there & after.there)
    sent = (after.time - begin.time)[request]
    bounds = _bounds((form.begin, begin), (form.finish, after), request, sent, view)
    values = sent if bounds is None else bounds.nearest()
    return Measurement(
        Unit.DURATION,
        values,
        "requests",
        request,
        after.member[request],
        missing,
        suspect=(values if bounds is None else bounds.high) < 0,
        suspect_note=f"reached {form.finish} before {form.begin}",
        bounds=bounds,
    )


_Side = tuple[Moment | EventMoment, _Times]


def _bounds(begin: _Side, finish: _Side, request: Rows, sent: Int64s, view: RunView) -> Bounds | None:
    """Bound the time from one side to the other in some requests; None where nothing is in doubt."""
    if view.clocks is None:
        return None
    wanted = np.zeros(view.n_requests, np.bool_)
    wanted[request] = True
    sides = [_instants(*side, request, view) for side in (begin, finish)]
    begins, ends = (side.part(wanted[side.request]) for side in sides)
    return bounds_between(begins, ends, sent, view.clocks)


def _instants(side: Moment | EventMoment, found: _Times, request: Rows, view: RunView) -> Instants:
    if isinstance(side, Moment):
        times = view.stage(side.stage)
        return Instants.of(side.edge, times.member, times.request, view)
    return Instants("start", request.astype(np.int64), view.clock[found.member[request]], found.time[request])


def _is_event(side: Moment | EventMoment) -> bool:
    return isinstance(side, EventMoment)


def _finish(form: BetweenEvents, begin: _Times, view: RunView) -> tuple[_Times, _Times]:
    """Return the first of all, and the first that is not before the beginning; of a stage both are its moment."""
    if isinstance(form.finish, Moment):
        moment = _at(form.finish, view)
        return moment, moment
    found = _occurrences(form.finish, form.stage, view)
    return found.first(), found.first(begin.told)


def _at(side: Moment | EventMoment, view: RunView) -> _Times:
    """Return the moment of a stage in each request."""
    assert isinstance(side, Moment)
    sent, told = (of.stage(side.stage) for of in (view, nearest(view)))
    time, near = ((times.start if side.edge == "start" else times.end) for times in (sent, told))
    return _Times(np.where(sent.present, time, _NEVER), sent.last, np.where(sent.present, near, _NEVER))


def _occurrences(side: Moment | EventMoment, stage: str, view: RunView) -> _Occurrences:
    """Find the events of a name on the spans of a stage and on all below them, those with a usable time."""
    assert isinstance(side, EventMoment)
    spans, events = view.spans, view.spans.table.events
    own = np.zeros(len(spans), np.bool_)
    own[view.stage(stage).member] = True
    inside = (own | spans.forest.descendants(own)) & (view.request >= 0)
    number = spans.table.pool.strings.find(side.event.encode("utf-8", "surrogatepass"))
    usable = (events.name == number) & (events.time_unix_nano > 0) & (events.time_unix_nano < MAX_TIME)
    rows = np.flatnonzero(usable & inside[spans.owners(Scope.EVENT)])
    member = spans.owners(Scope.EVENT)[rows]
    request, time = view.request[member], events.time_unix_nano[rows]
    told = time + nearest_shift(view)[member]
    order = np.lexsort((spans.table.span_id[member], told, request))
    return _Occurrences(request[order], time[order], member[order], told[order], view.n_requests)
