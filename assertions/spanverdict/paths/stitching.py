"""From ingest spans to whole requests, across traces.

A request is the causal past and future of one ingest span: its ancestors, everything below it, and
what links, messages and shared keys join to it. The forest is first contracted to *segments*: an
entry (a root, an ingest span, a span that something else than its parent leads to) with all that
hangs below it up to the next entry. A segment belongs to a request as a whole, so the search runs
over few nodes however many spans there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from spanverdict.paths.association import equal_values, message_columns
from spanverdict.paths.forest import MAX_HOPS, Forest, SpanIndex
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int8s, Int64s, Rows, SpanTable, gather
from spanverdict.telemetry.vocabulary import SpanKind


class Join(IntEnum):
    """What joined a span to its request; `TRACE` is for orphans, whose parent never came."""

    START = 0
    ANCESTOR = 1
    PARENT = 2
    LINK = 3
    MESSAGE = 4
    KEY = 5
    TRACE = 6


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """The requests of a table and the spans of each; a shared span is a member of several."""

    start_row: Rows
    """(n_requests,) the ingest span of each request, ascending."""
    request: Int64s
    """(n_members,) ascending …"""
    row: Rows
    """… with the rows of the table, ascending within a request …"""
    join: Int8s
    """… and what joined each (`Join`)."""
    shared: Bools
    """(n_members,) the row is a member of more than one request."""
    hop_cap_reached: int
    """Requests whose path goes on beyond `MAX_HOPS` joins."""

    def __len__(self) -> int:
        return len(self.start_row)


@dataclass(frozen=True, slots=True, eq=False)
class LinkEdges:
    """Resolved span links of a table."""

    source: Rows
    """The linked, earlier span …"""
    target: Rows
    """… and the span that carries the link."""
    dangling: int
    """Links to spans that are not here."""
    to_self: int
    """Links of a span to itself; never followed."""


def resolve_links(table: SpanTable) -> LinkEdges:
    """Find the rows that the links of `table` point to."""
    carrier = np.repeat(np.arange(len(table)), np.diff(table.links.offsets))
    index = SpanIndex(table, table.trace.astype(np.int64))
    linked = index.find(table.links.trace.astype(np.int64), table.links.span_id)
    here, own = linked >= 0, linked == carrier
    use = here & ~own
    return LinkEdges(linked[use], carrier[use], int((~here).sum()), int(own.sum()))


def message_edges(table: SpanTable, links: LinkEdges) -> tuple[Rows, Rows]:
    """Return (from, to) rows that share message coordinates, for consumers that no link leads to."""
    linked = np.zeros(len(table), np.bool_)
    linked[links.target] = True
    sends = np.isin(table.kind, (SpanKind.PRODUCER, SpanKind.CLIENT))
    takes = (table.kind == SpanKind.CONSUMER) & ~linked
    sources, targets = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
    for column in message_columns(table):
        message = _KeyColumn.of(column).value
        here = message >= 0
        producers = _first_of_each(table, message, np.flatnonzero(here & sends))
        consumers = np.flatnonzero(here & takes)
        source = _look_up(message[producers], producers, message[consumers])
        found = (source >= 0) & ~np.isin(consumers, np.concatenate(targets))
        sources.append(source[found])
        targets.append(consumers[found])
    return np.concatenate(sources), np.concatenate(targets)


def _first_of_each(table: SpanTable, value: Int64s, rows: Rows) -> Rows:
    """Of the rows with one value keep the sender: a PRODUCER before a CLIENT, then the earliest."""
    client = table.kind[rows] == SpanKind.CLIENT
    order = np.lexsort((table.start_time_unix_nano[rows], client, value[rows]))
    _, first = np.unique(value[rows][order], return_index=True)
    return rows[order][first]


def _look_up(keys: Int64s, rows: Rows, wanted: Int64s) -> Rows:
    """Return the row for each wanted key, -1 where there is none; `keys` ascend."""
    if not len(keys):
        return np.full(len(wanted), -1, np.intp)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, rows[place], -1)


def stitch(
    table: SpanTable,
    forest: Forest,
    starts: Bools,
    *,
    links: LinkEdges,
    keys: Sequence[AttributeColumn] = (),
) -> Requests:
    """Find the requests that begin at `starts` and the spans of each.

    `table` is in canonical order, `forest` is its trace forest, `starts` marks the spans that match
    the first stage. A match below another match is part of the outer request, not a new one; ingest
    spans that share a key value are one request.
    """
    start_row = np.flatnonzero(starts & ~forest.descendants(starts))
    shared_values = [_KeyColumn.of(column) for column in keys]
    starting = (start_row, _number_requests(start_row, shared_values))
    graph = _graph(table, forest, starting, links, shared_values)
    reached = _search(graph, starting[1] * graph.n_nodes + start_row)
    return _expand(graph, forest, reached, starting)


@dataclass(frozen=True, slots=True, eq=False)
class _KeyColumn:
    """A correlate attribute: the number of its value on each row, -1 where absent."""

    value: Int64s
    n_values: int

    @staticmethod
    def of(column: AttributeColumn) -> _KeyColumn:
        if not column.values:
            return _KeyColumn(np.full(len(column.codes), -1, np.int64), 0)
        same = equal_values(column)
        return _KeyColumn(np.where(column.codes >= 0, same[column.codes], -1), len(same))


def _number_requests(start_row: Rows, keys: Sequence[_KeyColumn]) -> Int64s:
    """Number the requests; ingest spans with a common key value get one number, the earliest's."""
    leader = np.arange(len(start_row))
    for key in keys:
        value = key.value[start_row]
        tagged = np.flatnonzero(value >= 0)
        _, first, position = np.unique(value[tagged], return_index=True, return_inverse=True)
        leader[tagged] = np.minimum(leader[tagged], leader[tagged[first[position]]])
    _, request = np.unique(leader[leader], return_inverse=True)
    return request.astype(np.int64)


class _Edges:
    """Directed edges between nodes, found by source."""

    def __init__(self, n_nodes: int, parts: Sequence[tuple[Int64s, Int64s, Join]]) -> None:
        source = np.concatenate([part[0] for part in parts])
        order = np.argsort(source, kind="stable")
        self.source = source[order]
        self.target = np.concatenate([part[1] for part in parts])[order]
        self.join = np.repeat([part[2] for part in parts], [len(part[0]) for part in parts])[order]
        self.offsets = np.zeros(n_nodes + 1, np.int64)
        np.cumsum(np.bincount(source, minlength=n_nodes), out=self.offsets[1:])
        self.open = np.ones(len(source), np.bool_)
        """Edges that may be followed."""

    def follow(self, pairs: Int64s, n_nodes: int) -> tuple[Int64s, Int64s]:
        """Return the (request, node) pairs one open edge beyond `pairs`, and their joins."""
        request, node = np.divmod(pairs, n_nodes)
        offsets, places = gather(self.offsets, node)
        request = np.repeat(request, np.diff(offsets))
        use = self.open[places]
        places = places[use]
        return request[use] * n_nodes + self.target[places], self.join[places]


@dataclass(frozen=True, slots=True, eq=False)
class _Graph:
    """Segments, named by the row of their entry, and key values, numbered from `n_rows` on."""

    segment: Rows
    """(n_rows,) entry of the segment each row is in."""
    n_nodes: int
    tree: _Edges
    """From segments to the segments that hang below them."""
    hops: _Edges
    """Links, messages and keys; these count towards the hop cap."""


def _graph(
    table: SpanTable, forest: Forest, starts: tuple[Rows, Int64s], links: LinkEdges, keys: Sequence[_KeyColumn]
) -> _Graph:
    message_from, message_to = message_edges(table, links)
    specific = np.zeros(len(table), np.bool_)
    specific[links.target] = True
    specific[message_to] = True
    joins = [_key_joins(forest, key) for key in keys]
    for _, joined in joins:
        specific[joined] |= forest.parent[joined] >= 0
    entry = (forest.parent < 0) | specific
    entry[starts[0]] = True
    segment = _segments(forest.parent, entry)
    below = np.flatnonzero(entry & (forest.parent >= 0))
    hops = [
        (segment[links.source], links.target, Join.LINK),
        (segment[message_from], message_to, Join.MESSAGE),
    ]
    n_nodes = len(table)
    for key, (carriers, joined) in zip(keys, joins, strict=True):
        value = n_nodes + key.value[carriers]
        hops += [(segment[carriers], value, Join.KEY), (value, joined, Join.KEY)]
        n_nodes += key.n_values
    tree = [(segment[forest.parent[below]], below, Join.PARENT), _orphan_edges(forest, segment, starts)]
    tree_edges = _Edges(n_nodes, tree)
    tree_edges.open = ~(specific[tree_edges.target] & (tree_edges.join == Join.PARENT))
    return _Graph(segment, n_nodes, tree_edges, _Edges(n_nodes, hops))


def _key_joins(forest: Forest, key: _KeyColumn) -> tuple[Rows, Rows]:
    """Return the rows that bring a key value in, and the entry that each value leads to.

    A trace with one value of the key joins as a whole, by its root; in a trace with several values
    only what hangs below a carrier belongs to its value.
    """
    tagged = key.value >= 0
    above = forest.parent
    topmost = tagged & ((above < 0) | (key.value[above] != key.value))
    carriers = np.flatnonzero(topmost)
    pairs = np.unique(np.stack([forest.group[carriers], key.value[carriers]]), axis=1)
    values_in_trace = np.bincount(pairs[0], minlength=int(forest.group.max(initial=0)) + 1)
    whole = values_in_trace[forest.group[carriers]] == 1
    return carriers, np.where(whole, forest.root[carriers], carriers)


def _orphan_edges(forest: Forest, segment: Rows, starts: tuple[Rows, Int64s]) -> tuple[Rows, Rows, Join]:
    """Join orphans to the request of their trace, where the trace holds just one."""
    start_row, request = starts
    n_groups = int(forest.group.max(initial=0)) + 1
    lowest = np.full(n_groups, np.iinfo(np.int64).max)
    highest = np.full(n_groups, -1)
    start_of = np.full(n_groups, -1, np.intp)
    trace = forest.group[start_row]
    np.minimum.at(lowest, trace, request)
    np.maximum.at(highest, trace, request)
    start_of[trace[::-1]] = start_row[::-1]
    orphans = np.flatnonzero(forest.orphan)
    trace = forest.group[orphans]
    one = (lowest[trace] == highest[trace]) & (start_of[trace] != orphans)
    return segment[start_of[trace[one]]], orphans[one], Join.TRACE


def _segments(parent: Rows, entry: Bools) -> Rows:
    """Return for each row the nearest entry at or above it, by doubling the distance looked."""
    segment = np.where(entry, np.arange(len(parent)), parent)
    while True:
        farther = segment[segment]
        if np.array_equal(farther, segment):
            return segment
        segment = farther


@dataclass(frozen=True, slots=True, eq=False)
class _Reached:
    pairs: Int64s
    """request * n_nodes + node, ascending."""
    join: Int64s
    capped: int


def _search(graph: _Graph, seeds: Int64s) -> _Reached:
    """Search outwards from the ingest segments; a specific join beats a shared parent.

    An entry that something of its own leads to follows its parent only where the parent belongs to
    a single request. Which parents do shows only in the result, so the search is repeated with
    those edges open; an edge whose parent turns out shared after all is shut for good.
    """
    tree = graph.tree
    conditional = np.flatnonzero(~tree.open)
    source = tree.source[conditional]
    banned = np.zeros(len(conditional), np.bool_)
    while True:
        reached = _spread(graph, seeds)
        held = np.bincount(reached.pairs % graph.n_nodes, minlength=graph.n_nodes)[source]
        banned |= held > 1
        wanted = (held == 1) & ~banned
        if np.array_equal(wanted, tree.open[conditional]):
            return reached
        tree.open[conditional] = wanted


def _spread(graph: _Graph, seeds: Int64s) -> _Reached:
    """Follow all open edges from the seeds, at most `MAX_HOPS` of those that are not tree edges."""
    pairs, join = np.sort(seeds), np.full(len(seeds), int(Join.START))
    fresh = pairs
    for _ in range(MAX_HOPS):
        added = [fresh]
        while len(fresh):
            pairs, join, fresh = _merged(pairs, join, *graph.tree.follow(fresh, graph.n_nodes))
            added.append(fresh)
        beyond = graph.hops.follow(np.concatenate(added), graph.n_nodes)
        pairs, join, fresh = _merged(pairs, join, *beyond)
        if not len(fresh):
            return _Reached(pairs, join, 0)
    return _Reached(pairs, join, len(np.unique(fresh // graph.n_nodes)))


def _merged(pairs: Int64s, join: Int64s, more: Int64s, more_join: Int64s) -> tuple[Int64s, Int64s, Int64s]:
    """Add pairs that are new, each with its strongest join; return all, ascending, and the new ones."""
    order = np.lexsort((more_join, more))
    more, more_join = more[order], more_join[order]
    use = np.ones(len(more), np.bool_)
    use[1:] = more[1:] != more[:-1]
    place = np.minimum(np.searchsorted(pairs, more), len(pairs) - 1)
    use &= pairs[place] != more if len(pairs) else True
    fresh = more[use]
    all_pairs = np.concatenate([pairs, fresh])
    order = np.argsort(all_pairs, kind="stable")
    return all_pairs[order], np.concatenate([join, more_join[use]])[order], fresh


def _expand(graph: _Graph, forest: Forest, reached: _Reached, starts: tuple[Rows, Int64s]) -> Requests:
    """Lay out the rows of every reached segment, and the ancestors of the ingest spans."""
    n_rows = len(forest)
    offsets = np.zeros(graph.n_nodes + 1, np.int64)
    np.cumsum(np.bincount(graph.segment, minlength=graph.n_nodes), out=offsets[1:])
    by_segment = np.argsort(graph.segment, kind="stable")
    request, node = np.divmod(reached.pairs, graph.n_nodes)
    taken, places = gather(offsets, node)
    sizes = np.diff(taken)
    row = by_segment[places]
    join = np.where(row == np.repeat(node, sizes), np.repeat(reached.join, sizes), Join.PARENT)
    members = np.repeat(request, sizes) * n_rows + row
    members, join = _with_ancestors(members, join, forest, starts)
    request, row = np.divmod(members, n_rows)
    start_row, start_request = starts
    _, first = np.unique(start_request, return_index=True)
    shared = np.bincount(row, minlength=n_rows)[row] > 1
    return Requests(start_row[first], request, row, join.astype(np.int8), shared, reached.capped)


def _with_ancestors(
    members: Int64s, join: Int64s, forest: Forest, starts: tuple[Rows, Int64s]
) -> tuple[Int64s, Int64s]:
    """Add what stands above the ingest spans, `MAX_HOPS` spans up at most; return all, ascending."""
    above, request = starts
    parts = [members]
    for _ in range(MAX_HOPS):
        above = forest.parent[above]
        request, above = request[above >= 0], above[above >= 0]
        if not len(above):
            break
        parts.append(request * len(forest) + above)
    order = np.argsort(members, kind="stable")
    more = np.concatenate(parts[1:]) if len(parts) > 1 else np.zeros(0, np.int64)
    everything, joins, _ = _merged(members[order], join[order], more, np.full(len(more), int(Join.ANCESTOR)))
    return everything, joins
