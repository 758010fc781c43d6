"""The durations behind `latency`, computed over all requests at once in integer nanoseconds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.clockdoubt import elapsed_bounds
from spanverdict.checks.clockoverlap import busy_bounds, self_bounds
from spanverdict.checks.clockshift import path_bounds
from spanverdict.checks.eventtimes import between_events
from spanverdict.checks.latency import Between, BetweenEvents, Form, Moment, OfAttribute, OfPath, OfStage
from spanverdict.checks.missing import Missing
from spanverdict.checks.numbers import Float64s, numbers_at
from spanverdict.checks.pathtimes import PathTimes, nearest_path_times, possible_path_times
from spanverdict.checks.runview import RunView, StageTimes
from spanverdict.checks.unions import children_of, covered_by, fresh_time
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
    sent = _at(second, finish.edge)[request] - _at(first, begin.edge)[request]
    bounds = elapsed_bounds(begin, finish, sent, view)
    values = sent if bounds is None else bounds.nearest()
    return Measurement(
        Unit.DURATION,
        values,
        "requests",
        request,
        second.last[request],
        _without_stages((begin.stage, finish.stage), view),
        suspect=(values if bounds is None else bounds.high) < 0,
        suspect_note=f"reached {finish} before {begin}",
        bounds=bounds,
    )


def _at(times: StageTimes, edge: str) -> Int64s:
    return times.start if edge == "start" else times.end


def _without_stages(names: Sequence[str], view: RunView) -> Missing:
    """Return the requests that lack mandatory ones of the stages, by what they lack, and those that never arrived."""
    mandatory = [name for name in dict.fromkeys(names) if view.stages[name].minimum > 0]
    lacking = {name: ~view.stage(name).present for name in mandatory}
    missing = Missing.none()
    for size in range(1, len(mandatory) + 1):
        for some in combinations(mandatory, size):
            others = [~lacking[name] for name in mandatory if name not in some]
            here = np.logical_and.reduce([*(lacking[name] for name in some), *others])
            missing = missing.also(Missing.of_requests(np.flatnonzero(here), f"have no stage {' or '.join(some)}"))
    return missing.also(view.not_arrived())


def _stage(form: OfStage, view: RunView) -> Measurement:
    times, bounds = view.stage(form.stage), None
    match form.of:
        case "extent":
            return _between(Between(Moment(form.stage, "start"), Moment(form.stage, "end")), view)
        case "sum":
            sent = _summed(times, view.spans.table.duration()[times.member], view)
        case "busy":
            sent = _summed(times, fresh_time(times.member, times.request, view), view)
            bounds = busy_bounds(times, sent, view)
        case _:
            sent = _summed(times, _self_time(times, view), view)
            bounds = self_bounds(times, sent, view)
    request = np.flatnonzero(times.present)
    return Measurement(
        Unit.DURATION,
        (sent if bounds is None else bounds.nearest())[request],
        "requests",
        request,
        times.last[request],
        view.without_stage(form.stage),
        bounds=None if bounds is None else bounds.part(request),
    )


def _each(form: OfStage, view: RunView) -> Measurement:
    times = view.stage(form.stage)
    values = view.spans.table.duration()[times.member]
    return Measurement(Unit.DURATION, values, "spans", times.request, times.member, view.without_stage(form.stage))


def _of_path(form: OfPath, view: RunView) -> Measurement:
    """Measure what share of the critical path of each request is spent on a stage, or in queues."""
    named = [form.name] if form.name in view.stages else []
    missing = _without_stages([view.starts_at, *named, view.ends_at], view)
    spent, whole = _on_path(form.name, nearest_path_times(view), view)
    lacking = np.zeros(view.n_requests, np.bool_)
    lacking[missing.request[missing.request >= 0]] = True
    timeless = np.flatnonzero(~lacking & (whole == 0))
    missing = missing.also(Missing.of_requests(timeless, "took no time that can be told"))
    request = np.flatnonzero(~lacking & (whole > 0))
    sent = spent[request] / whole[request]
    others = () if view.clocks is None else possible_path_times(view)
    bounds = path_bounds(sent, request, [_on_path(form.name, times, view) for times in others], view)
    return Measurement(
        Unit.SHARE,
        sent if bounds is None else bounds.nearest(),
        "requests",
        request,
        view.stage(named[0] if named else view.starts_at).last[request],
        missing,
        bounds=bounds,
    )


def _on_path(name: str, times: PathTimes, view: RunView) -> tuple[Int64s, Int64s]:
    """Return how long each request spent on a name along its critical path, and how long the path is."""
    spent, whole = np.zeros(view.n_requests, np.int64), np.zeros(view.n_requests, np.int64)
    whole[times.request], spent[times.request] = times.whole(), times.of(name)
    return spent, whole


def _summed(times: StageTimes, values: Int64s, view: RunView) -> Int64s:
    """Add up the spans of each request exactly, in integers."""
    total = np.zeros(view.n_requests, np.int64)
    np.add.at(total, times.request, values)
    return total


def _self_time(times: StageTimes, view: RunView) -> Int64s:
    """Return the time of each span that none of its children covers."""
    return view.spans.table.duration()[times.member] - covered_by(*children_of(times.member, view), view)[times.member]


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
