"""The spans that are still of interest, by what hangs together, while they arrive.

Which run a span belongs to can change with every span that comes after it. So nothing is decided on
arrival: traces are only joined into *clusters* that share a run, a link, a message or a key, which is
cheap and does not depend on order. When a run is looked at, `associate` decides exactly, over the
spans of its cluster alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice, repeat
from typing import Final

import numpy as np

from spanverdict.paths.association import Association
from spanverdict.paths.bonds import KeyReader, Node, bonds
from spanverdict.paths.candidates import Candidates
from spanverdict.paths.counting import NoTally, Tally, Uncounted, put_together
from spanverdict.paths.shelf import Picked, Shelf
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import Int64s, SpanTable

_BATCH_BYTES: Final = 100
_CLUSTER_BYTES: Final = 800
_NODE_BYTES: Final = 180
"""Measured with one run of many traces, and with many of one trace each."""
_UNCOUNTED_SPANS: Final = 65_536
"""So many that wait to be counted are counted whatever comes: tables as they came are not counted as memory."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What the window let go."""

    runs: frozenset[str] = frozenset()
    """Runs of which spans went."""
    untagged: int = 0
    """Spans that no run had claimed."""


@dataclass(slots=True, eq=False)
class _Cluster:
    """Traces that may belong together, with the parts of the window that hold their spans."""

    counts: Int64s
    """The number of its spans, then what the tally says."""
    runs: set[str] = field(default_factory=set)
    nodes: list[Node] = field(default_factory=list)
    parts: set[int] = field(default_factory=set)
    """Numbers of the batches that hold spans of its traces."""
    last_seen: float = 0.0
    first_batch: int = sys.maxsize

    def weight(self) -> int:
        return len(self.nodes)

    def traces(self) -> Iterator[bytes]:
        return (node for node in self.nodes if isinstance(node, bytes))

    def absorb(self, other: _Cluster) -> None:
        """Take in all of another cluster."""
        self.counts += other.counts
        self.runs |= other.runs
        self.nodes += other.nodes
        self.parts |= other.parts
        self.last_seen = max(self.last_seen, other.last_seen)
        self.first_batch = min(self.first_batch, other.first_batch)


class Window:
    """Holds decoded batches and knows which runs they may concern. Not for several threads at once.

    `window_run` names a run that takes every span of no other, for a receiver that serves one alone.
    """

    def __init__(
        self,
        *,
        keys: Sequence[KeyReader] = (),
        window_run: str | None = None,
        tally: Tally | None = None,
        tags: Sequence[str] = RUN_ID_ATTRIBUTES,
    ) -> None:
        self._keys, self._tags = tuple(keys), tuple(tags)
        self._window_run = window_run
        self._tally: Tally = tally or NoTally()
        self._clusters: dict[Node, _Cluster] = {}
        self._alive: set[_Cluster] = set()
        self._parts = Shelf()
        """Spans as they came, by their first batch."""
        self._batches: dict[int, int] = {}
        """The part that holds the spans of each batch."""
        self._last: dict[int, int] = {}
        """The last batch of each part."""
        self._torn: set[int] = set()
        """Parts that hold spans of clusters that were let go, besides those of others."""
        self._holders: dict[int, int] = {}
        """For each part, how many clusters still hold it."""
        self._registered: dict[bytes, set[str]] = {}
        self._uncounted: list[Uncounted] = []
        self._uncounted_spans = 0
        self._unclaimed = self._nothing()
        """The counts of all clusters without a run."""
        self._pools: dict[int, tuple[Pool, int]] = {}
        """The pools of the parts, and of how many parts each is."""

    @property
    def nbytes(self) -> int:
        """How much memory the spans take, with their pools and what is known of their traces and runs, about."""
        pools = sum(pool.nbytes for pool, _ in list(self._pools.values()))
        spans = self._parts.nbytes + len(self._batches) * _BATCH_BYTES
        return spans + pools + len(self._alive) * _CLUSTER_BYTES + len(self._clusters) * _NODE_BYTES

    @property
    def untagged(self) -> int:
        """How many of the counted spans no run claims so far."""
        return int(self._unclaimed[0])

    @property
    def runs(self) -> frozenset[str]:
        """The runs that spans or somebody named."""
        return frozenset(run for cluster in self._alive for run in cluster.runs)

    def register(self, run: str, traces: Iterable[bytes], now: float) -> None:
        """Say that traces belong to a run although no span does."""
        for trace in traces:
            self._registered.setdefault(trace, set()).add(run)
            cluster = self._join([trace, ("run", run)])
            self._claim(cluster, {run})
            cluster.last_seen = max(cluster.last_seen, now)

    def add(self, batch: int, table: SpanTable, now: float, last: int | None = None) -> frozenset[str]:
        """Take in the spans of a batch, or of all from `batch` to `last`; return the runs that they may concern.

        Taking in a batch again changes nothing, be it alone or with those that it came with.
        """
        if not len(table):
            return frozenset()
        known = self._batches.get(batch)
        missing = None if known is None else self._parts.spans([known], self._missing(known, table))
        part = self._hold(batch, batch if last is None else last, table) if known is None else known
        groups, of_row = bonds(table, self._keys, self._tags)
        for group in groups:
            self._claim(self._join(group.nodes), group.runs)
        touched = {self._clusters[group.nodes[0]] for group in groups}
        for cluster in touched:
            cluster.last_seen = now
            cluster.first_batch = min(cluster.first_batch, batch)
            if part not in cluster.parts:
                cluster.parts.add(part)
                self._holders[part] += 1
        if known is None:  # a table with the columns that were read of it here, until it is counted
            self._count_later(Uncounted(table, [group.nodes[0] for group in groups], of_row))
        elif missing is not None:
            self._count_later(Uncounted.of_traces(missing))
        claimed = {run for cluster in touched for run in cluster.runs}
        return frozenset(claimed if self._window_run is None else claimed | {self._window_run})

    def _count_later(self, more: Uncounted) -> None:
        """Keep spans as they came until they are counted, but not many: they take several times the memory."""
        self._uncounted.append(more)
        self._uncounted_spans += len(more.table)
        if self._uncounted_spans >= _UNCOUNTED_SPANS:
            self.count()

    def count(self) -> None:
        """Count what was added since the last time; until then it is missing from what `counts_of` says."""
        uncounted, self._uncounted, self._uncounted_spans = self._uncounted, [], 0
        for piece in put_together(uncounted):
            for node, more in zip(piece.nodes, piece.counted(self._tally), strict=True):
                home = self._clusters[node]
                home.counts += more
                if not home.runs:
                    self._unclaimed += more

    def counts_of(self, run: str) -> Int64s:
        """Return how many spans may be a run's, then what the tally says of them."""
        cluster = self._clusters.get(("run", run))
        counts = cluster.counts if cluster is not None else self._nothing()
        return counts + self._unclaimed if run == self._window_run else counts.copy()

    def spans_of(self, run: str) -> tuple[SpanTable, Association] | None:
        """Return the spans of a run and how they were found; None when there are none."""
        found = self.candidates(run)
        return found.spans() if found is not None else None

    def candidates(self, run: str) -> Candidates | None:
        """Return the spans that may be a run's, as of now; None when there are none. It takes no look at them."""
        picked = self._picked(run)
        if picked is None:
            return None
        registered = {trace: tuple(runs) for trace, runs in self._registered.items()}
        return Candidates(run, *picked, self._keys, registered or None, self._window_run, self._tags)

    def counted_anew(
        self,
        now: float,
        *,
        keys: Sequence[KeyReader],
        tally: Tally,
        tags: Sequence[str] = RUN_ID_ATTRIBUTES,
    ) -> Window:
        """Return a window that holds the same spans, joined by other keys and tags and to be counted in other ways.

        Nobody may use this one any more.
        """
        fresh = Window(keys=keys, window_run=self._window_run, tally=tally, tags=tags)
        for trace, runs in self._registered.items():
            for run in sorted(runs):
                fresh.register(run, (trace,), now)
        for first in self._parts:
            table = self._parts.spans([first])
            assert table is not None
            fresh.add(first, table, now, self._last[first])
        return fresh

    def forget(self, before: float, keep: AbstractSet[str] = frozenset()) -> Forgotten:
        """Drop clusters that nothing was added to since, but those of the runs to keep."""
        return self._drop([c for c in self._alive if c.last_seen < before and c.runs.isdisjoint(keep)])

    def shrink(self, nbytes: int, keep: AbstractSet[str] = frozenset(), n_runs: int = sys.maxsize) -> Forgotten:
        """Drop the clusters that were quiet longest until the rest is small enough, but those of the runs to keep.

        It is when it takes so many bytes and is of so many runs; for the number of runs, only clusters with runs go.
        """
        runs: set[str] = set()
        untagged, n_here = 0, sum(len(cluster.runs) for cluster in self._alive)
        for cluster in sorted(self._alive, key=lambda c: c.last_seen):
            is_large = self.nbytes > nbytes
            if not is_large and n_here - len(runs) <= n_runs:
                break
            if cluster.runs.isdisjoint(keep) and (is_large or cluster.runs):
                gone = self._drop([cluster])
                runs |= gone.runs
                untagged += gone.untagged
        return Forgotten(frozenset(runs), untagged)

    def first_batch_of(self, run: str) -> int | None:
        """Return the oldest batch that may hold spans of a run."""
        cluster = self._clusters.get(("run", run))
        return cluster.first_batch if cluster is not None and cluster.parts else None

    def last_batch_of(self, run: str) -> int:
        """Return the newest batch that may hold spans of a run, 0 for none; it takes a look at all of them."""
        cluster = self._clusters.get(("run", run))
        return max((self._last[part] for part in cluster.parts), default=0) if cluster is not None else 0

    def runs_beside(self, run: str) -> frozenset[str]:
        """Return the other runs that may claim spans that a run may claim."""
        cluster = self._clusters.get(("run", run))
        return frozenset(cluster.runs - {run}) if cluster is not None else frozenset()

    def _nothing(self) -> Int64s:
        return np.zeros(1 + len(self._tally), np.int64)

    def _hold(self, first: int, last: int, table: SpanTable) -> int:
        """Keep a table, which nobody holds so far."""
        self._parts.put(first, table)
        self._last[first] = last
        self._holders[first] = 0
        self._batches.update(dict.fromkeys(range(first, last + 1), first))
        self._share(table.pool, 1)
        return first

    def _share(self, pool: Pool, more: int) -> None:
        parts = self._pools.get(id(pool), (pool, 0))[1] + more
        if parts:
            self._pools[id(pool)] = pool, parts
        else:
            del self._pools[id(pool)]

    def _missing(self, part: int, table: SpanTable) -> set[bytes]:
        """Return the traces in `table` whose clusters do not hold a part."""
        ids = table.pool.traces.items_by_id
        traces = {ids[number] for number in ascending(table.trace).tolist()}
        held = {trace for trace in traces if (c := self._clusters.get(trace)) and part in c.parts}
        return traces - held

    def _release(self, part: int) -> None:
        self._holders[part] -= 1
        if self._holders[part] == 0:
            self._share(self._parts.drop(part), -1)
            del self._holders[part]
            self._torn.discard(part)
            for batch in range(part, self._last.pop(part) + 1):
                del self._batches[batch]

    def _drop(self, clusters: Sequence[_Cluster]) -> Forgotten:
        self.count()
        for cluster in clusters:
            self._alive.discard(cluster)
            if not cluster.runs:
                self._unclaimed -= cluster.counts
            for node in cluster.nodes:
                del self._clusters[node]
            for trace in cluster.traces():
                self._registered.pop(trace, None)
            for part in cluster.parts:
                self._torn.add(part)
                self._release(part)
        untagged = sum(int(cluster.counts[0]) for cluster in clusters if not cluster.runs)
        return Forgotten(frozenset(run for cluster in clusters for run in cluster.runs), untagged)

    def _picked(self, run: str) -> tuple[Picked, set[bytes] | None] | None:
        """Return what holds the spans that may be a run's, and of which traces they are; None for all that it holds."""
        if self._window_run == run:
            return self._parts.pick([*self._parts]), None
        cluster = self._clusters.get(("run", run))
        if cluster is None:
            return None
        whole = all(self._holders[part] == 1 and part not in self._torn for part in cluster.parts)
        return self._parts.pick(cluster.parts), None if whole else {*cluster.traces()}

    def _join(self, nodes: Sequence[Node]) -> _Cluster:
        """Bring the clusters of all nodes together, the smaller into the larger."""
        known, n_before = self._clusters, len(self._clusters)
        home = known.get(nodes[0]) or self._new_cluster()
        found = set(map(known.setdefault, nodes, repeat(home)))  # one look-up a node, as there are many
        home.nodes += islice(reversed(known), len(known) - n_before)
        for other in found - {home}:
            home = self._merge(home, other)
        return home

    def _new_cluster(self) -> _Cluster:
        cluster = _Cluster(self._nothing())
        self._alive.add(cluster)
        return cluster

    def _merge(self, one: _Cluster, other: _Cluster) -> _Cluster:
        home, other = (one, other) if one.weight() >= other.weight() else (other, one)
        self._claim(home, other.runs)
        self._claim(other, home.runs)
        for part in home.parts & other.parts:
            self._release(part)
        home.absorb(other)
        self._alive.discard(other)
        for node in other.nodes:
            self._clusters[node] = home
        return home

    def _claim(self, cluster: _Cluster, runs: AbstractSet[str]) -> None:
        """Note that runs may have the spans of a cluster."""
        if runs and not cluster.runs:
            self._unclaimed -= cluster.counts
        cluster.runs |= runs
