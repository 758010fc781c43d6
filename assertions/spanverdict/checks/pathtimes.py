"""Where the time of requests went: their critical paths, told by stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from spanverdict.checks.clockshift import nearest, possible
from spanverdict.checks.latency import OTHER, QUEUE
from spanverdict.checks.runview import RunView
from spanverdict.paths.critical_path import Extents, Members, Sections, critical_paths, pieces, sync_parents
from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.spantable import Bools, Int64s, Ints, Rows

_NEAREST: Final = "nearest path times"
_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class PathTimes:
    """The time of requests on their critical paths, by what it was spent on."""

    names: tuple[str, ...]
    """The stages in path order, then `queue` and `other`."""
    request: Rows
    """(n,) ascending; requests that lack a beginning are left out."""
    time: Int64s
    """(n, n_names) in ns; a row sums to the duration of its request."""

    def whole(self) -> Int64s:
        """Return the duration of each request in ns."""
        return np.asarray(self.time.sum(axis=1), np.int64)

    def of(self, name: str) -> Int64s:
        """Return the time spent on one name in each request."""
        return np.asarray(self.time[:, self.names.index(name)])

    def only(self, place: int) -> PathTimes:
        """Return the times of one request alone."""
        return PathTimes(self.names, self.request[place : place + 1], self.time[place : place + 1])

    def of_requests(self, requests: Rows) -> PathTimes:
        """Return the times of some requests, which ascend, as far as they are here."""
        place = np.flatnonzero(np.isin(self.request, requests))
        return PathTimes(self.names, self.request[place], self.time[place])

    def totals(self) -> list[int]:
        """Return the time that all requests together spent on each name, exact even where it is centuries."""
        high, low = (self.time >> 32).sum(axis=0).tolist(), (self.time & 0xFFFFFFFF).sum(axis=0).tolist()
        return [(upper << 32) + lower for upper, lower in zip(high, low, strict=True)]

    def shares(self) -> dict[str, float]:
        """Return what part of the time of all requests together each name has; all 0 where there is none."""
        totals = self.totals()
        whole = sum(totals)
        return {name: spent / whole if whole else 0.0 for name, spent in zip(self.names, totals, strict=True)}


@dataclass(frozen=True, slots=True, eq=False)
class CriticalPaths:
    """The critical paths of the requests of a view."""

    rows: Ints
    """(n,) the members of requests, ascending: rows of the view."""
    members: Members
    """(n,) what is known of them; its own numbers are positions in `rows`."""
    stage: Ints
    """(n,) position in `names` of the stage that each is a span of, -1 for none."""
    sections: Sections
    """`member` and `until` are positions in `rows`."""
    name: npt.NDArray[np.intp]
    """(n_sections,) position in `names` of what each section was spent on."""
    names: tuple[str, ...]
    extents: Extents
    """`first` and `last` are rows of the view."""

    def times(self) -> PathTimes:
        """Add up the sections of each request."""
        request = np.flatnonzero(self.extents.first >= 0)
        width = len(self.names)
        flat = np.zeros(len(self.extents.first) * width, np.int64)
        np.add.at(flat, self.sections.request * width + self.name, self.sections.duration())
        return PathTimes(self.names, request, flat.reshape(-1, width)[request])


def path_times(view: RunView) -> PathTimes:
    """Return where the time of all requests went; worked out once."""
    return _once(view, "path times", lambda: (_paths_of(view, pieces).times(),))[0]


def knows_nearest_path_times(view: RunView) -> bool:
    """Tell whether that was worked out for the whole view."""
    return _NEAREST in view.memo


def nearest_path_times(view: RunView) -> PathTimes:
    """Return where it went by the times nearest to what was sent; worked out once, as many rules may ask."""
    return _once(view, _NEAREST, lambda: (path_times(nearest(view)),))[0]


def possible_path_times(view: RunView) -> tuple[PathTimes, ...]:
    """Return where it went by each of the possible clocks; worked out once."""
    return _once(view, "possible path times", lambda: tuple(map(path_times, possible(view))))


def _once(view: RunView, name: str, work_out: Callable[[], tuple[PathTimes, ...]]) -> tuple[PathTimes, ...]:
    with view.working:
        known = view.memo.get(name)
        if not isinstance(known, tuple):
            known = view.memo[name] = work_out()
        return known


def critical_paths_of(view: RunView) -> CriticalPaths:
    """Find the critical path of every request.

    A request lasts from the first start of its first stage to the last end of its last, or of
    whatever ended last where that stage is not there. A span of no stage counts for the nearest
    stage above it in one chain of calls.
    """
    return _paths_of(view, critical_paths)


def _paths_of(view: RunView, cut: Callable[[Members, Extents], Sections]) -> CriticalPaths:
    rows = np.flatnonzero(view.request >= 0).astype(np.int32)
    place = None if len(rows) == len(view.request) else _places(len(view.request), rows)
    extents = _extents(view, rows)
    members = _columns(view, rows, place)
    first, last = _moved(extents.first, place), _moved(extents.last, place)
    sections = cut(members, replace(extents, first=first, last=last))
    names = tuple(dict.fromkeys([*view.stages, QUEUE, OTHER]))
    stage = _taken(_stages(view), rows, place)
    spent_on = nearest_stages(stage, sync_parents(members))
    work = np.where(spent_on >= 0, spent_on, spent_on.dtype.type(names.index(OTHER)))
    name = np.where(sections.member >= 0, work[sections.member], names.index(QUEUE))
    return CriticalPaths(rows, members, stage, sections, name, names, extents)


def _extents(view: RunView, rows: Ints) -> Extents:
    """Find where requests begin and end; of several spans at the same instant the uppermost counts."""
    table = view.members.table
    start, end, span_id = table.start_time_unix_nano, table.end_time_unix_nano, table.span_id
    firsts = view.stage(view.starts_at).member
    if _several(view, firsts):
        order = order_of(view.request[firsts], start[firsts], _depth(view)[firsts], span_id[firsts])
        firsts = firsts[order][::-1]
    first = _of_requests(view, firsts)
    lasts = _endings(view, rows, first)
    if _several(view, lasts):
        order = order_of(view.request[lasts], end[lasts], -_depth(view)[lasts], start[lasts], span_id[lasts])
        lasts = lasts[order]
    last = _of_requests(view, lasts)
    whole = (first >= 0) & (last >= 0) & (end[last] >= start[first])
    return Extents(
        np.where(whole, start[first], 0),
        np.where(whole, end[last], 0),
        np.where(whole, first, -1),
        np.where(whole, last, -1),
    )


def _endings(view: RunView, rows: Ints, first: Rows) -> Rows:
    """Return what may end a request: its last stage, or else all but the callers of its beginning."""
    times = view.stage(view.ends_at)
    if times.present.all():
        return times.member
    unended = rows[~times.present[view.request[rows]]]
    others = unended[view.sound[unended] & ~_above(view, first)[unended]]
    return np.concatenate([times.member, others])


def _several(view: RunView, members: Rows) -> bool:
    """Tell whether some of these members are of one request."""
    return bool((np.bincount(view.request[members], minlength=1) > 1).any())


def _depth(view: RunView) -> Ints:
    return view.spans.forest.depth


def _of_requests(view: RunView, members: Rows) -> Rows:
    """Return for each request the last of its members in this order, -1 where it has none."""
    found = np.full(view.n_requests, -1, np.intp)
    found[view.request[members]] = members
    return found


def _above(view: RunView, first: Rows) -> Bools:
    """Return what stands above the beginning of a request: callers, who are no part of its way."""
    begins = np.zeros(len(view.request), np.bool_)
    begins[first[first >= 0]] = True
    nothing = np.zeros(0, np.intp)
    return replace(view.spans.forest, link_from=nothing, link_to=nothing).ancestors(begins)


def _columns(view: RunView, rows: Ints, place: Rows | None) -> Members:
    table, joins = view.members.table, view.members.joins.causal()
    return Members(
        request=_taken(view.request, rows, place),
        parent=_moved(_taken(view.members.parents.parent, rows, place), place),
        start=_taken(table.start_time_unix_nano, rows, place),
        end=_taken(table.end_time_unix_nano, rows, place),
        usable=_taken(view.sound, rows, place),
        kind=_taken(table.kind, rows, place),
        span_id=_taken(table.span_id, rows, place),
        resource=_taken(table.resource, rows, place),
        link_from=_moved(joins.source, place),
        link_to=_moved(joins.target, place),
    )


def _places(size: int, rows: Ints) -> Rows:
    """Return where each of `size` members stands among `rows`, -1 where it does not."""
    place = np.full(size, -1, np.intp)
    place[rows] = np.arange(len(rows))
    return place


def _taken(column: npt.NDArray[_Number], rows: Ints, place: Rows | None) -> npt.NDArray[_Number]:
    """Return some rows of a column; without places those are all."""
    return column if place is None else column[rows]


def _moved(numbers: Rows, place: Rows | None) -> Rows:
    """Renumber; -1 stays -1. Without places all numbers stay."""
    if place is None:
        return numbers
    if not len(place):
        return np.full(len(numbers), -1, np.intp)
    return np.where(numbers >= 0, place[numbers], -1)


def _stages(view: RunView) -> Ints:
    """Return the stage that each member is a span of, -1 for none; of several stages the last."""
    stage = np.full(len(view.request), -1, np.int32)
    for number, name in enumerate(view.stages):
        stage[view.stage(name).member] = number
    return stage


def nearest_stages(stage: Ints, above: Rows) -> Ints:
    """Return the stage of each member, else the nearest one above it; -1 where there is none."""
    stage, above = stage.copy(), above.copy()
    rest = np.flatnonzero((stage < 0) & (above >= 0))
    while len(rest):
        up = above[rest]
        stage[rest], above[rest] = stage[up], above[up]
        rest = rest[(stage[rest] < 0) & (above[rest] >= 0)]
    return stage
