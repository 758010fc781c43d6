"""What paths run over: ingest spans with the requests they begin, and the graph of segments and key values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spanverdict.paths.chains import ends
from spanverdict.paths.forest import Numbering, number
from spanverdict.paths.joins import Join
from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.ragged import gather
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int64s, Ints, Rows, SpanTable

_MOST = np.iinfo(np.int64).max


def nearest(parent: Rows, marked: Bools) -> Rows:
    """Return for each row the nearest marked row at or above it; roots have to be marked."""
    following, rows = parent.copy(), np.flatnonzero(marked)
    following[rows] = rows
    return ends(following)


@dataclass(frozen=True, slots=True, eq=False)
class Starts:
    """The ingest spans that no other stands above, and the request that each begins."""

    row: Rows
    """Ascending …"""
    request: Int64s
    """… with the number of the request; ingest spans with a common key value begin the same one."""
    values: tuple[Int64s, ...]
    """For each key the value of each ingest span's request, -1 for none."""
    keys: tuple[AttributeColumn, ...]

    def __len__(self) -> int:
        return int(self.request.max(initial=-1)) + 1

    @staticmethod
    def of(table: SpanTable, parent: Rows, starts: Bools, keys: Sequence[AttributeColumn]) -> Starts:
        """Find the ingest spans. `keys` are columns of texts."""
        row = np.flatnonzero(starts)
        upper = parent[row]
        if not len(keys) and (upper < 0).all():
            return Starts(row, np.arange(len(row)), (), ())
        above = nearest(parent, starts | (parent < 0))
        row = row[(upper < 0) | ~starts[above[upper]]]
        values = tuple(_values_of(table, row, starts, above, key) for key in keys)
        return Starts(row, _number_requests(values, len(row)), values, tuple(keys))

    def first_rows(self, table: SpanTable) -> Rows:
        """Return the earliest ingest span of each request."""
        if len(self) == len(self.row):
            first_of = np.empty_like(self.row)
            first_of[self.request] = self.row
            return first_of
        order = order_of(self.request, table.start_time_unix_nano[self.row], table.span_id[self.row])
        first = np.diff(self.request[order], prepend=-1) != 0
        return np.asarray(self.row[order][first])


def _values_of(table: SpanTable, row: Rows, starts: Bools, above: Rows, key: AttributeColumn) -> Int64s:
    """Return the value of each ingest span: its own, else the only one below it, else the only one of its trace.

    The last counts only where the trace holds a single ingest span.
    """
    carriers = np.flatnonzero(key.codes >= 0)
    codes = key.codes.astype(np.int64)
    below = carriers[starts[above[carriers]]]
    inside = only_value(above[below], codes[below], len(table))[row]
    n_traces = len(table.pool.traces)
    of_trace = only_value(table.trace[carriers], codes[carriers], n_traces)[table.trace[row]]
    alone = np.bincount(table.trace[row], minlength=n_traces)[table.trace[row]] == 1
    found = np.where(codes[row] >= 0, codes[row], inside)
    return np.where((found < 0) & alone, of_trace, found)


def only_value(place: Ints, value: Ints, n_places: int) -> Int64s:
    """Return for each place its value where it has just one, else -1."""
    lowest, highest = np.full(n_places, _MOST), np.full(n_places, -1)
    np.minimum.at(lowest, place, value)
    np.maximum.at(highest, place, value)
    return np.where(lowest == highest, highest, -1)


def _number_requests(values: Sequence[Int64s], count: int) -> Int64s:
    """Number the requests: ingest spans that a chain of common values connects have one number.

    Every round hooks each group to the least leader that one of its values knows, then shortens.
    """
    leader = np.arange(count)
    if not any((value >= 0).any() for value in values):
        return leader
    while True:
        before = leader.copy()
        for value in values:
            tagged = np.flatnonzero(value >= 0)
            least = np.full(int(value.max(initial=-1)) + 1, count)
            np.minimum.at(least, value[tagged], leader[tagged])
            np.minimum.at(leader, leader[tagged].copy(), least[value[tagged]])
            while not np.array_equal(shorter := leader[leader], leader):
                leader = shorter
        if np.array_equal(before, leader):
            _, request = np.unique(leader, return_inverse=True)
            return request.astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Hops:
    """Directed edges between nodes by link, message or key, found by source."""

    offsets: Int64s
    target: Int64s
    join: Int64s

    @staticmethod
    def of(n_nodes: int, parts: Sequence[tuple[Rows, Int64s, Join]]) -> Hops:
        """Sort edges, given as (sources, targets, join)."""
        source = np.concatenate([part[0] for part in parts])
        order = order_of(source)
        offsets = np.zeros(n_nodes + 1, np.int64)
        np.cumsum(np.bincount(source, minlength=n_nodes), out=offsets[1:])
        join = np.repeat([int(part[2]) for part in parts], [len(part[0]) for part in parts])
        return Hops(offsets, np.concatenate([part[1] for part in parts])[order], join[order])

    def follow(self, pairs: Int64s, n_nodes: int) -> tuple[Int64s, Int64s]:
        """Return the (request, node) pairs one edge beyond `pairs`, and their joins."""
        request, node = np.divmod(pairs, n_nodes)
        offsets, places = gather(self.offsets, node)
        request = np.repeat(request, np.diff(offsets))
        return request * n_nodes + self.target[places], self.join[places]


@dataclass(frozen=True, slots=True, eq=False)
class PathGraph:
    """Nodes: first the segments, each known by its entry, then the values of the keys."""

    entry: Rows
    """(n_entries,) rows, ascending."""
    node: Rows
    """(n_rows,) the segment of each row."""
    n_nodes: int
    parent: Rows
    """(n_entries,) the segment above, -1 for none."""
    conditional: Bools
    """(n_entries,) something of its own leads here, so a parent that requests share does not count."""
    hops: Hops
    first_value: tuple[int, ...]
    """For each key the node of its first value."""
    key_joins: tuple[tuple[Int64s, Rows], ...]
    """For each key (value, row): the rows that its values lead to."""

    def value_node(self, key: int, value: Int64s) -> Int64s:
        """Return the nodes of values of a key."""
        return self.first_value[key] + value

    def rows_of(self, node: Int64s) -> tuple[Int64s, Rows]:
        """Return the rows of segments laid end to end, and the offsets of each segment's."""
        if not len(node):
            return np.zeros(1, np.int64), np.zeros(0, np.intp)
        offsets = np.zeros(len(self.entry) + 1, np.int64)
        np.cumsum(np.bincount(self.node, minlength=len(self.entry)), out=offsets[1:])
        taken, places = gather(offsets, node)
        return taken, order_of(self.node)[places]

    def numbered(self, closed: Bools) -> Numbering:
        """Number the trees of segments, cut above those that are `closed`."""
        parent = np.where(closed, -1, self.parent)
        return number(parent, order_of(parent))


def draw(
    table: SpanTable,
    parent: Rows,
    starts: Starts,
    links: tuple[Rows, Rows],
    messages: tuple[Rows, Rows],
) -> PathGraph:
    """Draw the graph; `links` and `messages` are (from, to) rows."""
    joined = [_key_joins(table, parent, starts, key) for key in starts.keys]
    specific = np.zeros(len(table), np.bool_)
    for _, target in (links, messages, *((values, rows) for _, (values, rows) in joined)):
        specific[target] = True
    entry = specific | (parent < 0)
    entry[starts.row] = True
    rows = np.flatnonzero(entry)
    place: Rows = np.cumsum(entry, dtype=np.intp)
    place -= 1
    node = place.take(nearest(parent, entry))
    above = parent[rows]
    first_value = np.cumsum([len(rows), *(len(key.values) for key in starts.keys)]).tolist()
    hops = [(node[links[0]], node[links[1]], Join.LINK), (node[messages[0]], node[messages[1]], Join.MESSAGE)]
    for key, (carriers, (values, targets)), first in zip(starts.keys, joined, first_value, strict=False):
        hops.append((node[carriers], first + key.codes[carriers].astype(np.int64), Join.KEY))
        hops.append((first + values, node[targets], Join.KEY))
    return PathGraph(
        rows,
        node,
        first_value[-1],
        np.where(above >= 0, node[above], -1),
        specific[rows] & (above >= 0),
        Hops.of(first_value[-1], hops),
        tuple(first_value[:-1]),
        tuple(edges for _, edges in joined),
    )


def _key_joins(
    table: SpanTable, parent: Rows, starts: Starts, key: AttributeColumn
) -> tuple[Rows, tuple[Int64s, Rows]]:
    """Return the rows that bring a key value in, and the (value, row) edges back.

    A trace without ingest span and with one value of the key joins as a whole; of any other only what
    hangs below a carrier belongs to its value.
    """
    codes = key.codes.astype(np.int64)
    above = np.where(parent >= 0, codes[parent], -1)
    carriers = np.flatnonzero((codes >= 0) & (codes != above))
    value_of_trace = only_value(table.trace[carriers], codes[carriers], len(table.pool.traces))
    value_of_trace[table.trace[starts.row]] = -1
    roots = np.flatnonzero(parent < 0)
    roots = roots[value_of_trace[table.trace[roots]] >= 0]
    single = carriers[value_of_trace[table.trace[carriers]] < 0]
    values = np.concatenate([value_of_trace[table.trace[roots]], codes[single]])
    return carriers, (values, np.concatenate([roots, single]))
