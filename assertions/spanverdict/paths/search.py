"""Which segments each request reaches: outwards from its ingest spans, a specific join before a shared parent.

An entry that something of its own leads to follows its parent only where the parent belongs to one
request at most. Which parents are shared shows only in the result, so the search is repeated: first
without any such edge, which finds parents that are certainly shared, then with those that may stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spanverdict.paths.forest import MAX_HOPS, Numbering
from spanverdict.paths.joins import Join
from spanverdict.paths.pathgraph import PathGraph
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.ragged import runs
from spanverdict.telemetry.spantable import Bools, Int64s


@dataclass(frozen=True, slots=True, eq=False)
class Seeds:
    """Where the search begins: (request, node) pairs as request * n_nodes + node, and their joins."""

    n_nodes: int
    pairs: Int64s
    join: Int64s

    @staticmethod
    def none(n_nodes: int) -> Seeds:
        """Return no seeds."""
        return Seeds(n_nodes, np.zeros(0, np.int64), np.zeros(0, np.int64))

    def with_more(self, pairs: Int64s, join: Join) -> Seeds:
        """Return these seeds and others with one join."""
        joins = np.full(len(pairs), int(join))
        return Seeds(self.n_nodes, np.concatenate([self.pairs, pairs]), np.concatenate([self.join, joins]))


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """What the requests reach."""

    pairs: Int64s
    """request * n_nodes + node, ascending, each once."""
    join: Int64s
    capped: int
    """Requests that go on beyond `MAX_HOPS`."""


def search(graph: PathGraph, seeds: Seeds) -> Reached:
    """Find all that the requests reach."""
    conditional = graph.conditional
    if not conditional.any():
        return _spread(graph, seeds, conditional)
    closed = conditional & _below_shared(graph, _spread(graph, seeds, conditional))
    for _ in range(MAX_HOPS):
        reached = _spread(graph, seeds, closed)
        doubtful = conditional & ~closed & _below_shared(graph, reached)
        if not doubtful.any():
            return reached
        certain = doubtful & _below_shared(graph, _spread(graph, seeds, closed | doubtful))
        closed = closed | (certain if certain.any() else doubtful)
    return _spread(graph, seeds, closed | doubtful)


def _below_shared(graph: PathGraph, reached: Reached) -> Bools:
    """Tell which entries stand below a segment that several requests reach."""
    held = np.bincount(reached.pairs % graph.n_nodes, minlength=graph.n_nodes)
    shared: Bools = held[graph.parent] > 1
    return shared & (graph.parent >= 0)


def _spread(graph: PathGraph, seeds: Seeds, closed: Bools) -> Reached:
    """Follow all edges from the seeds but those to `closed` entries from above, `MAX_HOPS` joins far."""
    trees = _Trees.of(graph, closed)
    pairs, join = np.zeros(0, np.int64), np.zeros(0, np.int64)
    arrived = _strongest(seeds.pairs, seeds.join)
    for _ in range(MAX_HOPS + 1):
        arrived = _new(pairs, arrived)
        if not len(arrived[0]):
            return Reached(pairs, join, 0)
        fresh = _new(pairs, arrived if trees is None else _with_below(trees, arrived))
        pairs, join = _merged(pairs, join, fresh)
        arrived = _beyond(graph, fresh[0], pairs)
    beyond = _new(pairs, arrived)[0]
    return Reached(pairs, join, len(ascending(beyond // graph.n_nodes)))


_Pairs = tuple[Int64s, Int64s]
"""Ascending (request, node) pairs, each once, and their joins."""


def _beyond(graph: PathGraph, fresh: Int64s, known: Int64s) -> _Pairs:
    """Return what is one join away; a key value is not a stop but on the way."""
    to = _strongest(*graph.hops.follow(fresh, graph.n_nodes))
    if graph.n_nodes == len(graph.entry):
        return to
    values = _new(known, to)[0]
    values = values[values % graph.n_nodes >= len(graph.entry)]
    if not len(values):
        return to
    through, join = graph.hops.follow(values, graph.n_nodes)
    return _strongest(np.concatenate([to[0], through]), np.concatenate([to[1], join]))


def _strongest(pairs: Int64s, join: Int64s) -> _Pairs:
    """Sort pairs and keep each once, with its strongest join."""
    if not len(pairs):
        return pairs, join
    order = order_of(pairs, join)
    pairs, join = pairs[order], join[order]
    first = np.diff(pairs, prepend=-1) != 0
    return pairs[first], join[first]


def _new(pairs: Int64s, more: _Pairs) -> _Pairs:
    """Return those of `more` that are not among `pairs`; both ascend."""
    if not len(pairs):
        return more
    place = np.minimum(np.searchsorted(pairs, more[0]), len(pairs) - 1)
    fresh = pairs[place] != more[0]
    return more[0][fresh], more[1][fresh]


def _merged(pairs: Int64s, join: Int64s, fresh: _Pairs) -> _Pairs:
    if not len(pairs):
        return fresh
    place = np.searchsorted(pairs, fresh[0])
    return np.insert(pairs, place, fresh[0]), np.insert(join, place, fresh[1])


@dataclass(frozen=True, slots=True, eq=False)
class _Trees:
    """The trees of segments in pre-order, so that what hangs below a segment is a run."""

    n_nodes: int
    place: Int64s
    """(n_nodes,) position in pre-order; key values come after all segments."""
    size: Int64s
    node: Int64s
    """(n_nodes,) the node at each position."""

    @staticmethod
    def of(graph: PathGraph, closed: Bools) -> _Trees | None:
        """Number the trees; None where nothing hangs below anything."""
        if not (~closed & (graph.parent >= 0)).any():
            return None
        numbered: Numbering = graph.numbered(closed)
        values = np.arange(len(graph.entry), graph.n_nodes)
        place = np.concatenate([numbered.preorder, values])
        node = np.empty(graph.n_nodes, np.int64)
        node[place] = np.arange(graph.n_nodes)
        return _Trees(graph.n_nodes, place, np.concatenate([numbered.size, np.ones(len(values), np.int64)]), node)


def _with_below(trees: _Trees, arrived: _Pairs) -> _Pairs:
    """Return the pairs and all that hangs below them."""
    request, node = np.divmod(arrived[0], trees.n_nodes)
    size = trees.size[node]
    if (size == 1).all():
        return arrived
    begin = request * trees.n_nodes + trees.place[node]
    order = np.argsort(begin)
    begin, end = begin[order], (begin + size)[order]
    top = np.ones(len(begin), np.bool_)
    top[1:] = begin[1:] >= np.maximum.accumulate(end)[:-1]
    first, sizes = begin[top], (end - begin)[top]
    request, place = np.divmod(runs(first + 1, sizes - 1), trees.n_nodes)
    below = request * trees.n_nodes + trees.node[place]
    joins = np.full(len(below), int(Join.PARENT))
    return _strongest(np.concatenate([arrived[0], below]), np.concatenate([arrived[1], joins]))
