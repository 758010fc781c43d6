"""What a run would look like were its clocks otherwise. Views are made anew, and no time of the run is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from spanverdict.checks.bounds import CERTAIN, Bounds
from spanverdict.checks.clockdoubt import pair_codes, words
from spanverdict.checks.numbers import Float64s
from spanverdict.checks.runview import RunView
from spanverdict.telemetry.spantable import Bools, Int64s, Rows

Spent: TypeAlias = Iterable[tuple[Int64s, Int64s]]
"""The time that each request spends on something along its critical path, and its whole time, each time."""


def nearest(view: RunView) -> RunView:
    """Return it with each time as it was sent, or the nearest to that which it can have been; worked out once.

    For the sake of what is told of a request: nothing is judged by it.
    """
    if view.clocks is None:
        return view
    known = view.memo.get(__name__)
    if not isinstance(known, RunView):
        known = view.memo[__name__] = shifted(view, nearest_shift(view))
    return known


def nearest_shift(view: RunView) -> Int64s:
    """Return the least to add to the times of each member so that they can be by the clock of its request."""
    if view.clocks is None:
        return np.zeros(len(view.request), np.int64)
    low, high, _ = _behind(view)
    least: Int64s = np.clip(0, low, high)
    return least


def possible(view: RunView) -> Iterator[RunView]:
    """Yield it with all clocks at one end of what is possible, at the other, and in the middle.

    Each as seen by the clock of its request's first span; what is not known stays as it was sent.
    """
    low, high, _ = _behind(view)
    for shift in (low, high, low + (high - low) // 2):
        yield shifted(view, shift)


def path_bounds(sent: Float64s, request: Rows, others: Spent, view: RunView) -> Bounds | None:
    """Bound shares of critical paths; None where nothing is in doubt.

    `others` are the paths by each of the `possible` clocks. Where some were never compared, any share can be.
    """
    clocks = view.clocks
    if clocks is None:
        return None
    found = [sent, *(_shares(*other, request) for other in others)]
    low, high = np.minimum.reduce(found), np.maximum.reduce(found)
    pair, known = _widest_pairs(view)
    low, high = np.where(known[request], low, 0.0), np.where(known[request], high, 1.0)
    if np.array_equal(low, sent) and np.array_equal(high, sent):
        return None
    return Bounds(low, high, sent, np.where(low < high, pair[request], CERTAIN), words(clocks))


def _shares(spent: Int64s, whole: Int64s, request: Rows) -> Float64s:
    return spent[request] / np.maximum(whole[request], 1)


def _widest_pairs(view: RunView) -> tuple[Int64s, Bools]:
    """Return for each request the pair of clocks that leaves most in doubt, and whether all were compared."""
    assert view.clocks is not None
    low, high, known = _behind(view)
    here = np.flatnonzero((view.request >= 0) & ((high > low) | ~known))
    width = np.where(known[here], (high - low)[here].astype(np.float64), np.inf)
    pair = np.full(view.n_requests, CERTAIN)
    here = here[np.lexsort((view.clock[here], width, view.request[here]))]
    first = view.clock[view.first_member[view.request[here]]]
    pair[view.request[here]] = pair_codes(first, view.clock[here], view.clocks)
    compared = np.ones(view.n_requests, np.bool_)
    compared[view.request[(view.request >= 0) & ~known]] = False
    return pair, compared


def _behind(view: RunView) -> tuple[Int64s, Int64s, Bools]:
    """Return (low, high, known): what to add to the times of each member to have them by its request's clock."""
    assert view.clocks is not None
    inside = view.request >= 0
    clock = np.where(inside, view.clock[view.first_member[view.request]] if view.n_requests else 0, view.clock)
    return view.clocks.between(clock, view.clock)


def shifted(view: RunView, shift: Int64s) -> RunView:
    """Return what it would be with so much added to the times of each member; stages keep their members."""
    if not shift.any():
        return view
    table, usable = view.members.table, view.sound
    start, end = (
        np.where(usable, time + shift, time) for time in (table.start_time_unix_nano, table.end_time_unix_nano)
    )
    members = replace(view.members, table=replace(table, start_time_unix_nano=start, end_time_unix_nano=end))
    moved = replace(view, members=members, memo={}, _stage_times={})
    return replace(moved, memo={}, _stage_times={name: moved.times_of(view.stage(name).member) for name in view.stages})
