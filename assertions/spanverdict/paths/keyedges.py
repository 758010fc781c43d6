"""From which span of a request did the value come that joined another by its key?

A key says that spans belong together, and not which of them led to which. What is known of the order is time: the
value was first seen at the span of the request that carries it and began first. The value of the request itself counts
as seen where the request begins, whichever of its spans carries it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spanverdict.paths.joins import Join
from spanverdict.paths.pathgraph import Starts
from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.spantable import AttributeColumn, Int8s, Int64s, Rows, SpanTable


@dataclass(frozen=True, slots=True, eq=False)
class KeyEdges:
    """What a key joined, and where its value was first seen, (n,) each; both are spans of the request."""

    request: Int64s
    source: Rows
    target: Rows

    @staticmethod
    def none() -> KeyEdges:
        """Return no edges."""
        return KeyEdges(np.zeros(0, np.int64), np.zeros(0, np.intp), np.zeros(0, np.intp))


_Members = tuple[Int64s, Rows, Int8s]
"""(request, row, join) of all members."""


def key_edges(table: SpanTable, starts: Starts, joined: Sequence[tuple[Int64s, Rows]], members: _Members) -> KeyEdges:
    """Find the edges; `joined` are for each key the (value, row) that its values lead to.

    There is none inside a trace, and none to what began before the value was seen.
    """
    parts = [
        _of_key(table, (starts, at), key, joined[at], members)
        for at, key in enumerate(starts.keys)
        if len(joined[at][1])
    ]
    if not parts:
        return KeyEdges.none()
    return KeyEdges(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _of_key(
    table: SpanTable, starting: tuple[Starts, int], key: AttributeColumn, joined: tuple[Int64s, Rows], members: _Members
) -> tuple[Int64s, Rows, Rows]:
    request, row, join = members
    n_values = len(key.values)
    value = np.full(len(table), -1, np.int64)
    value[joined[1]] = joined[0]
    targets = np.flatnonzero((join == Join.KEY) & (value[row] >= 0))
    known, first = _first_seen(table, starting, key, members)
    if not len(known):
        return request[:0], row[:0], row[:0]
    wanted = request[targets] * n_values + value[row[targets]]
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    source, target = first[place], row[targets]
    start = table.start_time_unix_nano
    use = (known[place] == wanted) & (table.trace[source] != table.trace[target]) & (start[source] <= start[target])
    return request[targets][use], source[use], target[use]


def _first_seen(
    table: SpanTable, starting: tuple[Starts, int], key: AttributeColumn, members: _Members
) -> tuple[Int64s, Rows]:
    """Return (request, value) pairs as request * n_values + value, ascending, and the row where each was first seen."""
    (starts, at), (request, row, _) = starting, members
    carriers = np.flatnonzero(key.codes[row] >= 0)
    begun = np.flatnonzero(starts.values[at] >= 0)
    rows = np.concatenate([row[carriers], starts.row[begun]])
    values = np.concatenate([key.codes[row[carriers]].astype(np.int64), starts.values[at][begun]])
    pairs = np.concatenate([request[carriers], starts.request[begun]]) * len(key.values) + values
    order = order_of(pairs, table.start_time_unix_nano[rows], table.span_id[rows])
    fresh = np.diff(pairs[order], prepend=-1) != 0
    return pairs[order][fresh], rows[order][fresh]
