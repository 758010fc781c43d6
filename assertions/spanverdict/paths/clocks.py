"""How far the clocks of hosts differ, as far as the calls between them tell. No time is ever changed.

A server is called after its client begins and has answered before the client ends. So each call from
one host to another says between what the difference of the two clocks lies, and all calls together
say it best. From Jaeger's clock-skew adjuster, which moves spans instead: into the middle of their
parents, message consumers too, and each by its own parent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from spanverdict.paths.clockchains import Chains
from spanverdict.paths.defects import Defect
from spanverdict.paths.hosts import Hosts, hosts_of
from spanverdict.paths.overlap import meeting, most_of
from spanverdict.paths.stitching import Trees
from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.spantable import MAX_TIME, Bools, Int64s, Rows, SpanTable
from spanverdict.telemetry.vocabulary import FLAG_HAS_IS_REMOTE, FLAG_IS_REMOTE, SpanKind

FARTHEST: Final = 1 << 62
"""Nanoseconds that clocks differ at most: 146 years."""
STRAYS: Final = 100
"""Of so many calls one may contradict the others."""
_SCALES: Final = (1_000_000, 1_000)
"""Steps in ns that clocks are known to take, the coarsest first."""
_FEW: Final = 1000
_MESSAGING: Final = "messaging.system"


@dataclass(frozen=True, slots=True, eq=False)
class Offsets:
    """What calls say of pairs of clocks, one entry a pair; `first` < `second`."""

    first: Int64s
    second: Int64s
    low: Int64s
    """The least to add to a time by the second clock to have it by the first …"""
    high: Int64s
    """… and the most."""
    calls: Int64s
    steady: Bools
    """One difference fits all calls but strays. If not, low and high are what single calls allow, strays aside."""
    possible: Bools
    """One difference fits the causes of all calls but strays: no server begins before its client, or after its end."""
    apart: Bools
    """More calls than strays could not be if the two were one clock."""

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """Calls between different clocks, (n,) each."""

    client: Int64s
    """Its clock."""
    server: Int64s
    low: Int64s
    """The least to add to the server's times to have them by the client's clock …"""
    high: Int64s
    """… and the most …"""
    late: Int64s
    """… were the server to begin at the very end of its client."""


@dataclass(frozen=True, slots=True, eq=False)
class _Times:
    """The clocks and times of some spans, (n,) each."""

    clock: Int64s
    start: Int64s
    end: Int64s

    @staticmethod
    def of(table: SpanTable, rows: Rows, clock: Int64s) -> _Times:
        return _Times(clock, table.start_time_unix_nano.take(rows), table.end_time_unix_nano.take(rows))

    def where(self, use: Bools) -> _Times:
        return _Times(self.clock[use], self.start[use], self.end[use])

    def may_be(self) -> Bools:
        """Tell which spans begin and end at times that a clock shows."""
        possible: Bools = (self.start > 0) & (self.end >= self.start) & (self.end < MAX_TIME)
        return possible


def calls_between(table: SpanTable, trees: Trees, hosts: Hosts) -> Calls:
    """Find the calls between clocks: SERVER spans below CLIENT spans in other processes. No messages.

    A server that outlasts its client answered before it was done, so all that is known is that it
    began while its client waited.
    """
    child = np.flatnonzero((table.kind == SpanKind.SERVER) & (trees.parent >= 0))
    parent = trees.parent.take(child)
    asked, own = (hosts.of_resource.take(table.resource.take(rows)) for rows in (parent, child))
    use = np.flatnonzero((table.kind.take(parent) == SpanKind.CLIENT) & (asked != own))
    if len(use) < len(child):
        child, parent, asked, own = child[use], parent[use], asked[use], own[use]
    client, server = _Times.of(table, parent, asked), _Times.of(table, child, own)
    called = _is_call(table, child, parent) & client.may_be() & server.may_be()
    if not called.all():
        client, server = client.where(called), server.where(called)
    low, high, late = client.start - server.start, client.end - server.end, client.end - server.start
    slack = _slack((client, server), len(hosts))
    low, high, late = low - slack, np.where(high < low, late, high) + slack, late + slack
    limits = (-FARTHEST, FARTHEST)
    return Calls(client.clock, server.clock, *(np.clip(end, *limits) for end in (low, high, late)))


def _is_call(table: SpanTable, child: Rows, parent: Rows) -> Bools:
    flags = table.flags.take(child)
    called: Bools = ((flags & FLAG_HAS_IS_REMOTE) == 0) | ((flags & FLAG_IS_REMOTE) != 0)
    if table.pool.keys.id_of(_MESSAGING) >= 0:
        message = table.attribute(_MESSAGING).codes >= 0
        called &= ~message[child] & ~message[parent]
    return called


def _slack(ends: tuple[_Times, _Times], n_clocks: int) -> Int64s:
    """Return what the steps of both clocks may hide: a clock of whole milliseconds is up to one of them behind."""
    step = np.zeros(n_clocks, np.int64)
    for scale in _SCALES:
        step[_coarse(ends, n_clocks, scale) & (step == 0)] = scale
    client, server = (step.take(some.clock) if step.any() else np.zeros(1, np.int64) for some in ends)
    slack: Int64s = np.maximum(client, server)
    return slack


def _coarse(ends: tuple[_Times, _Times], n_clocks: int, scale: int) -> Bools:
    """Tell which clocks show nothing finer; few looks tell most that do."""
    coarse = np.ones(n_clocks, np.bool_)
    for few in (slice(None, None, max(1, len(ends[0].clock) // _FEW)), slice(None)):
        for some in ends:
            if not coarse.any():
                return coarse
            rest = np.flatnonzero(coarse.take(some.clock[few]))
            clock = some.clock[few].take(rest)
            for time in (some.start, some.end):
                coarse[clock[time[few].take(rest) % scale != 0]] = False
    return coarse


def offsets_of(calls: Calls, n_clocks: int) -> Offsets:
    """Find what all calls of each pair of clocks say together."""
    swapped = calls.client > calls.server
    first, second = np.where(swapped, calls.server, calls.client), np.where(swapped, calls.client, calls.server)
    order = order_of(first * n_clocks + second)
    low = np.where(swapped, -calls.high, calls.low)[order]
    high = np.where(swapped, -calls.low, calls.high)[order]
    begun = np.where(swapped, -calls.late, calls.low)[order], np.where(swapped, -calls.low, calls.late)[order]
    key = (first * n_clocks + second)[order]
    heads = np.flatnonzero(np.diff(key, prepend=-1))
    count = np.diff(np.append(heads, len(key)))
    least, most, steady = _meetings(low, high, heads, count)
    possible = steady.copy()  # what fits whole calls fits their beginnings
    for group in np.flatnonzero(~steady).tolist():
        own = slice(int(heads[group]), int(heads[group] + count[group]))
        possible[group] = meeting(begun[0][own], begun[1][own], int(count[group]) // STRAYS) is not None
    contradict = (begun[0] > 0) | (begun[1] < 0)
    apart = (
        np.add.reduceat(contradict, heads, dtype=np.int64) > count // STRAYS if len(heads) else np.zeros(0, np.bool_)
    )
    return Offsets(key[heads] // n_clocks, key[heads] % n_clocks, least, most, count, steady, possible, apart)


def _meetings(low: Int64s, high: Int64s, heads: Rows, count: Int64s) -> tuple[Int64s, Int64s, Bools]:
    """Return where the intervals of each group meet, and whether they do; else how far most of them reach."""
    if not len(heads):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.bool_)
    least, most = np.maximum.reduceat(low, heads), np.minimum.reduceat(high, heads)
    met = least <= most
    for group in np.flatnonzero(~met).tolist():
        own = slice(int(heads[group]), int(heads[group] + count[group]))
        strays = int(count[group]) // STRAYS
        found = meeting(low[own], high[own], strays)
        met[group] = found is not None
        least[group], most[group] = found or most_of(low[own], high[own], strays)
    return least, most, met


@dataclass(frozen=True, slots=True, eq=False)
class Clocks:
    """The clocks of a run and how far each two of them differ.

    Hosts that are named as different have clocks of their own. A process that does not say where it
    ran is taken to share the clock of whomever it is compared with, until calls show otherwise.
    """

    hosts: Hosts
    offsets: Offsets
    within: int | None = None
    """How far two clocks differ at most, in ns, in the word of whoever keeps them in step."""

    @property
    def own(self) -> Bools:
        """Tell which clocks are not taken to be that of another."""
        own = self.hosts.stated.copy()
        own[self.offsets.first[self.offsets.apart]] = True
        own[self.offsets.second[self.offsets.apart]] = True
        return own

    @property
    def several(self) -> bool:
        """Tell whether two clocks may differ at all."""
        return int(self.own.sum()) > 1

    def of(self, table: SpanTable) -> Int64s:
        """Return the clock of each row of a table of the same pool."""
        return self.hosts.of_resource[table.resource]

    def between(self, first: Int64s, second: Int64s) -> tuple[Int64s, Int64s, Bools]:
        """Return (low, high) to add to times by the second clocks to have them by the first, and whether it is known.

        All (n,). What is not known is 0.
        """
        size = len(self.hosts)
        pairs, place = np.unique(first * size + second, return_inverse=True)
        low, high, known = self._of_pairs(pairs // size, pairs % size)
        return low[place], high[place], known[place]

    def _of_pairs(self, first: Int64s, second: Int64s) -> tuple[Int64s, Int64s, Bools]:
        low, high, own = np.zeros(len(first), np.int64), np.zeros(len(first), np.int64), self.own
        ask = np.flatnonzero((first != second) & own[first] & own[second])
        known = np.ones(len(first), np.bool_)
        if len(ask):
            low[ask], high[ask], known[ask] = self._measured(first[ask], second[ask])
        if self.within is None or not len(ask):
            return low, high, known
        bound = np.full(len(ask), self.within)
        least, most = np.maximum(low[ask], -bound), np.minimum(high[ask], bound)
        fits = known[ask] & (least <= most)
        low[ask] = np.where(fits, least, np.where(known[ask], low[ask], -bound))
        high[ask] = np.where(fits, most, np.where(known[ask], high[ask], bound))
        known[ask] = True
        return low, high, known

    def _measured(self, first: Int64s, second: Int64s) -> tuple[Int64s, Int64s, Bools]:
        """Look pairs up among those that call each other, and find chains of calls for the others."""
        size, offsets = len(self.hosts), self.offsets
        swapped = first > second
        wanted = np.where(swapped, second * size + first, first * size + second)
        keys = offsets.first * size + offsets.second
        if not len(keys):
            return np.zeros(len(first), np.int64), np.zeros(len(first), np.int64), np.zeros(len(first), np.bool_)
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        known = keys[place] == wanted
        low = np.where(swapped, -offsets.high[place], offsets.low[place])
        high = np.where(swapped, -offsets.low[place], offsets.high[place])
        rest = np.flatnonzero(~known)
        if len(rest):
            chains = Chains(offsets.first, offsets.second, offsets.low, offsets.high, size)
            low[rest], high[rest], known[rest] = chains.between(first[rest], second[rest])
        return np.where(known, low, 0), np.where(known, high, 0), known

    def defects(self) -> Iterator[Defect]:
        """Yield what is wrong with clocks: no single difference can explain the calls."""
        broken = np.flatnonzero(~self.offsets.possible & self.own[self.offsets.first] & self.own[self.offsets.second])
        if len(broken):
            named = sorted(f"{a} and {b}" for a, b in map(self._pair_names, broken.tolist()))
            detail = f"the clocks of {named[0]} ran apart: no difference of theirs fits 99 % of the calls between them"
            yield Defect("clock_drift", len(broken), detail)

    def _pair_names(self, place: int) -> tuple[str, str]:
        names = self.hosts.names
        return names[int(self.offsets.first[place])], names[int(self.offsets.second[place])]


def clocks_of(table: SpanTable, trees: Trees) -> Clocks:
    """Find the clocks of a table and compare them; `trees` are those of its traces."""
    hosts = hosts_of(table)
    return Clocks(hosts, offsets_of(calls_between(table, trees, hosts), max(len(hosts), 1)))
