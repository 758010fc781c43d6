"""How runs spread from tagged traces to others: forwards freely, backwards only where nothing is shared.

A trace is held by a run in one of two ways. What a tagged trace stems from, and the tagged trace
itself, is its *past*: from there the run spreads to what came before and after. What came after is
only spread from forwards, so that other producers of a shared batch stay out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spanverdict.paths.forest import MAX_HOPS
from spanverdict.paths.messageroles import Role, message_roles
from spanverdict.telemetry.distinct import ascending, each_once
from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.ragged import gather
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int64s, Ints, Rows, SpanTable

LINK, MESSAGE, KEY = 5, 6, 7
"""The `Reason`s that join traces, strongest first."""


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
    owner = np.repeat(of_row, np.diff(table.links.offsets))
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
        pairs, whys, pasts = self._strongest(trace.astype(np.int64) * self.n_runs + run, why, past)
        if not len(self.pairs):
            return replace(self, pairs=pairs, why=whys, past=pasts)
        new = ~_among(self.pairs, pairs)
        at = np.searchsorted(self.pairs, pairs[new])
        return replace(
            self,
            pairs=np.insert(self.pairs, at, pairs[new]),
            why=np.insert(self.why, at, whys[new]),
            past=np.insert(self.past, at, pasts[new]),
        )

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
        free[self.pairs // self.n_runs] = False
        return free

    def beyond(self, earlier: Held) -> Held:
        """Return only what `earlier` does not hold."""
        new = ~_among(earlier.pairs, self.pairs)
        return replace(self, pairs=self.pairs[new], why=self.why[new], past=self.past[new])

    def conflicts(self) -> int:
        """Count the traces that more than one run holds."""
        return int(self.shared().sum())

    def shared(self) -> Bools:
        """Tell which traces more than one run holds."""
        return np.bincount(self.pairs // self.n_runs, minlength=self.n_traces) > 1

    def of_rows(self, of_row: Rows) -> tuple[Rows, Ints, Ints]:
        """Return (row, run, why) for every span of every held trace, by row."""
        if not self.conflicts():
            return self._single(of_row)
        offsets = np.searchsorted(self.pairs, np.arange(self.n_traces + 1) * self.n_runs)
        taken, places = gather(offsets, of_row)
        return np.repeat(np.arange(len(of_row)), np.diff(taken)), self.pairs[places] % self.n_runs, self.why[places]

    def _single(self, of_row: Rows) -> tuple[Rows, Ints, Ints]:
        """Do so where no trace is held by more than one run."""
        trace, held_by = np.divmod(self.pairs, self.n_runs)
        run, why = np.full(self.n_traces, -1, np.int32), np.zeros(self.n_traces, np.int8)
        run[trace], why[trace] = held_by, self.why
        rows = np.flatnonzero((run >= 0)[of_row])
        of_row = of_row if len(rows) == len(of_row) else of_row[rows]
        return rows, run[of_row], why[of_row]


def _among(ascending: Int64s, wanted: Int64s) -> Bools:
    if not len(ascending):
        return np.zeros(len(wanted), np.bool_)
    place = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return np.asarray(ascending[place] == wanted)


def spread(graph: TraceGraph, held: Held, kind: int) -> Held:
    """Adopt free traces over edges of a kind, and go on from those over edges of that and of stronger kinds.

    Forwards all runs that reach a trace adopt it. Backwards and by keys they go ring by ring, and the
    nearest takes it; runs that are equally near share it. No run goes on for more than `MAX_HOPS`.
    """
    kinds, all_kinds = range(kind, kind + 1), range(LINK, kind + 1)
    frontier = held = _forwards(graph, held, held, (kinds, all_kinds))
    for _ in range(MAX_HOPS):
        found = _ring(graph, frontier, held, kinds)
        kinds = all_kinds
        found = _forwards(graph, found, found.beyond(held), (kinds, kinds))
        frontier, held = found.beyond(held), found
        if not len(frontier.pairs):
            break
    return held


def _forwards(graph: TraceGraph, held: Held, frontier: Held, kinds: tuple[range, range]) -> Held:
    """Follow edges forwards from the frontier, into traces that are free as yet; `kinds` at first, and then on."""
    free = held.free()
    for hop in range(MAX_HOPS):
        before = held
        node, run, why = _through(frontier.pairs, (graph.forward, graph.forward), kinds[hop > 0], held)
        use = free[node]
        held = held.with_more(node[use], run[use], why[use], past=False)
        frontier = held.beyond(before)
        if not len(frontier.pairs):
            break
    return held


def _ring(graph: TraceGraph, frontier: Held, held: Held, kinds: range) -> Held:
    """Take one step backwards, and by keys, into free traces; what is about several values joins nothing else."""
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
    found = held
    for pairs, edges, is_past in steps:
        node, run, why = _through(pairs, edges, kinds, held)
        use = free[node]
        past = is_past & ((why < KEY) | ~several[node])
        found = found.with_more(node[use], run[use], why[use], past=past[use])
    return found


def _through(pairs: Int64s, edges: tuple[Edges, Edges], kinds: range, held: Held) -> tuple[Int64s, Int64s, Int64s]:
    """Return the (trace, run, why) one step on; a shared text is not a stop but on the way.

    `edges` are those to follow, and those to follow on from a text.
    """
    node, run, why = edges[0].follow(*np.divmod(pairs, held.n_runs), kinds)
    text = node >= held.n_traces
    if not text.any():
        return node, run, why
    texts = ascending(node[text] * held.n_runs + run[text])
    onward = edges[1].follow(*np.divmod(texts, held.n_runs), kinds)
    direct = (node[~text], run[~text], why[~text])
    node, run, why = (np.concatenate(columns) for columns in zip(direct, onward, strict=True))
    return node, run, why
