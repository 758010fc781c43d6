"""Which run does a span belong to, and why.

A run id is a property of a path, not of each span: one tagged span adopts its whole trace, and
traces that hang together by links, message coordinates or shared keys. A trace that carries tags of
its own is never adopted by another run; of several runs the nearest tagged trace wins, and runs
that are equally near share the trace, which is reported as a conflict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES, is_run_id
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int64s, Rows, SpanTable


class Reason(IntEnum):
    """Why a span is in a run, strongest first."""

    SPAN = 1
    RESOURCE = 2
    SCOPE = 3
    TRACE = 4
    LINK = 5
    MESSAGE = 6
    KEY = 7
    REGISTERED = 8
    WINDOW = 9


REASON_TEXT: Mapping[Reason, str] = {
    Reason.SPAN: "span attribute",
    Reason.RESOURCE: "resource attribute",
    Reason.SCOPE: "scope attribute",
    Reason.TRACE: "same trace as a tagged span",
    Reason.LINK: "span link",
    Reason.MESSAGE: "same message",
    Reason.KEY: "shared correlation key",
    Reason.REGISTERED: "trace registered for the run",
    Reason.WINDOW: "arrived in the run's time window",
}


@dataclass(frozen=True, slots=True, eq=False)
class Association:
    """Runs and the spans they hold."""

    runs: tuple[str, ...]
    """Sorted."""
    row: Rows
    """Rows of the table, one entry for every (span, run) …"""
    run: Int64s
    """… positions in `runs` …"""
    reason: Int64s
    """… and `Reason`s."""
    untagged: Rows
    """Rows that belong to no run."""
    conflicts: int
    """Traces that belong to more than one run."""
    invalid: tuple[str, ...]
    """Values of run-id attributes that cannot name a run, sorted, at most five."""

    def rows_of(self, run: str) -> Rows:
        """Return the rows of one run, ascending; empty for a run that is not here."""
        if run not in self.runs:
            return np.zeros(0, np.intp)
        return np.unique(self.row[self.run == self.runs.index(run)])


def associate(
    table: SpanTable,
    *,
    keys: Sequence[AttributeColumn] = (),
    registered: Mapping[bytes, Iterable[str]] | None = None,
    window: str | None = None,
) -> Association:
    """Find the runs of all spans of `table`.

    `keys` are the columns of the flows' `correlate` attributes, `registered` names runs for 16-byte
    trace ids, `window` a run that takes everything that belongs to no other.
    """
    tags = _tags(table)
    runs = _run_names(tags, registered, window)
    tagged_row, tagged_run, tagged_why = _number(tags, runs)
    traces, of_row = np.unique(table.trace, return_inverse=True)
    held = _Held(len(traces), len(runs))
    held.add(of_row[tagged_row], tagged_run, Reason.TRACE)
    edges = _Edges(traces)
    for why, more in (
        (Reason.LINK, _link_edges(table, traces, of_row)),
        (Reason.MESSAGE, _shared_edges(message_columns(table), of_row)),
        (Reason.KEY, _shared_edges(keys, of_row)),
    ):
        edges.add(*more)
        held.spread(edges, why)
    if registered:
        held.add(*_registered(table, traces, registered, runs), Reason.REGISTERED)
        held.spread(edges, Reason.LINK)
    if window is not None:
        free = np.flatnonzero(held.free())
        held.add(free, np.full(len(free), runs.index(window)), Reason.WINDOW)
    row, run, reason = held.rows(of_row)
    reason = _own_tags_first(row, run, reason, (tagged_row, tagged_run, tagged_why), len(runs))
    return Association(runs, row, run, reason, np.flatnonzero(held.free()[of_row]), held.conflicts(), _invalid(tags))


def message_columns(table: SpanTable) -> tuple[AttributeColumn, ...]:
    """Return the columns whose equal values are the same message: its id, or where it lies in a log."""
    parts = [
        table.attribute(key)
        for key in (
            "messaging.destination.name",
            "messaging.destination.partition.id",
            "messaging.kafka.offset",
        )
    ]
    return (table.attribute("messaging.message.id"), combined(parts))


def combined(columns: Sequence[AttributeColumn]) -> AttributeColumn:
    """Join columns into one of tuples, present where all of them are."""
    codes = np.stack([column.codes for column in columns])
    rows = np.flatnonzero((codes >= 0).all(axis=0))
    joined = np.full(codes.shape[1], -1, np.int32)
    if not len(rows):
        return AttributeColumn(joined, ())
    distinct, position = np.unique(codes[:, rows], axis=1, return_inverse=True)
    joined[rows] = position.reshape(-1)
    values = tuple(
        tuple(column.values[code] for column, code in zip(columns, place, strict=True)) for place in distinct.T
    )
    return AttributeColumn(joined, values)


@dataclass(frozen=True, slots=True)
class _Tag:
    column: AttributeColumn
    reason: Reason


def _tags(table: SpanTable) -> tuple[_Tag, ...]:
    readers = (
        (Reason.SPAN, table.attribute),
        (Reason.RESOURCE, table.resource_attribute),
        (Reason.SCOPE, table.scope_attribute),
    )
    return tuple(_Tag(read(key), reason) for reason, read in readers for key in RUN_ID_ATTRIBUTES)


def _run_names(
    tags: tuple[_Tag, ...], registered: Mapping[bytes, Iterable[str]] | None, window: str | None
) -> tuple[str, ...]:
    names = {str(value) for tag in tags for value in tag.column.values if is_run_id(value)}
    names.update(run for some in (registered or {}).values() for run in some)
    if window is not None:
        names.add(window)
    return tuple(sorted(names))


def _invalid(tags: tuple[_Tag, ...]) -> tuple[str, ...]:
    return tuple(sorted({repr(v) for tag in tags for v in tag.column.values if not is_run_id(v)})[:5])


def _number(tags: tuple[_Tag, ...], runs: tuple[str, ...]) -> tuple[Rows, Int64s, Int64s]:
    """Return (row, run, reason) of each span that carries a tag; the strongest tag counts."""
    numbers = {name: number for number, name in enumerate(runs)}
    n_rows = len(tags[0].column.codes)
    run = np.full(n_rows, -1, np.int64)
    why = np.zeros(n_rows, np.int64)
    for tag in reversed(tags):
        known = np.array([numbers.get(v, -1) if isinstance(v, str) else -1 for v in tag.column.values] + [-1])
        here = known[tag.column.codes]
        run = np.where(here >= 0, here, run)
        why = np.where(here >= 0, tag.reason, why)
    rows = np.flatnonzero(run >= 0)
    return rows, run[rows], why[rows]


class _Edges:
    """Undirected edges between nodes: traces first, then the values that they share."""

    def __init__(self, traces: np.ndarray) -> None:
        self.source = np.zeros(0, np.int64)
        self.target = np.zeros(0, np.int64)
        self.nodes = len(traces)

    def add(self, left: Int64s, right: Int64s, fresh: int) -> None:
        """Add edges; `right` counts from -1 downwards where it names one of `fresh` new nodes."""
        right = np.where(right < 0, self.nodes - 1 - right, right)
        self.nodes += fresh
        self.source = np.concatenate([self.source, left, right])
        self.target = np.concatenate([self.target, right, left])


class _Held:
    """Which runs hold which traces, grown outwards from the tagged ones."""

    def __init__(self, n_traces: int, n_runs: int) -> None:
        self.n_traces, self.n_runs = n_traces, max(n_runs, 1)
        self.pairs = np.zeros(0, np.int64)
        self.why = np.zeros(0, np.int64)

    def add(self, node: Int64s, run: Int64s, why: int) -> None:
        """Hold nodes by runs; what is held already keeps its reason."""
        pairs = np.setdiff1d(np.unique(node * self.n_runs + run), self.pairs)
        self.pairs = np.concatenate([self.pairs, pairs])
        self.why = np.concatenate([self.why, np.full(len(pairs), why)])

    def spread(self, edges: _Edges, why: Reason) -> None:
        """Adopt free neighbours, ring by ring, until none is left that can be reached."""
        while True:
            free = self.free(edges.nodes)
            takes = ~free[edges.source] & free[edges.target]
            if not takes.any():
                return
            source, target = edges.source[takes], edges.target[takes]
            order = np.argsort(self.pairs, kind="stable")
            held = self.pairs[order]
            first = np.searchsorted(held, source * self.n_runs)
            last = np.searchsorted(held, (source + 1) * self.n_runs)
            places = _ranges(first, last)
            self.add(np.repeat(target, last - first), held[places] % self.n_runs, why)

    def free(self, nodes: int | None = None) -> Bools:
        """Return which nodes no run holds."""
        free = np.ones(max(nodes or 0, self.n_traces, int(self.pairs.max(initial=-1)) // self.n_runs + 1), np.bool_)
        free[self.pairs // self.n_runs] = False
        return free if nodes is not None else free[: self.n_traces]

    def conflicts(self) -> int:
        """Count the traces that more than one run holds."""
        traces = self.pairs[self.pairs < self.n_traces * self.n_runs] // self.n_runs
        return int((np.bincount(traces) > 1).sum()) if len(traces) else 0

    def rows(self, of_row: Rows) -> tuple[Rows, Int64s, Int64s]:
        """Return (row, run, why) for every span of every held trace."""
        order = np.argsort(self.pairs, kind="stable")
        pairs, why = self.pairs[order], self.why[order]
        first = np.searchsorted(pairs, of_row * self.n_runs)
        last = np.searchsorted(pairs, (of_row + 1) * self.n_runs)
        places = _ranges(first, last)
        return np.repeat(np.arange(len(of_row)), last - first), pairs[places] % self.n_runs, why[places]


def _ranges(first: Int64s, last: Int64s) -> Int64s:
    """Return first[0] … last[0] - 1, first[1] … last[1] - 1, … laid end to end."""
    sizes = last - first
    places: Int64s = np.arange(int(sizes.sum())) + np.repeat(first - np.cumsum(sizes) + sizes, sizes)
    return places


def _link_edges(table: SpanTable, traces: np.ndarray, of_row: Rows) -> tuple[Int64s, Int64s, int]:
    """Edges between the traces of linking and linked spans, where both are here."""
    owner = np.repeat(of_row, np.diff(table.links.offsets))
    place = np.minimum(np.searchsorted(traces, table.links.trace), max(len(traces) - 1, 0))
    here = traces[place] == table.links.trace if len(traces) else np.zeros(0, np.bool_)
    pairs = np.unique(np.stack([owner[here], place[here]]), axis=1)
    pairs = pairs[:, pairs[0] != pairs[1]]
    return pairs[0], pairs[1], 0


def _shared_edges(columns: Iterable[AttributeColumn], of_row: Rows) -> tuple[Int64s, Int64s, int]:
    """Edges from traces to the values they carry, each distinct value a node of its own."""
    left, right, fresh = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for column in columns:
        rows = np.flatnonzero(column.codes >= 0)
        same = equal_values(column)
        pairs = np.unique(np.stack([of_row[rows], same[column.codes[rows]]]), axis=1)
        left.append(pairs[0])
        right.append(-1 - fresh - pairs[1])
        fresh += len(column.values)
    return np.concatenate(left), np.concatenate(right), fresh


def equal_values(column: AttributeColumn) -> Int64s:
    """Return for each of the column's values the first position that holds an equal one."""
    first: dict[tuple[str, str], int] = {}
    keys = ((type(value).__name__, repr(value)) for value in column.values)
    return np.array([first.setdefault(key, place) for place, key in enumerate(keys)], np.int64)


def _registered(
    table: SpanTable, traces: np.ndarray, registered: Mapping[bytes, Iterable[str]], runs: tuple[str, ...]
) -> tuple[Int64s, Int64s]:
    """Return the (trace, run) pairs that were registered."""
    ids = table.pool.traces.items_by_id
    pairs = [
        (place, runs.index(run))
        for place, number in enumerate(traces.tolist())
        for run in registered.get(ids[number], ())
    ]
    columns = np.array(pairs, np.int64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]


def _own_tags_first(row: Rows, run: Int64s, why: Int64s, tagged: tuple[Rows, Int64s, Int64s], n_runs: int) -> Int64s:
    """Put the reason of a span's own tag where it has one."""
    tagged_row, tagged_run, tagged_why = tagged
    if not len(tagged_row):
        return why
    pairs, own = row * n_runs + run, tagged_row * n_runs + tagged_run
    place = np.minimum(np.searchsorted(own, pairs), len(own) - 1)
    return np.where(own[place] == pairs, tagged_why[place], why)
