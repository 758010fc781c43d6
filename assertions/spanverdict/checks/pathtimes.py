"""Where the time of requests went: their critical paths, told by stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from spanverdict.checks.runview import RunView, StageTimes
from spanverdict.paths.critical_path import Extents, Members, Sections, critical_paths, sync_parents
from spanverdict.telemetry.spantable import Bools, Int64s, Rows

QUEUE: Final = "queue"
"""What waits count for."""
OTHER: Final = "other"
"""What counts for no stage."""


@dataclass(frozen=True, slots=True, eq=False)
class PathTimes:
    """The time of requests on their critical paths, by what it was spent on."""

    names: tuple[str, ...]
    """The stages in path order, then `queue` and `other`."""
    request: Rows
    """(n,) ascending; requests that lack a beginning are left out."""
    time: Int64s
    """(n, n_names) ns; a row sums to the duration of its request."""

    def whole(self) -> Int64s:
        """Return the duration of each request in ns."""
        return np.asarray(self.time.sum(axis=1), np.int64)

    def of(self, name: str) -> Int64s:
        """Return the time spent on one name in each request."""
        return np.asarray(self.time[:, self.names.index(name)])

    def shares(self) -> dict[str, float]:
        """Return what part of the time of all requests together each name has; all 0 where there is none."""
        total = self.time.sum(axis=0)
        whole = int(total.sum())
        return {name: int(spent) / whole if whole else 0.0 for name, spent in zip(self.names, total, strict=True)}


@dataclass(frozen=True, slots=True, eq=False)
class CriticalPaths:
    """The critical paths of some requests of a view."""

    members: Rows
    """(n,) the members of those requests, ascending."""
    sections: Sections
    """`member` names members of the view."""
    name: npt.NDArray[np.intp]
    """(n_sections,) position in `names` of what each section was spent on."""
    names: tuple[str, ...]
    extents: Extents
    """(n_requests,) of the whole view, those of other requests without beginning."""

    def times(self) -> PathTimes:
        """Add up the sections of each request."""
        request = np.flatnonzero(self.extents.first >= 0)
        time = np.zeros((len(self.extents.first), len(self.names)), np.int64)
        np.add.at(time, (self.sections.request, self.name), self.sections.duration())
        return PathTimes(self.names, request, time[request])


def path_times(view: RunView, requests: Sequence[int] | None = None) -> PathTimes:
    """Return where the time of `requests` went, of all without them."""
    return critical_paths_of(view, requests).times()


def critical_paths_of(view: RunView, requests: Sequence[int] | None = None) -> CriticalPaths:
    """Find the critical paths of `requests`, of all without them.

    A request lasts from the first start of its first stage to the last end of its last, or of
    whatever ended last where that stage is not there. A span of no stage counts for the nearest
    stage above it in one chain of calls.
    """
    rows = _members_of(view, requests)
    extents = _extents(view, rows)
    members = _columns(view, rows)
    place = _places(len(view.request), rows)
    sections = critical_paths(
        members, replace(extents, first=_moved(extents.first, place), last=_moved(extents.last, place))
    )
    names, name_of = _named(view, rows, members)
    name = np.where(sections.member >= 0, name_of[sections.member], names.index(QUEUE))
    return CriticalPaths(rows, replace(sections, member=_moved(sections.member, rows)), name, names, extents)


def _members_of(view: RunView, requests: Sequence[int] | None) -> Rows:
    chosen = np.ones(view.n_requests + 1, np.bool_)
    if requests is not None:
        chosen[:] = False
        chosen[list(requests)] = True
    chosen[-1] = False
    return np.flatnonzero(chosen[view.request])


def _extents(view: RunView, rows: Rows) -> Extents:
    """Find where requests begin and end; of several spans at the same instant the uppermost counts."""
    table, depth = view.spans.table, view.spans.forest.depth
    start, end, span_id = table.start_time_unix_nano, table.end_time_unix_nano, table.span_id
    firsts = _within(view.stage(view.starts_at), rows, len(view.request))
    order = np.lexsort((span_id[firsts], depth[firsts], start[firsts], view.request[firsts]))
    first = _of_requests(view, firsts[order][::-1])
    lasts = _endings(view, rows, first)
    order = np.lexsort((span_id[lasts], start[lasts], -depth[lasts], end[lasts], view.request[lasts]))
    last = _of_requests(view, lasts[order])
    whole = (first >= 0) & (last >= 0) & (end[last] >= start[first])
    return Extents(
        np.where(whole, start[first], 0),
        np.where(whole, end[last], 0),
        np.where(whole, first, -1),
        np.where(whole, last, -1),
    )


def _endings(view: RunView, rows: Rows, first: Rows) -> Rows:
    """Return what may end a request: its last stage, or else all but the callers of its beginning."""
    times = view.stage(view.ends_at)
    unended = rows[~times.present[view.request[rows]]]
    others = unended[view.sound[unended] & ~_above(view, first)[unended]]
    return np.concatenate([_within(times, rows, len(view.request)), others])


def _within(times: StageTimes, rows: Rows, size: int) -> Rows:
    chosen = np.zeros(size, np.bool_)
    chosen[times.member] = True
    return rows[chosen[rows]]


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


def _columns(view: RunView, rows: Rows) -> Members:
    table, forest = view.spans.table, view.spans.forest
    place = _places(len(view.request), rows)
    link_from, link_to = _moved(forest.link_from, place), _moved(forest.link_to, place)
    here = (link_from >= 0) & (link_to >= 0)
    return Members(
        request=view.request[rows],
        parent=_moved(forest.parent[rows], place),
        start=table.start_time_unix_nano[rows],
        end=table.end_time_unix_nano[rows],
        usable=view.sound[rows],
        kind=table.kind[rows],
        span_id=table.span_id[rows],
        resource=table.resource[rows],
        link_from=link_from[here],
        link_to=link_to[here],
    )


def _places(size: int, rows: Rows) -> Rows:
    """Return where each of `size` members stands among `rows`, -1 where it does not."""
    place = np.full(size, -1, np.intp)
    place[rows] = np.arange(len(rows))
    return place


def _moved(numbers: Rows, place: Rows) -> Rows:
    """Renumber; -1 stays -1."""
    if not len(place):
        return np.full(len(numbers), -1, np.intp)
    return np.where(numbers >= 0, place[numbers], -1)


def _named(view: RunView, rows: Rows, members: Members) -> tuple[tuple[str, ...], Rows]:
    """Return the names that time is spent on, and which one each of `rows` has.

    A span of several stages is of the last of them.
    """
    names = tuple(dict.fromkeys([*view.stages, QUEUE, OTHER]))
    stage = np.full(len(view.request), -1, np.intp)
    for number, name in enumerate(view.stages):
        stage[view.stage(name).member] = number
    own, above = stage[rows], sync_parents(members)
    while len(rest := np.flatnonzero((own < 0) & (above >= 0))):
        own[rest], above[rest] = own[above[rest]], above[above[rest]]
    return names, np.where(own >= 0, own, names.index(OTHER))
