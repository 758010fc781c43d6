"""How runs spread from tagged traces to others: forwards freely, backwards only where nothing is shared.

A trace is held by a run in one of two ways. What a tagged trace stems from, and the tagged trace
itself, is its *past*: from there the run spreads to what came before and after. What came after is
only spread from forwards, so that other producers of a shared batch stay out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from spanverdict.paths.forest import MAX_HOPS
from spanverdict.paths.messageroles import Role, message_roles
from spanverdict.telemetry.distinct import ascending, each_once
from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.ragged import gather, owners
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int64s, Ints, Rows, SpanTable
from spanverdict.telemetry.vectors import constant

LINK, MESSAGE, KEY = 5, 6, 7
"""The `Reason`s that join traces, strongest first."""

_DENSE: Final = 16
"""Numbers below so many times their count are marked, and not searched for."""


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Directed edges, found by source."""

    offsets: Int64s
    target: Int64s
    why: Int64s

    @staticmethod
    def of(n_nodes: int, source: Int64s, target: Int64s, why: Int64s) -> Edges:
        """Sort edges."""
        order = order_of(source)
        offsets = np.zeros(n_nodes + 1, np.int64)
        np.cumsum(np.bincount(source, minlength=n_nodes), out=offsets[1:])
        return Edges(offsets, target[order], why[order])

    def follow(self, node: Int64s, run: Int64s, kinds: range) -> tuple[Int64s, Int64s, Int64s]:
        """Return (node, run, why) one edge on, over edges of some kinds."""
        if not len(self.target):
            return self.target, self.target, self.why
        offsets, places = gather(self.offsets, node)
        run = np.repeat(run, np.diff(offsets))
        use = (self.why[places] >= kinds.start) & (self.why[places] < kinds.stop)
        return self.target[places][use], run[use], self.why[places][use]


@dataclass(frozen=True, slots=True, eq=False)
class TracesHere:
    """The traces of a table."""

    count: int
    place: Int64s
    """For each trace of the pool its place among them, -1 when no span of it is here."""
    of_row: Rows
    """(n_rows,) the place of each row's trace."""

    @staticmethod
    def of(table: SpanTable) -> TracesHere:
        """Find them."""
        here = np.zeros(len(table.pool.traces), np.bool_)
        here[table.trace] = True
        if here.all():
            return TracesHere(len(here), np.arange(len(here)), table.trace.astype(np.intp))
        place = np.where(here, np.cumsum(here) - 1, -1)
        return TracesHere(int(here.sum()), place, place[table.trace].astype(np.intp, copy=False))


@dataclass(frozen=True, slots=True, eq=False)
class TraceGraph:
    """Nodes: first the traces that are here, then the texts of message columns and keys."""

    n_nodes: int
    forward: Edges
    backward: Edges
    sideways: Edges
    """By keys, both ways, between traces that are about one value."""
    from_many: Edges
    """By keys, from traces that are about several values."""

    def joins_by(self, kind: int) -> bool:
        """Tell whether there is an edge of a kind."""
        ways = (self.forward, self.sideways, self.from_many)
        return any(bool((edges.why == kind).any()) for edges in ways)


def draw(
    table: SpanTable, traces: TracesHere, messages: Sequence[AttributeColumn], keys: Sequence[AttributeColumn]
) -> TraceGraph:
    """Draw the graph; the columns are texts."""
    of_row, n_nodes = traces.of_row, traces.count
    ahead = [(*_link_edges(table, traces.place, of_row), LINK)]
    beside, many = [_no_edges()], [_no_edges()]
    for column in messages:
        ahead += [(*edges, MESSAGE) for edges in _message_edges(table, column, of_row, n_nodes)]
        n_nodes += len(column.values)
    for column in keys:
        single, several = _key_edges(column, of_row, n_nodes)
        beside += [single, single[::-1], several[::-1]]
        many.append(several)
        n_nodes += len(column.values)
    source, target = _joined([edges[:2] for edges in ahead])
    why = np.repeat([edges[2] for edges in ahead], [len(edges[0]) for edges in ahead])
    return TraceGraph(
        n_nodes,
        Edges.of(n_nodes, source, target, why),
        Edges.of(n_nodes, target, source, why),
        _by_key(n_nodes, beside),
        _by_key(n_nodes, many),
    )


_Pairs = tuple[Int64s, Int64s]


def _no_edges() -> _Pairs:
    return np.zeros(0, np.int64), np.zeros(0, np.int64)


def _joined(edges: Sequence[_Pairs]) -> _Pairs:
    return np.concatenate([pair[0] for pair in edges]), np.concatenate([pair[1] for pair in edges])


def _by_key(n_nodes: int, edges: Sequence[_Pairs]) -> Edges:
    source, target = _joined(edges)
    return Edges.of(n_nodes, source, target, np.full(len(source), KEY))


def _unique(left: Int64s, right: Int64s) -> _Pairs:
    """Return distinct pairs; numbers are not negative."""
    width = int(right.max(initial=0)) + 1
    return np.divmod(ascending(left.astype(np.int64) * width + right), width)


def _link_edges(table: SpanTable, place: Int64s, of_row: Rows) -> _Pairs:
    """Edges from linked to linking traces, where both are here."""
    owner = of_row[owners(table.links.offsets)]
    linked = place[table.links.trace]
    use = (linked >= 0) & (linked != owner)
    return _unique(linked[use], owner[use])


def _message_edges(table: SpanTable, column: AttributeColumn, of_row: Rows, first: int) -> tuple[_Pairs, _Pairs]:
    """Edges from traces to the messages they send, and from messages to the traces that take them.

    Of a span that does not say which it does either may be true.
    """
    has = column.codes >= 0
    if not column.values:
        return _no_edges(), _no_edges()
    roles = message_roles(table)
    sends, takes = has & (roles != Role.TAKES), has & (roles != Role.SENDS)
    sending = _unique(of_row[sends], first + column.codes[sends].astype(np.int64))
    taking = _unique(of_row[takes], first + column.codes[takes].astype(np.int64))
    return sending, taking[::-1]


def _key_edges(column: AttributeColumn, of_row: Rows, first: int) -> tuple[_Pairs, _Pairs]:
    """Edges from traces to the values of a key: of traces with one value, and of traces with several."""
    rows = np.flatnonzero(column.codes >= 0)
    trace, value = _unique(of_row[rows], first + column.codes[rows].astype(np.int64))
    alone = np.bincount(trace)[trace] == 1 if len(trace) else np.zeros(0, np.bool_)
    return (trace[alone], value[alone]), (trace[~alone], value[~alone])


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Which runs hold which traces."""

    n_traces: int
    n_runs: int
    pairs: Int64s
    """trace * n_runs + run, ascending …"""
    why: Int64s
    """… with the reason …"""
    past: Bools
    """… and whether the run may spread backwards from it."""

    @staticmethod
    def of(n_traces: int, n_runs: int, tagged: tuple[Rows, Int64s], why: int) -> Held:
        """Return what tags hold: (trace, run) pairs in any order and number."""
        none = np.zeros(0, np.int64)
        return Held(n_traces, max(n_runs, 1), none, none, none.astype(np.bool_)).with_more(*tagged, why, past=True)

    def with_more(self, trace: Int64s, run: Int64s, why: Int64s | int, *, past: Bools | bool) -> Held:
        """Hold more traces; what is held already keeps its reason, of several reasons the strongest counts."""
        return self.and_new(trace, run, why, past=past)[0]

    def and_new(self, trace: Int64s, run: Int64s, why: Int64s | int, *, past: Bools | bool) -> tuple[Held, Held]:
        """Hold more traces; return all that is held then, and what of it was not held before."""
        if not len(trace):
            return self, self.nothing()
        pairs, whys, pasts = self._strongest(trace.astype(np.int64) * self.n_runs + run, why, past)
        found = replace(self, pairs=pairs, why=whys, past=pasts)
        if not len(self.pairs):
            return found, found
        found = found.beyond(self)
        return self.with_all(found), found

    def nothing(self) -> Held:
        """Return none of it."""
        return self._only(slice(0))

    def with_all(self, other: Held) -> Held:
        """Return both; nothing is held by both."""
        if not len(self.pairs) or not len(other.pairs):
            return self if len(self.pairs) else other
        place = np.searchsorted(self.pairs, other.pairs) + np.arange(len(other.pairs))
        own = np.ones(len(self.pairs) + len(other.pairs), np.bool_)
        own[place] = False
        pairs, why, past = np.empty(len(own), np.int64), np.empty(len(own), np.int64), np.empty(len(own), np.bool_)
        columns = ((pairs, self.pairs, other.pairs), (why, self.why, other.why), (past, self.past, other.past))
        for column, mine, others in columns:
            column[own], column[place] = mine, others
        return replace(self, pairs=pairs, why=why, past=past)

    def _only(self, some: Bools | slice) -> Held:
        return replace(self, pairs=self.pairs[some], why=self.why[some], past=self.past[some])

    def _strongest(self, pairs: Int64s, why: Int64s | int, past: Bools | bool) -> tuple[Int64s, Int64s, Bools]:
        """Return pairs once each, ascending, with the strongest reason of each."""
        if isinstance(why, int) and isinstance(past, bool):
            pairs = each_once(pairs, self.n_traces * self.n_runs)
            return pairs, np.full(len(pairs), why, np.int64), np.full(len(pairs), past, np.bool_)
        whys, pasts = np.broadcast_to(why, pairs.shape), np.broadcast_to(past, pairs.shape)
        order = order_of(pairs, whys, (~pasts).view(np.int8))
        order = order[np.diff(pairs[order], prepend=-1) != 0]
        return pairs[order], whys[order], pasts[order]

    def free(self) -> Bools:
        """Tell which traces no run holds."""
        free = np.ones(self.n_traces, np.bool_)
        free[self.traces()] = False
        return free

    def traces(self) -> Int64s:
        """Return the trace of each pair."""
        return self.pairs if self.n_runs == 1 else self.pairs // self.n_runs

    def beyond(self, earlier: Held) -> Held:
        """Return only what `earlier` does not hold."""
        return self._only(~_among(earlier.pairs, self.pairs, self.n_traces * self.n_runs))

    def conflicts(self) -> int:
        """Count the traces that more than one run holds."""
        return int(self.shared().sum())

    def shared(self) -> Bools:
        """Tell which traces more than one run holds."""
        return np.bincount(self.traces(), minlength=self.n_traces) > 1

    def of_rows(self, of_row: Rows) -> tuple[Rows, Ints, Ints]:
        """Return (row, run, why) for every span of every held trace, by row."""
        if not self.conflicts():
            return self._single(of_row)
        offsets = np.searchsorted(self.pairs, np.arange(self.n_traces + 1) * self.n_runs)
        taken, places = gather(offsets, of_row)
        return np.repeat(np.arange(len(of_row)), np.diff(taken)), self.pairs[places] % self.n_runs, self.why[places]

    def _single(self, of_row: Rows) -> tuple[Rows, Ints, Ints]:
        """Do so where no trace is held by more than one run."""
        trace, held_by = _split(self.pairs, self.n_runs)
        run, why = np.full(self.n_traces, -1, np.int32), np.zeros(self.n_traces, np.int8)
        run[trace], why[trace] = held_by, self.why
        if len(trace) < self.n_traces:
            rows = np.flatnonzero((run >= 0)[of_row])
            of_row = of_row[rows]
        else:
            rows = np.arange(len(of_row))
        return rows, constant(0, len(rows), np.int32) if self.n_runs == 1 else run[of_row], why[of_row]


def _split(pairs: Int64s, n_runs: int) -> tuple[Int64s, Int64s]:
    """Return the first and second numbers of pairs."""
    return (pairs, constant(0, len(pairs), np.int64)) if n_runs == 1 else np.divmod(pairs, n_runs)


def _among(ascending: Int64s, wanted: Int64s, size: int) -> Bools:
    """Tell which wanted numbers from 0 to below `size` are among others; both ascend."""
    if not len(ascending) or not len(wanted):
        return np.zeros(len(wanted), np.bool_)
    if size <= _DENSE * len(wanted):
        seen = np.zeros(size, np.bool_)
        seen[ascending] = True
        return seen[wanted]
    place = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return np.asarray(ascending[place] == wanted)


def spread(graph: TraceGraph, held: Held, kind: int) -> Held:
    """Adopt free traces over edges of a kind, and go on from those over edges of that and of stronger kinds.

    Forwards all runs that reach a trace adopt it. Backwards and by keys they go ring by ring, and the
    nearest takes it; runs that are equally near share it. No run goes on for more than `MAX_HOPS`.
    """
    if not graph.joins_by(kind):
        return held
    kinds, all_kinds = range(kind, kind + 1), range(LINK, kind + 1)
    held, _ = _forwards(graph, held, held, (kinds, all_kinds))
    frontier = held
    for _ in range(MAX_HOPS):
        found, ring = _ring(graph, frontier, held, kinds)
        kinds = all_kinds
        held, after = _forwards(graph, found, ring, (kinds, kinds))
        frontier = ring.with_all(after)
        if not len(frontier.pairs):
            break
    return held


def _forwards(graph: TraceGraph, held: Held, frontier: Held, kinds: tuple[range, range]) -> tuple[Held, Held]:
    """Follow edges forwards from the frontier, into traces that are free as yet; `kinds` at first, and then on.

    Return all that is held then, and what of it was not held before.
    """
    free, found = held.free(), held.nothing()
    for hop in range(MAX_HOPS):
        node, run, why = _through(frontier.pairs, (graph.forward, graph.forward), kinds[hop > 0], held)
        use = free[node]
        held, frontier = held.and_new(node[use], run[use], why[use], past=False)
        if not len(frontier.pairs):
            break
        found = found.with_all(frontier)
    return held, found


def _ring(graph: TraceGraph, frontier: Held, held: Held, kinds: range) -> tuple[Held, Held]:
    """Take one step backwards, and by keys, into free traces; what is about several values joins nothing else.

    Return all that is held then, and what of it was not held before.
    """
    before, after = frontier.pairs[frontier.past], frontier.pairs[~frontier.past]
    steps = [(before, (graph.backward, graph.backward), True)]
    if KEY in kinds:
        steps += [
            (before, (graph.sideways, graph.sideways), True),
            (before, (graph.from_many, graph.sideways), True),
            (after, (graph.sideways, graph.sideways), False),
        ]
    free = held.free()
    several = np.diff(graph.from_many.offsets) > 0
    found = held.nothing()
    for pairs, edges, is_past in steps:
        node, run, why = _through(pairs, edges, kinds, held)
        use = free[node]
        past = is_past & ((why < KEY) | ~several[node])
        held, new = held.and_new(node[use], run[use], why[use], past=past[use])
        found = found.with_all(new)
    return held, found


def _through(pairs: Int64s, edges: tuple[Edges, Edges], kinds: range, held: Held) -> tuple[Int64s, Int64s, Int64s]:
    """Return the (trace, run, why) one step on; a shared text is not a stop but on the way.

    `edges` are those to follow, and those to follow on from a text.
    """
    node, run, why = edges[0].follow(*_split(pairs, held.n_runs), kinds)
    text = node >= held.n_traces
    if not text.any():
        return node, run, why
    texts = ascending(node[text] * held.n_runs + run[text])
    onward = edges[1].follow(*_split(texts, held.n_runs), kinds)
    direct = (node[~text], run[~text], why[~text])
    node, run, why = (np.concatenate(columns) for columns in zip(direct, onward, strict=True))
    return node, run, why
