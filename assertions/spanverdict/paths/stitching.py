"""From ingest spans to whole requests, across traces.

A request is the causal past and future of one ingest span: its ancestors, everything below it, and
what links, messages and shared keys join to it. The trees are first contracted to *segments*: an
entry (a root, an ingest span, a span that something else than its parent leads to) with all that
hangs below it up to the next entry. A segment belongs to a request as a whole, so the search runs
over few nodes however many spans there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from spanverdict.paths.forest import MAX_HOPS, SpanIndex
from spanverdict.paths.joins import Join
from spanverdict.paths.keyedges import KeyEdges, key_edges
from spanverdict.paths.messageroles import Role, message_roles
from spanverdict.paths.pathgraph import PathGraph, Starts, draw, nearest, only_value
from spanverdict.paths.search import Reached, Seeds, search
from spanverdict.paths.sharedvalues import conversation_column, message_columns, texts_of
from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.ragged import owners
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int8s, Int64s, Ints, Rows, SpanTable
from spanverdict.telemetry.vectors import widened
from spanverdict.telemetry.vocabulary import SpanKind


class Trees(Protocol):
    """Who is whose parent: a `Forest`, or its `Parents` alone."""

    @property
    def parent(self) -> Rows:
        """Row of the parent, -1 for none."""
        ...

    @property
    def orphan(self) -> Bools:
        """The parent that a row names is not here."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """The requests of a table and the spans of each; a shared span is a member of several.

    Members come in two parts: first every row that is in any request with the first of its requests,
    ascending by row; then the further memberships of shared rows, ascending by row and request.
    """

    start_row: Rows
    """(n_requests,) the ingest span of each request, of several the earliest."""
    request: Int64s
    """(n_members,)"""
    row: Rows
    """(n_members,) rows of the table …"""
    join: Int8s
    """… and what joined each (`Join`)."""
    further: int
    """Where the further memberships begin."""
    hop_cap_reached: int
    """Requests whose path goes on beyond `MAX_HOPS` joins."""
    keyed: KeyEdges
    """From where the values of keys came that joined spans."""

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


def resolve_links(table: SpanTable, index: SpanIndex | None = None, *, settled: bool = False) -> LinkEdges:
    """Find the rows that the links of `table` point to; `index`, if at hand, is that of the table by trace.

    A table that is settled, in canonical order and with every span once, takes less time.
    """
    carrier = owners(table.links.offsets)
    index = index or SpanIndex.of(table, widened(table.trace))
    trace = table.links.trace.astype(np.int64)
    linked = _found_in_traces(table, index, trace) if settled else index.find(trace, table.links.span_id)
    here, own = linked >= 0, linked == carrier
    use = here & ~own
    return LinkEdges(linked[use], carrier[use], int((~here).sum()), int(own.sum()))


def _found_in_traces(table: SpanTable, index: SpanIndex, trace: Int64s) -> Rows:
    """Return the rows that links point to in a settled table, -1 for none; its traces follow each other."""
    heads = np.flatnonzero(np.diff(table.trace, prepend=-1))
    first = np.full(len(table.pool.traces), -1, np.intp)
    first[table.trace[heads]] = heads
    found = np.full(len(trace), -1, np.intp)
    here = np.flatnonzero(first[trace] >= 0)
    found[here] = index.find_near(first[trace[here]], 1, trace[here], table.links.span_id[here])
    return found


def message_edges(table: SpanTable, links: LinkEdges) -> tuple[Rows, Rows]:
    """Return (from, to) rows that share message coordinates, for what takes messages and no link leads to.

    What has none of them comes from the last message of its conversation that was sent before.
    """
    columns, conversation = message_columns(table), conversation_column(table)
    if not any(column.values for column in (*columns, conversation)):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    linked = np.zeros(len(table), np.bool_)
    linked[links.target] = True
    roles = message_roles(table)
    sends = (roles == Role.SENDS) | ((roles == Role.UNKNOWN) & (table.kind == SpanKind.CLIENT))
    takes = (roles == Role.TAKES) & ~linked
    sources, targets = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
    for column in (*columns, conversation):
        message = column.codes
        senders, takers = np.flatnonzero((message >= 0) & sends), np.flatnonzero((message >= 0) & takes)
        if column is conversation:
            source = _latest_senders(table, message, senders, takers)
        else:
            sender = np.full(len(column.values), -1, np.intp)
            first = _sender_of_each(table, message, senders, roles)
            sender[message[first]] = first
            source = sender[message[takers]]
        found = source >= 0
        sources.append(source[found])
        targets.append(takers[found])
        takes[takers[found]] = False
    return np.concatenate(sources), np.concatenate(targets)


def _latest_senders(table: SpanTable, value: Ints, senders: Rows, takers: Rows) -> Rows:
    """Return for each taker the last sender with its value that began no later, -1 where there is none."""
    if not len(senders):
        return np.full(len(takers), -1, np.intp)
    start = table.start_time_unix_nano
    senders = senders[np.lexsort((table.span_id[senders], start[senders], value[senders]))]
    instants, rank = np.unique(start[senders], return_inverse=True)
    width = len(instants) + 1
    keys = value[senders].astype(np.int64) * width + rank
    before = np.searchsorted(instants, start[takers], side="right") - 1
    place = np.searchsorted(keys, value[takers].astype(np.int64) * width + before, side="right") - 1
    found = (place >= 0) & (value[senders[place]] == value[takers])
    return np.where(found, senders[place], -1)


def _sender_of_each(table: SpanTable, value: Ints, rows: Rows, roles: Int8s) -> Rows:
    """Of the rows with one value keep the sender: a PRODUCER, else what says that it sends, then the earliest."""
    no_producer, unsaid = table.kind[rows] != SpanKind.PRODUCER, roles[rows] == Role.UNKNOWN
    order = order_of(value[rows], no_producer, unsaid, table.start_time_unix_nano[rows])
    _, first = np.unique(value[rows][order], return_index=True)
    return rows[order][first]


def stitch(
    table: SpanTable,
    trees: Trees,
    starts: Bools,
    *,
    links: LinkEdges,
    messages: tuple[Rows, Rows] | None = None,
    keys: Sequence[AttributeColumn] = (),
) -> Requests:
    """Find the requests that begin at `starts` and the spans of each.

    `table` is in canonical order, `trees` are its traces', `starts` marks the spans that match the
    first stage; `messages` are the `message_edges`, if at hand. A match below another match is part of
    the outer request, not a new one; ingest spans that share a key value are one request.
    """
    shared = [texts_of(column) for column in keys]
    starting = Starts.of(table, trees.parent, starts, shared)
    messages = message_edges(table, links) if messages is None else messages
    graph = draw(table, trees.parent, starting, (links.source, links.target), messages)
    seeds = _seeds(table, trees, starting, graph)
    reached = search(graph, seeds)
    while True:
        late = _late_orphans(table, trees, starting, graph, reached)
        if not len(late):
            return _lay_out(table, trees.parent, graph, reached, starting)
        seeds = seeds.with_more(late, Join.TRACE)
        reached = search(graph, seeds)


def _seeds(table: SpanTable, trees: Trees, starting: Starts, graph: PathGraph) -> Seeds:
    """Begin at the ingest spans, their key values, and orphans in the trace of just one request."""
    request, row = starting.request, starting.row
    seeds = Seeds.none(graph.n_nodes).with_more(request * graph.n_nodes + graph.node[row], Join.START)
    for at, values in enumerate(starting.values):
        has = values >= 0
        seeds = seeds.with_more(request[has] * graph.n_nodes + graph.value_node(at, values[has]), Join.KEY)
    own_roots = nearest(trees.parent, trees.parent < 0)[row] if trees.orphan.any() else row
    is_left = trees.orphan.copy()
    is_left[own_roots] = False
    orphans = np.flatnonzero(is_left)
    only = only_value(table.trace[row], request, len(table.pool.traces))[table.trace[orphans]]
    adopted = only >= 0
    return seeds.with_more(only[adopted] * graph.n_nodes + graph.node[orphans[adopted]], Join.TRACE)


def _late_orphans(table: SpanTable, trees: Trees, starting: Starts, graph: PathGraph, reached: Reached) -> Int64s:
    """Return (request, node) of orphans nobody reached, in traces without ingest span that one request reached."""
    orphans = np.flatnonzero(trees.orphan)
    if not len(orphans):
        return np.zeros(0, np.int64)
    request, node = np.divmod(reached.pairs, graph.n_nodes)
    entries = node < len(graph.entry)
    trace = table.trace[graph.entry[node[entries]]]
    only = only_value(trace, request[entries], len(table.pool.traces))
    only[table.trace[starting.row]] = -1
    known = np.zeros(graph.n_nodes, np.bool_)
    known[node] = True
    orphans = orphans[~known[graph.node[orphans]] & (only[table.trace[orphans]] >= 0)]
    found: Int64s = only[table.trace[orphans]] * graph.n_nodes + graph.node[orphans]
    return found


def _lay_out(table: SpanTable, parent: Rows, graph: PathGraph, reached: Reached, starting: Starts) -> Requests:
    """Turn reached segments into rows: the first request of each row, then what else holds it."""
    n_requests = len(starting)
    request, node = np.divmod(reached.pairs, graph.n_nodes)
    join = reached.join
    if graph.n_nodes > len(graph.entry):
        real = node < len(graph.entry)
        request, node, join = request[real], node[real], join[real]
    of_row, why, more = _first_holders(graph, request, node, join)
    offsets, rows = graph.rows_of(node[more])
    sizes = np.diff(offsets)
    joins = np.where(rows == np.repeat(graph.entry[node[more]], sizes), np.repeat(join[more], sizes), int(Join.PARENT))
    pairs, joins = _with_ancestors(rows * n_requests + np.repeat(request[more], sizes), joins, parent, starting)
    row, request = np.divmod(pairs, max(n_requests, 1))
    free = (of_row[row] < 0) & (np.diff(row, prepend=-1) != 0)
    of_row[row[free]], why[row[free]] = request[free], joins[free]
    further = of_row[row] != request
    held = np.flatnonzero(of_row >= 0)
    held_by, joined_by, rows = of_row, why, held
    if len(held) < len(of_row):
        held_by, joined_by = of_row[held], why[held]
    if further.any():
        held_by, rows = np.concatenate([held_by, request[further]]), np.concatenate([held, row[further]])
        joined_by = np.concatenate([joined_by, joins[further].astype(np.int8)])
    keyed = key_edges(table, starting, graph.key_joins, (held_by, rows, joined_by))
    return Requests(starting.first_rows(table), held_by, rows, joined_by, len(held), reached.capped, keyed)


def _first_holders(graph: PathGraph, request: Int64s, node: Int64s, join: Int64s) -> tuple[Int64s, Int8s, Bools]:
    """Return for each row its first request (-1 for none) and join, and which (request, node) are further ones."""
    holder = np.full(len(graph.entry), -1, np.int64)
    holder_join = np.full(len(graph.entry), int(Join.PARENT), np.int8)
    holder[node[::-1]], holder_join[node[::-1]] = request[::-1], join[::-1]
    why = np.full(len(graph.node), int(Join.PARENT), np.int8)
    why[graph.entry] = holder_join
    return holder.take(graph.node), why, request != holder.take(node)


def _with_ancestors(pairs: Int64s, join: Int64s, parent: Rows, starts: Starts) -> tuple[Int64s, Int64s]:
    """Add what stands above the ingest spans, `MAX_HOPS` spans up at most; return all (row, request), each once."""
    above, request = starts.row, starts.request
    parts = [pairs]
    for _ in range(MAX_HOPS):
        above = parent[above]
        request, above = request[above >= 0], above[above >= 0]
        if not len(above):
            break
        parts.append(above * len(starts) + request)
    pairs = np.concatenate(parts)
    join = np.concatenate([join, np.full(len(pairs) - len(join), int(Join.ANCESTOR))])
    order = order_of(pairs, join)
    first = np.diff(pairs[order], prepend=-1) != 0
    return pairs[order][first], join[order][first]
