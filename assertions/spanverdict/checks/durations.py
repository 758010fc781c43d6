"""The durations behind `latency`, computed over all requests at once in integer nanoseconds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.eventtimes import between_events
from spanverdict.checks.latency import Between, BetweenEvents, Form, Moment, OfAttribute, OfPath, OfStage
from spanverdict.checks.missing import Missing
from spanverdict.checks.numbers import Float64s, numbers_at
from spanverdict.checks.pathtimes import path_times
from spanverdict.checks.runview import RunView, StageTimes
from spanverdict.telemetry.spantable import Int64s

NS_PER: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


def measure(form: Form, view: RunView) -> Measurement:
    """Give the durations of one form of latency."""
    match form:
        case Between():
            return _between(form, view)
        case BetweenEvents():
            named = (side.stage for side in (form.begin, form.finish) if isinstance(side, Moment))
            return between_events(form, view, _without_stages([form.stage, *named], view))
        case OfAttribute():
            return _attribute(form, view)
        case OfPath():
            return _of_path(form, view)
        case OfStage(of="each"):
            return _each(form, view)
        case _:
            return _stage(form, view)


def _between(form: Between, view: RunView) -> Measurement:
    """Measure from one moment to another; `request` is first start to last end."""
    begin = Moment(form.begin.stage or view.starts_at, form.begin.edge)
    finish = Moment(form.finish.stage or view.ends_at, form.finish.edge)
    first, second = view.stage(begin.stage), view.stage(finish.stage)
    request = np.flatnonzero(first.present & second.present)
    values = _at(second, finish.edge)[request] - _at(first, begin.edge)[request]
    return Measurement(
        Unit.DURATION,
        values,
        "requests",
        request,
        second.last[request],
        _without_stages((begin.stage, finish.stage), view),
        suspect=values < 0,
        suspect_note=f"reached {finish} before {begin}",
    )


def _at(times: StageTimes, edge: str) -> Int64s:
    return times.start if edge == "start" else times.end


def _without_stages(names: Sequence[str], view: RunView) -> Missing:
    """Return the requests that lack mandatory ones of the stages, by what they lack."""
    mandatory = [name for name in dict.fromkeys(names) if view.stages[name].minimum > 0]
    lacking = {name: ~view.stage(name).present for name in mandatory}
    missing = Missing.none()
    for size in range(1, len(mandatory) + 1):
        for some in combinations(mandatory, size):
            others = [~lacking[name] for name in mandatory if name not in some]
            here = np.logical_and.reduce([*(lacking[name] for name in some), *others])
            missing = missing.also(Missing.of_requests(np.flatnonzero(here), f"have no stage {' or '.join(some)}"))
    return missing.also(view.not_arrived()) if mandatory else missing


def _stage(form: OfStage, view: RunView) -> Measurement:
    times = view.stage(form.stage)
    request = np.flatnonzero(times.present)
    match form.of:
        case "extent":
            values = times.end[request] - times.start[request]
        case "sum":
            values = _summed(times, view.spans.table.duration()[times.member], view.n_requests)[request]
        case "busy":
            values = _summed(times, _fresh_time(times, view), view.n_requests)[request]
        case _:
            values = _summed(times, _self_time(times, view), view.n_requests)[request]
    missing = view.without_stage(form.stage)
    return Measurement(Unit.DURATION, values, "requests", request, times.last[request], missing)


def _each(form: OfStage, view: RunView) -> Measurement:
    times = view.stage(form.stage)
    values = view.spans.table.duration()[times.member]
    return Measurement(Unit.DURATION, values, "spans", times.request, times.member, view.without_stage(form.stage))


def _of_path(form: OfPath, view: RunView) -> Measurement:
    """Measure what share of the critical path of each request is spent on a stage, or in queues."""
    named = [form.name] if form.name in view.stages else []
    missing = _without_stages([view.starts_at, *named, view.ends_at], view)
    times = path_times(view)
    whole, spent = np.zeros(view.n_requests, np.int64), np.zeros(view.n_requests, np.int64)
    whole[times.request], spent[times.request] = times.whole(), times.of(form.name)
    lacking = np.zeros(view.n_requests, np.bool_)
    lacking[missing.request[missing.request >= 0]] = True
    timeless = np.flatnonzero(~lacking & (whole == 0))
    missing = missing.also(Missing.of_requests(timeless, "took no time that can be told"))
    request = np.flatnonzero(~lacking & (whole > 0))
    shown_by = view.stage(named[0] if named else view.starts_at).last[request]
    return Measurement(Unit.SHARE, spent[request] / whole[request], "requests", request, shown_by, missing)


def _summed(times: StageTimes, values: Int64s, n_requests: int) -> Int64s:
    """Add up the spans of each request exactly, in integers."""
    total = np.zeros(n_requests, np.int64)
    np.add.at(total, times.request, values)
    return total


def _fresh_time(times: StageTimes, view: RunView) -> Int64s:
    """Return for each span the part of it that no earlier span of its request covers.

    Spans are taken by start; what is left of each beyond the latest end so far adds up to the union.
    """
    table = view.spans.table
    start, end = table.start_time_unix_nano[times.member], table.end_time_unix_nano[times.member]
    order = np.lexsort((end, start, times.request))
    fresh = np.zeros(len(order), np.int64)
    fresh[order] = union_shares(times.request[order], start[order], end[order])
    return fresh


def union_shares(group: Int64s, start: Int64s, end: Int64s) -> Int64s:
    """Return how much each interval adds to the union of those before it in its group.

    All (n,), sorted by group, then start. Each group is lifted above the one before, so that a
    running maximum of the ends never reaches over.
    """
    if not len(group):
        return np.zeros(0, np.int64)
    heads = np.flatnonzero(np.r_[True, np.diff(group) != 0])
    sizes = np.diff(np.r_[heads, len(group)])
    origin = np.repeat(start[heads], sizes)
    reach = np.maximum.reduceat(end, heads) - start[heads]
    lift = np.repeat(np.cumsum(np.r_[0, reach[:-1] + 1]), sizes)
    begin, finish = start - origin + lift, end - origin + lift
    covered = np.r_[np.iinfo(np.int64).min, np.maximum.accumulate(finish)[:-1]]
    fresh: Int64s = np.maximum(0, finish - np.maximum(begin, covered))
    return fresh


def _self_time(times: StageTimes, view: RunView) -> Int64s:
    """Return the time of each span that none of its children covers."""
    table, above = view.spans.table, view.members.parents.parent
    own = np.zeros(len(table), np.bool_)
    own[times.member] = True
    child = np.flatnonzero((above >= 0) & own[above] & view.sound)
    parent = above[child]
    start = np.maximum(table.start_time_unix_nano[child], table.start_time_unix_nano[parent])
    end = np.minimum(table.end_time_unix_nano[child], table.end_time_unix_nano[parent])
    inside = end > start
    order = np.lexsort((end[inside], start[inside], parent[inside]))
    parent, start, end = parent[inside][order], start[inside][order], end[inside][order]
    covered = np.zeros(len(table), np.int64)
    np.add.at(covered, parent, union_shares(parent.astype(np.int64), start, end))
    return table.duration()[times.member] - covered[times.member]


def _attribute(form: OfAttribute, view: RunView) -> Measurement:
    times = view.stage(form.stage)
    numbers, missing = numbers_at(form.field, times, view, f"have no {form.field} at {form.stage}")
    use = np.flatnonzero(numbers.valid)
    values = to_ns(numbers.values[use], form.unit)
    missing = missing.also(view.without_stage(form.stage))
    return Measurement(
        Unit.DURATION,
        values,
        "spans",
        times.request[use],
        times.member[use],
        missing,
        suspect=values < 0,
        suspect_note="say that they took less than nothing",
    )


def to_ns(values: Int64s | Float64s, unit: str) -> Int64s:
    """Turn numbers of a unit into whole nanoseconds; floats to the nearest, huge ones to the limit."""
    scale = NS_PER[unit]
    limit = np.iinfo(np.int64).max // 2
    bounded = np.clip(values.astype(np.float64), -limit / scale, limit / scale)
    rounded = np.clip(np.rint(bounded * scale), -float(limit), float(limit)).astype(np.int64)
    if values.dtype == np.int64:
        small = (values <= limit // scale) & (values >= -(limit // scale))
        return np.where(small, values, 0) * scale + np.where(small, 0, rounded)
    return rounded
