"""Between what times lie that spans by different clocks share: they may have been open together or one by one."""

from __future__ import annotations

import numpy as np

from spanverdict.checks.bounds import CERTAIN, Bounds
from spanverdict.checks.clockdoubt import added, bounds, pair_codes
from spanverdict.checks.runview import RunView, StageTimes
from spanverdict.checks.unions import children_of, covered_by, fresh_time
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.spantable import Bools, Int64s, Rows


def busy_bounds(times: StageTimes, sent: Int64s, view: RunView) -> Bounds | None:
    """Bound for how long any span of a stage was open, (n_requests,); None where nothing is in doubt.

    At least as long as by the clock with most, at most as long as by all clocks together.
    """
    if view.clocks is None:
        return None
    size, clock = len(view.clocks.hosts), view.clock[times.member]
    several, cause = _by_several(times, view)
    if not several.any():
        return None
    pairs, group = np.unique(times.request * size + clock, return_inverse=True)
    each = np.zeros(len(pairs), np.int64)
    np.add.at(each, group, fresh_time(times.member, group.astype(np.int64), view))
    longest, all_of_them = np.zeros(view.n_requests, np.int64), np.zeros(view.n_requests, np.int64)
    np.maximum.at(longest, pairs // size, each)
    np.add.at(all_of_them, pairs // size, each)
    low, high = np.where(several, longest, sent), np.where(several, all_of_them, sent)
    return bounds(low, high, sent, cause, view.clocks)


def _by_several(times: StageTimes, view: RunView) -> tuple[Bools, Int64s]:
    """Tell which requests have spans of a stage by several clocks that may differ, and which two of them."""
    assert view.clocks is not None
    size, clock = len(view.clocks.hosts), view.clock[times.member]
    own = view.clocks.own[clock]
    kinds = ascending(times.request[own] * size + clock[own])
    request = kinds // size
    several = np.bincount(request, minlength=view.n_requests) > 1
    cause = np.full(view.n_requests, CERTAIN)
    heads = np.flatnonzero(np.diff(request, prepend=-1))
    heads = heads[several[request[heads]]]
    cause[request[heads]] = pair_codes(kinds[heads] % size, kinds[heads + 1] % size, view.clocks)
    return several, cause


def self_bounds(times: StageTimes, sent: Int64s, view: RunView) -> Bounds | None:
    """Bound the time of a stage's spans that no child covers, (n_requests,); None where nothing is in doubt.

    Children by the clock of their parent cover what they cover. Of one by another clock the least and
    the most counts that may lie within its parent.
    """
    if view.clocks is None:
        return None
    child, parent = children_of(times.member, view)
    low, high, known = view.clocks.between(view.clock[parent], view.clock[child])
    foreign = (low != 0) | (high != 0) | ~known
    if not foreign.any():
        return None
    covered = covered_by(child[~foreign], parent[~foreign], view)
    child, parent = child[foreign], parent[foreign]
    least, most = _overlaps(child, parent, (low[foreign], high[foreign], known[foreign]), view)
    longest, all_of_them = np.zeros(len(covered), np.int64), np.zeros(len(covered), np.int64)
    np.maximum.at(longest, parent, least)
    np.add.at(all_of_them, parent, most)
    duration, member = view.spans.table.duration()[times.member], times.member
    low, high = np.zeros(view.n_requests, np.int64), np.zeros(view.n_requests, np.int64)
    np.add.at(low, times.request, np.maximum(0, duration - covered[member] - all_of_them[member]))
    np.add.at(high, times.request, duration - np.maximum(covered, longest)[member])
    cause = np.full(view.n_requests, CERTAIN)
    cause[view.request[child]] = pair_codes(view.clock[parent], view.clock[child], view.clocks)
    return bounds(low, high, sent, np.where(low < high, cause, CERTAIN), view.clocks)


def _overlaps(child: Rows, parent: Rows, offset: tuple[Int64s, Int64s, Bools], view: RunView) -> tuple[Int64s, Int64s]:
    """Return the least and the most of each child that may lie within its parent, by what its clock may be off.

    What lies within grows, stays, and falls again as the child is moved along: so the least is at one end.
    """
    table, (low, high, known) = view.spans.table, offset
    start, end = table.start_time_unix_nano, table.end_time_unix_nano

    def within(shift: Int64s) -> Int64s:
        since, until = added(start[child], shift), added(end[child], shift)
        inside: Int64s = np.maximum(0, np.minimum(end[parent], until) - np.maximum(start[parent], since))
        return inside

    heads, tails = start[parent] - start[child], end[parent] - end[child]
    best = np.clip(np.minimum(heads, tails), low, high)
    best = np.where(known, np.where(high < np.minimum(heads, tails), high, best), np.minimum(heads, tails))
    return np.where(known, np.minimum(within(low), within(high)), 0), within(best)
