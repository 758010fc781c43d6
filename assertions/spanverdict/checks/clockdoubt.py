"""Between what times lie that begin by one clock and end by another, and how that is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from spanverdict.checks.bounds import CERTAIN, NO_HIGH, NO_LOW, Bounds
from spanverdict.checks.latency import Moment
from spanverdict.checks.runview import RunView
from spanverdict.diagnostics.durations import format_duration
from spanverdict.paths.clocks import Clocks
from spanverdict.telemetry.ragged import runs
from spanverdict.telemetry.spantable import Bools, Int64s, Rows

_SAID: Final = 5
"""Pairs of clocks that are told of one by one."""
_MOST_CLOCKS: Final = 1000
"""Of more clocks in one run nothing bounds how long it was active."""


@dataclass(frozen=True, slots=True, eq=False)
class Instants:
    """First starts or last ends, one for each request and clock that have one; (n,) by request, then clock."""

    edge: str
    """`start` or `end`."""
    request: Int64s
    clock: Int64s
    time: Int64s

    def part(self, chosen: Bools) -> Instants:
        """Return the marked ones."""
        return Instants(self.edge, self.request[chosen], self.clock[chosen], self.time[chosen])

    @staticmethod
    def of(edge: str, member: Rows, request: Int64s, view: RunView) -> Instants:
        """Find them among members, each of a request."""
        table = view.spans.table
        time = (table.start_time_unix_nano if edge == "start" else table.end_time_unix_nano)[member]
        clock = view.clock[member]
        if (np.diff(request) > 0).all():
            return Instants(edge, request, clock, time)
        key = request * (int(clock.max()) + 1) + clock
        order = np.argsort(key, kind="stable")
        time = _picked(key[order], time[order], most=edge == "end")
        fresh = order[np.flatnonzero(np.diff(key[order], prepend=-1))]
        return Instants(edge, request[fresh], clock[fresh], time)


def elapsed_bounds(begin: Moment, finish: Moment, sent: Int64s, view: RunView) -> Bounds | None:
    """Bound the time from one moment to another of each request that has both; None where nothing is in doubt."""
    if view.clocks is None:
        return None
    first, second = view.stage(begin.stage), view.stage(finish.stage)
    begins = Instants.of(begin.edge, first.member, first.request, view)
    ends = Instants.of(finish.edge, second.member, second.request, view)
    return bounds_between(begins, ends, sent, view.clocks)


def active_bounds(sent: int, view: RunView) -> Bounds | None:
    """Bound the time from the first start to the last end of a run, (1,); None where nothing is in doubt."""
    if view.clocks is None or not sent:
        return None
    member = np.flatnonzero(view.sound)
    everything = np.zeros(len(member), np.int64)
    begin, finish = (Instants.of(edge, member, everything, view) for edge in ("start", "end"))
    if len(begin.clock) <= _MOST_CLOCKS:
        return bounds_between(begin, finish, np.array([sent]), view.clocks)
    least = np.array([(finish.time - begin.time).max()])
    pair = pair_codes(begin.clock[:1], begin.clock[1:2], view.clocks)
    return Bounds(least, np.array([NO_HIGH]), np.array([sent]), pair, words(view.clocks))


def bounds_between(begin: Instants, finish: Instants, sent: Int64s, clocks: Clocks) -> Bounds | None:
    """Bound the times from one instant to another; `sent` holds one for each request that has both.

    By several clocks of a request the first start or the last end counts, whichever it is: all are compared with all.
    """
    how_many = np.bincount(begin.request, minlength=int(finish.request.max(initial=-1)) + 1)
    finish = finish.part(how_many[finish.request] > 0)
    sizes = how_many[finish.request]
    first = runs((np.cumsum(how_many) - how_many)[finish.request], sizes)
    second = np.repeat(np.arange(len(sizes)), sizes)
    low, high, known = clocks.between(begin.clock[first], finish.clock[second])
    passed = finish.time[second] - begin.time[first]
    low, high = np.where(known, added(passed, low), NO_LOW), np.where(known, added(passed, high), NO_HIGH)
    pair = np.where(low < high, pair_codes(begin.clock[first], finish.clock[second], clocks), CERTAIN)
    cause = _widest(finish.request[second], low, high, pair)
    # The longest or shortest since any beginning, then until any end.
    low, high = (_picked(second, end, most=begin.edge == "start") for end in (low, high))
    low, high = (_picked(finish.request, end, most=finish.edge == "end") for end in (low, high))
    return bounds(low, high, sent, np.where(low < high, cause, CERTAIN), clocks)


def _picked(group: Int64s | Rows, values: Int64s, *, most: bool) -> Int64s:
    """Return the largest or smallest value of each group; groups ascend."""
    heads = np.flatnonzero(np.diff(group, prepend=-1))
    pick = np.maximum if most else np.minimum
    picked: Int64s = pick.reduceat(values, heads) if len(heads) else values
    return picked


def pair_codes(first: Int64s, second: Int64s, clocks: Clocks) -> Int64s:
    """Return what `words` knows pairs of clocks by; both directions are one."""
    codes: Int64s = np.minimum(first, second) * len(clocks.hosts) + np.maximum(first, second)
    return codes


def _widest(request: Int64s, low: Int64s, high: Int64s, pairs: Int64s) -> Int64s:
    """Return of each request the pair of clocks that leaves most in doubt."""
    if (np.diff(request) != 0).all():
        return pairs
    order = np.lexsort((pairs, high.astype(np.float64) - low.astype(np.float64), request))
    last = np.flatnonzero(np.diff(request[order], append=-1))
    widest: Int64s = pairs[order][last]
    return widest


def added(left: Int64s, right: Int64s | np.int64) -> Int64s:
    """Add, stopping short of what stands for no bound.

    >>> added(np.array([5, 2**63 - 9, -2**63 + 9]), np.array([1, 20, -20])).tolist()
    [6, 9223372036854775806, -9223372036854775807]
    """
    total = left + right
    over = ((left ^ total) & (right ^ total)) < 0
    return np.clip(np.where(over, np.where(left < 0, NO_LOW, NO_HIGH), total), NO_LOW + 1, NO_HIGH - 1)


def bounds(low: Int64s, high: Int64s, sent: Int64s, cause: Int64s, clocks: Clocks) -> Bounds | None:
    """Return bounds, (n,); None where they leave nothing in doubt."""
    if np.array_equal(low, sent) and np.array_equal(high, sent):
        return None
    return Bounds(low, high, sent, cause, words(clocks))


def words(clocks: Clocks) -> Callable[[int], str]:
    """Return what says of a pair of clocks, by its code, how far they differ."""

    def say(code: int) -> str:
        first, second = divmod(code, len(clocks.hosts))
        low, high, known = (found.item() for found in clocks.between(np.array([first]), np.array([second])))
        names = clocks.hosts.names[first], clocks.hosts.names[second]
        return differ(*names, -high, -low) if known else _not_compared(*names)

    return say


def clock_notes(view: RunView) -> tuple[str, ...]:
    """Say how far the clocks of the spans of requests differ from those that the requests began by, at most `_SAID`."""
    if view.clocks is None or not view.n_requests:
        return ()
    inside = np.flatnonzero(view.request >= 0)
    first, second = view.clock[view.first_member[view.request[inside]]], view.clock[inside]
    low, high, known = view.clocks.between(first, second)
    doubted = (low != 0) | (high != 0) | ~known
    pairs, often = np.unique(pair_codes(first, second, view.clocks)[doubted], return_counts=True)
    most = pairs[np.lexsort((pairs, -often))].tolist()
    rest = [f"and {len(most) - _SAID} other pairs of clocks"] if len(most) > _SAID else []
    return (*map(words(view.clocks), most[:_SAID]), *rest)


def differ(first: str, second: str, least: int, most: int) -> str:
    """Say how far the second clock is ahead of the first.

    >>> differ("a", "b", -17_000_000, 16_500_000)
    'the clocks of a and b differ by -17ms to 16.5ms'
    >>> differ("a", "b", 12_000_000, 19_000_000), differ("a", "b", -12_000_000, -12_000_000)
    ("the clock of b is 15.5ms ± 3.5ms ahead of a's", "the clock of b is 12ms behind a's")
    """
    if least <= 0 <= most:
        return f"the clocks of {first} and {second} differ by {format_duration(least)} to {format_duration(most)}"
    middle, error = Fraction(abs(least + most), 2), Fraction(most - least, 2)
    about = f"{format_duration(middle)} ± {format_duration(error)}" if error else format_duration(middle)
    return f"the clock of {second} is {about} {'ahead of' if least > 0 else 'behind'} {first}'s"


def _not_compared(first: str, second: str) -> str:
    return (
        f"the clocks of {first} and {second} were never compared, as no calls lead from one to the other "
        "(`clock` in the flow can bound them)"
    )
