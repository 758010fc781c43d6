"""Inside a trace that several runs share: whose is each span?

A span that carries a link, a message or a key of its own into some of the runs belongs, with all
that hangs below it, only to those: a specific join beats the shared parent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spanverdict.paths.forest import MAX_HOPS, SpanIndex, find_parents
from spanverdict.paths.messageroles import Role, message_roles
from spanverdict.paths.pathgraph import nearest
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.ragged import gather, owners, runs
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int64s, Ints, Rows, SpanTable


@dataclass(frozen=True, slots=True, eq=False)
class RowRuns:
    """Which runs hold which rows."""

    row: Rows
    """Ascending …"""
    run: Ints
    """… with the runs of each row, ascending …"""
    why: Ints
    """… and why."""
    n_rows: int

    def kept(self, keep: Bools) -> RowRuns:
        """Return the marked entries."""
        return RowRuns(self.row[keep], self.run[keep], self.why[keep], self.n_rows)

    def counts(self) -> Int64s:
        """Count the runs of each row."""
        return np.bincount(self.row, minlength=self.n_rows)

    def of(self, rows: Rows) -> tuple[Rows, Ints]:
        """Return the runs of `rows`, as (position in `rows`, run)."""
        offsets = np.searchsorted(self.row, np.arange(self.n_rows + 1))
        taken, places = gather(offsets.astype(np.int64), rows)
        return np.repeat(np.arange(len(rows)), np.diff(taken)), self.run[places]


_Edges = tuple[Rows, Rows]
"""(source, target) rows: the target belongs where the source does."""


def narrow(
    table: SpanTable,
    found: RowRuns,
    tags: Ints,
    messages: Sequence[AttributeColumn],
    keys: Sequence[AttributeColumn],
) -> RowRuns:
    """Take spans of shared traces out of the runs that their own joins do not lead to.

    `found` holds every trace as a whole; `tags` is the run of each row's own tag, -1 for none, which
    it keeps. The columns are texts.
    """
    group = table.trace.astype(np.int64)
    shared = found.counts() > 1
    index = SpanIndex.of(table, group)
    same = index.find(group, table.span_id)
    parent = find_parents(table, group, index).parent
    width = int(found.run.max(initial=0)) + 1
    by_text = [_by_text(found, shared, ends, width) for ends in _text_ends(table, messages, keys)]
    links = _links_between_traces(table, index, shared)
    current = found
    for _ in range(MAX_HOPS):
        own = np.concatenate([*by_text, _by_edge(current, links, width)])
        carriers = ascending(own // width)
        specific = np.concatenate([own, _by_edge(current, _sole_parents(current, parent, carriers), width)])
        stays = _may_stay(found, _of_same(specific, same, width), same, parent, width)
        kept = found.kept(stays | (tags[found.row] == found.run))
        if np.array_equal(kept.row, current.row) and np.array_equal(kept.run, current.run):
            break
        current = kept
    return current


@dataclass(frozen=True, slots=True, eq=False)
class _TextEnds:
    codes: Int64s
    """(n_rows,) the text of each row, -1 for none."""
    gives: Bools
    """Rows that may say which runs a text belongs to."""
    takes: Bools
    """Rows that belong where their text does."""


def _text_ends(
    table: SpanTable, messages: Sequence[AttributeColumn], keys: Sequence[AttributeColumn]
) -> Iterator[_TextEnds]:
    roles = message_roles(table)
    for column in messages:
        codes = column.codes.astype(np.int64)
        yield _TextEnds(codes, (codes >= 0) & (roles != Role.TAKES), (codes >= 0) & (roles != Role.SENDS))
    for column in keys:
        codes = column.codes.astype(np.int64)
        yield _TextEnds(codes, codes >= 0, codes >= 0)


def _by_text(found: RowRuns, shared: Bools, ends: _TextEnds, width: int) -> Int64s:
    """Return (row, run) of rows in shared traces whose text also stands in a trace of one run, as row * width + run."""
    givers = np.flatnonzero(ends.gives & ~shared)
    position, run = found.of(givers)
    known = ascending(ends.codes[givers[position]] * width + run)
    takers = np.flatnonzero(ends.takes & shared)
    first = np.searchsorted(known, ends.codes[takers] * width)
    sizes = np.searchsorted(known, (ends.codes[takers] + 1) * width) - first
    pairs: Int64s = np.repeat(takers, sizes) * width + known[runs(first, sizes)] % width
    return pairs


def _links_between_traces(table: SpanTable, index: SpanIndex, shared: Bools) -> _Edges:
    """Return the (linked, linking) rows of links that lead from a shared trace to another one."""
    carrier = owners(table.links.offsets)
    use = np.flatnonzero(shared[carrier] & (table.links.trace != table.trace[carrier]))
    linked = index.find(table.links.trace[use].astype(np.int64), table.links.span_id[use])
    return linked[linked >= 0], carrier[use][linked >= 0]


def _sole_parents(current: RowRuns, parent: Rows, carriers: Rows) -> _Edges:
    """Return (parent, carrier) where the parent belongs to one run: such a parent counts too."""
    carriers = carriers[parent[carriers] >= 0]
    sole = current.counts()[parent[carriers]] == 1
    return parent[carriers[sole]], carriers[sole]


def _by_edge(current: RowRuns, edges: _Edges, width: int) -> Int64s:
    """Return the runs that the targets of edges have from their sources, as row * width + run."""
    position, run = current.of(edges[0])
    pairs: Int64s = edges[1][position] * width + run
    return pairs


def _of_same(specific: Int64s, same: Rows, width: int) -> Int64s:
    """Gather what was said of a span that came more than once; ascending."""
    return ascending(same[specific // width] * width + specific % width)


def _may_stay(found: RowRuns, specific: Int64s, same: Rows, parent: Rows, width: int) -> Bools:
    """Tell which entries of `found` agree with the nearest specific join at or above their row."""
    belongs = ascending(found.row * width + found.run)
    specific = specific[np.isin(specific, belongs)]
    marked = np.zeros(len(parent), np.bool_)
    marked[specific // width] = True
    decisive = nearest(parent, marked | (parent < 0))[same[found.row]]
    pairs = decisive * width + found.run
    return ~marked[decisive] | np.isin(pairs, specific)
