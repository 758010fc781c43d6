"""Spans that are still to be counted, and whom they count for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from spanverdict.paths.bonds import Node
from spanverdict.telemetry.distinct import distinct
from spanverdict.telemetry.joining import concat
from spanverdict.telemetry.spantable import Bools, Int64s, Rows, SpanTable
from spanverdict.telemetry.vectors import constant

_LARGE: Final = 1024


class Tally(Protocol):
    """Counts spans in several ways at once."""

    def __len__(self) -> int:
        """Return how many ways there are."""
        ...

    def __call__(self, table: SpanTable, /) -> Sequence[Int64s | Bools]:
        """Return for each way how much each span counts, or whether it does, (n_spans,)."""
        ...


class NoTally:
    """Counts nothing but the spans themselves, which are always counted."""

    def __len__(self) -> int:
        """Return that there are no ways."""
        return 0

    def __call__(self, _table: SpanTable) -> Sequence[Int64s]:
        """Return nothing."""
        return ()


@dataclass(frozen=True, slots=True, eq=False)
class Uncounted:
    """Spans, and nodes that they count for: each span for what by then hangs together with its node."""

    table: SpanTable
    nodes: Sequence[Node]
    of_row: Rows
    """The place of each span's node among the nodes."""

    @staticmethod
    def of_traces(table: SpanTable) -> Uncounted:
        """Return spans that count for their traces."""
        ids = table.pool.traces.items_by_id
        traces, of_row = distinct(table.trace)
        return Uncounted(table, [ids[number] for number in traces.tolist()], of_row)

    def counted(self, tally: Tally) -> Int64s:
        """Return how many spans each node has, then what the tally says of them, (n_nodes, 1 + n_ways)."""
        ways = tally(self.table)
        if len(self.nodes) == 1:
            return np.array([[len(self.table), *map(_sum, ways)]], np.int64)
        counts = [np.bincount(self.of_row, way, len(self.nodes)) for way in (None, *ways)]
        return np.stack(counts, axis=1).astype(np.int64)


def put_together(pieces: Sequence[Uncounted]) -> Iterator[Uncounted]:
    """Join small tables of a pool: a few rows cost nearly as much as a thousand. Large ones stay as they are."""
    small: dict[int, list[Uncounted]] = {}
    for piece in pieces:
        if len(piece.table) >= _LARGE:
            yield piece
        else:
            small.setdefault(id(piece.table.pool), []).append(piece)
    yield from map(_joined, small.values())


def _joined(pieces: Sequence[Uncounted]) -> Uncounted:
    nodes = dict.fromkeys(node for piece in pieces for node in piece.nodes)
    table = concat([piece.table for piece in pieces])
    if len(nodes) == 1:
        return Uncounted(table, [*nodes], constant(0, len(table), np.intp))
    places = {node: place for place, node in enumerate(nodes)}
    of_row = [np.array([places[node] for node in piece.nodes], np.intp).take(piece.of_row) for piece in pieces]
    return Uncounted(table, [*nodes], np.concatenate(of_row))


def _sum(way: Int64s | Bools) -> int:
    return int(np.count_nonzero(way) if way.dtype == np.bool_ else way.sum())
