"""The spans that are still of interest, by what hangs together, while they arrive.

Which run a span belongs to can change with every span that comes after it. So nothing is decided on
arrival: traces are only joined into *clusters* that share a run, a link, a message or a key, which is
cheap and does not depend on order. When a run is looked at, `associate` decides exactly, over the
spans of its cluster alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from spanverdict.paths.association import Association, associate, message_columns
from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES, is_run_id
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import AttributeColumn, SpanTable, concat

KeyReader: TypeAlias = Callable[[SpanTable], AttributeColumn]
"""Reads a `correlate` attribute of every span of a table."""

Node: TypeAlias = tuple[str, object]
"""What clusters are made of: ("trace", id), ("run", name), ("message", …) or ("key", …)."""


@dataclass(slots=True, eq=False)
class _Cluster:
    """Traces that may belong together, with the parts of the window that hold their spans."""

    runs: set[str] = field(default_factory=set)
    traces: list[bytes] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    parts: set[int] = field(default_factory=set)
    """Numbers of the batches that hold spans of its traces."""
    last_seen: float = 0.0
    first_batch: int = sys.maxsize

    def weight(self) -> int:
        return len(self.nodes)

    def absorb(self, other: _Cluster) -> None:
        """Take in all of another cluster."""
        self.runs |= other.runs
        self.traces += other.traces
        self.nodes += other.nodes
        self.parts |= other.parts
        self.last_seen = max(self.last_seen, other.last_seen)
        self.first_batch = min(self.first_batch, other.first_batch)


class Window:
    """Holds decoded batches and knows which runs they may concern. Not for several threads at once.

    `window_run` names a run that takes every span of no other, for a receiver that serves one alone.
    """

    def __init__(self, *, keys: Sequence[KeyReader] = (), window_run: str | None = None) -> None:
        self._keys = tuple(keys)
        self._window_run = window_run
        self._clusters: dict[Node, _Cluster] = {}
        self._parts: dict[int, SpanTable] = {}
        self._holders: dict[int, int] = {}
        """For each part, how many clusters still hold it."""
        self._registered: dict[bytes, set[str]] = {}

    def register(self, run: str, traces: Iterable[bytes]) -> None:
        """Say that traces belong to a run although no span does."""
        for trace in traces:
            self._registered.setdefault(trace, set()).add(run)
            self._join([("run", run), ("trace", trace)])
            self._clusters["run", run].runs.add(run)

    def add(self, batch: int, table: SpanTable, now: float) -> frozenset[str]:
        """Take in one batch; return the runs that it may concern. Taking it in again changes nothing."""
        if not len(table):
            return frozenset()
        self._parts[batch] = table
        for nodes, runs in self._groups(table):
            self._join(nodes).runs.update(runs)
        touched = {id(cluster): cluster for cluster in map(self._clusters.__getitem__, self._trace_nodes(table))}
        for cluster in touched.values():
            cluster.parts.add(batch)
            cluster.last_seen = now
            cluster.first_batch = min(cluster.first_batch, batch)
        self._holders[batch] = len(touched)
        runs_touched = {run for cluster in touched.values() for run in cluster.runs}
        if self._window_run is not None:
            runs_touched.add(self._window_run)
        return frozenset(runs_touched)

    def spans_of(self, run: str) -> tuple[SpanTable, Association] | None:
        """Return the spans of a run and how they were found; None when there are none."""
        found = self._candidates(run)
        if found is None:
            return None
        keys = [read(found) for read in self._keys]
        association = associate(found, keys=keys, registered=self._registered or None, window=self._window_run)
        rows = association.rows_of(run)
        if not len(rows):
            return None
        return (found if len(rows) == len(found) else found.take(rows)), association

    def waiting(self) -> int:
        """Count the spans of traces that no run claims so far."""
        held = {id(c): c for c in self._clusters.values() if not c.runs and c.parts}
        return sum(self._size(cluster) for cluster in held.values())

    def forget(self, before: float) -> int:
        """Drop clusters that nothing was added to since; return how many spans went with them."""
        old = {id(c): c for c in self._clusters.values() if c.last_seen < before}
        dropped = 0
        for cluster in old.values():
            dropped += self._size(cluster)
            for node in cluster.nodes:
                self._clusters.pop(node, None)
            for part in cluster.parts:
                self._release(part)
        return dropped

    def first_batch_of(self, run: str) -> int | None:
        """Return the oldest batch that may hold spans of a run."""
        cluster = self._clusters.get(("run", run))
        return cluster.first_batch if cluster is not None and cluster.parts else None

    def _size(self, cluster: _Cluster) -> int:
        traces = set(cluster.traces)
        return sum(int(_rows_in(self._parts[part], traces).sum()) for part in cluster.parts if part in self._parts)

    def _release(self, part: int) -> None:
        self._holders[part] = self._holders.get(part, 1) - 1
        if self._holders[part] <= 0:
            self._parts.pop(part, None)
            self._holders.pop(part, None)

    def _candidates(self, run: str) -> SpanTable | None:
        if self._window_run == run:
            parts = [self._parts[part] for part in sorted(self._parts)]
            return concat(_one_pool(parts)) if parts else None
        cluster = self._clusters.get(("run", run))
        if cluster is None or not cluster.parts:
            return None
        traces = set(cluster.traces)
        chosen = []
        for part in sorted(cluster.parts & self._parts.keys()):
            table = self._parts[part]
            mask = _rows_in(table, traces)
            chosen.append(table if mask.all() else table.take(np.flatnonzero(mask)))
        return concat(_one_pool(chosen)) if chosen else None

    def _trace_nodes(self, table: SpanTable) -> list[Node]:
        ids = table.pool.traces.items_by_id
        return [("trace", ids[number]) for number in np.unique(table.trace).tolist()]

    def _groups(self, table: SpanTable) -> Iterable[tuple[list[Node], set[str]]]:
        """Yield, for each trace of a table, what it hangs together with and the runs it names."""
        ids = table.pool.traces.items_by_id
        traces, of_row = np.unique(table.trace, return_inverse=True)
        nodes: list[list[Node]] = [[("trace", ids[number])] for number in traces.tolist()]
        runs: list[set[str]] = [set() for _ in nodes]
        for place, name in _tags(table, of_row):
            nodes[place].append(("run", name))
            runs[place].add(name)
        owner = np.repeat(of_row, np.diff(table.links.offsets))
        pairs = np.unique(np.stack([owner, table.links.trace]), axis=1) if len(owner) else np.zeros((2, 0), np.int64)
        for place, linked in pairs.T.tolist():
            nodes[place].append(("trace", ids[linked]))
        for kind, columns in (("message", message_columns(table)), ("key", [read(table) for read in self._keys])):
            for number, column in enumerate(columns):
                for place, value in _values(column, of_row):
                    nodes[place].append((kind, (number, repr(value))))
        return zip(nodes, runs, strict=True)

    def _join(self, nodes: Sequence[Node]) -> _Cluster:
        """Bring the clusters of all nodes together, the smaller into the larger."""
        known = {id(c): c for node in nodes if (c := self._clusters.get(node)) is not None}
        clusters = sorted(known.values(), key=_Cluster.weight, reverse=True)
        home = clusters[0] if clusters else _Cluster()
        for other in clusters[1:]:
            shared = home.parts & other.parts
            for part in shared:
                self._release(part)
            home.absorb(other)
            for node in other.nodes:
                self._clusters[node] = home
        for node in nodes:
            if node not in self._clusters:
                self._clusters[node] = home
                home.nodes.append(node)
                if node[0] == "trace" and isinstance(node[1], bytes):
                    home.traces.append(node[1])
        return home


def _rows_in(table: SpanTable, traces: set[bytes]) -> np.ndarray:
    ids = table.pool.traces.items_by_id
    present, of_row = np.unique(table.trace, return_inverse=True)
    return np.array([ids[number] in traces for number in present.tolist()], np.bool_)[of_row]


def _one_pool(tables: Sequence[SpanTable]) -> list[SpanTable]:
    """Bring tables together in one pool; a fresh one, as others may be filling the old ones."""
    if all(table.pool is tables[0].pool for table in tables):
        return list(tables)
    pool = Pool(tables[0].pool.decode_attribute)
    return [table.into(pool) for table in tables]


def _tags(table: SpanTable, of_row: np.ndarray) -> Iterable[tuple[int, str]]:
    for read in (table.attribute, table.resource_attribute, table.scope_attribute):
        for key in RUN_ID_ATTRIBUTES:
            for place, value in _values(read(key), of_row):
                if isinstance(value, str) and is_run_id(value):
                    yield place, value


def _values(column: AttributeColumn, of_row: np.ndarray) -> list[tuple[int, object]]:
    """Return the distinct (trace, value) pairs of a column."""
    if not column.values:
        return []
    rows = np.flatnonzero(column.codes >= 0)
    pairs = np.unique(np.stack([of_row[rows], column.codes[rows]]), axis=1)
    return [(place, column.values[code]) for place, code in pairs.T.tolist()]
