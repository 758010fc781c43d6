"""For how long at least one of several spans was open, in integer nanoseconds."""

from __future__ import annotations

import numpy as np

from spanverdict.checks.runview import RunView
from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.spantable import Int64s, Rows


def fresh_time(member: Rows, group: Int64s, view: RunView) -> Int64s:
    """Return for each member the part of it that no earlier one of its group covers.

    Spans are taken by start; what is left of each beyond the latest end so far adds up to the union.
    """
    table = view.spans.table
    start, end = table.start_time_unix_nano[member], table.end_time_unix_nano[member]
    order = order_of(group, start, end)
    fresh = np.zeros(len(order), np.int64)
    fresh[order] = union_shares(group[order], start[order], end[order])
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


def children_of(member: Rows, view: RunView) -> tuple[Rows, Rows]:
    """Return (child, parent) of the sound children of some members."""
    above = view.members.parents.parent
    own = np.zeros(len(above), np.bool_)
    own[member] = True
    child = np.flatnonzero((above >= 0) & own[above] & view.sound)
    return child, above[child]


def covered_by(child: Rows, parent: Rows, view: RunView) -> Int64s:
    """Return how much of each member its children here cover, (n_members,)."""
    table = view.spans.table
    start = np.maximum(table.start_time_unix_nano[child], table.start_time_unix_nano[parent])
    end = np.minimum(table.end_time_unix_nano[child], table.end_time_unix_nano[parent])
    inside = end > start
    order = order_of(parent[inside], start[inside], end[inside])
    parent, start, end = parent[inside][order], start[inside][order], end[inside][order]
    covered = np.zeros(len(table), np.int64)
    np.add.at(covered, parent, union_shares(parent.astype(np.int64), start, end))
    return covered
