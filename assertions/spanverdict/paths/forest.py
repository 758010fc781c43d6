"""The parent-child forest of a table, numbered so that structure is a few vector operations.

Every span has a place: an orphan (its parent never came) is the root of its own component, and a
cycle is broken at its earliest span. Both stay visible in the masks of the forest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from spanverdict.paths.chains import far, reached
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.ordering import in_order, order_of, sorted_by
from spanverdict.telemetry.spantable import Bools, Int32s, Int64s, Ints, Rows, SpanTable, UInt64s
from spanverdict.telemetry.vectors import constant, widened

MAX_HOPS = 64
"""How many link edges one path may follow."""

_FEW_PARTS: Final = 4
"""Of fewer than one row in so many an index of their own is made."""
_NEAR: Final = 16
"""So many rows are looked at before the index is made and asked."""
_PIECE: Final = 1 << 18
"""Parents of so many rows are looked for at a time, so that what that takes does not grow with the run."""
_CACHED: Final = 1 << 14
"""So many rows of a few columns stay in the cache."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_GROUP = np.uint64(0xC2B2AE3D27D4EB4F)


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Who is whose parent, and a pre-order numbering of every tree.

    All arrays have one entry a row of the table the forest was grown from.
    """

    parent: Rows
    """Row of the parent, -1 for roots and orphans."""
    orphan: Bools
    """The span names a parent that is not in the table."""
    cyclic: Bools
    """The span stood on a parent cycle; at the earliest of each the cycle was cut."""
    group: Int64s
    """What structure may not cross: the trace number, or the request."""
    depth: Int32s
    """0 for roots."""
    preorder: Int32s
    """Position of the row in depth-first order, siblings by start then id; unique in the table."""
    size: Int32s
    """Spans in the subtree, the span itself included."""
    link_from: Rows
    """Rows that are linked *to* (earlier) …"""
    link_to: Rows
    """… by these rows (later): extra parent → child edges, empty inside one trace."""

    def __len__(self) -> int:
        return len(self.parent)

    def parents(self, of: Bools) -> Bools:
        """Return the spans that have a child in `of`."""
        found = np.zeros(len(self), np.bool_)
        above = self.parent[of]
        found[above[above >= 0]] = True
        found[self.link_from[of[self.link_to]]] = True
        return found

    def children(self, of: Bools) -> Bools:
        """Return the spans whose parent is in `of`."""
        found = (self.parent >= 0) & of[self.parent]
        found[self.link_to[of[self.link_from]]] = True
        return found

    def siblings(self, of: Bools) -> Bools:
        """Return the spans that share a parent with *another* span of `of`."""
        above, below = self.edges()
        chosen = np.bincount(above[of[below]], minlength=len(self))
        found = np.zeros(len(self), np.bool_)
        found[below[chosen[above] > of[below]]] = True
        return found

    def edges(self) -> tuple[Rows, Rows]:
        """Return the distinct (parent, child) pairs, by parenthood and by link."""
        below = np.flatnonzero(self.parent >= 0)
        above = self.parent[below]
        if not len(self.link_from):
            return above, below
        extra = self.parent[self.link_to] != self.link_from
        linked = ascending(self.link_from[extra].astype(np.int64) * len(self) + self.link_to[extra])
        source, target = np.divmod(linked, len(self))
        return np.concatenate([above, source]), np.concatenate([below, target])

    def descendants(self, of: Bools) -> Bools:
        """Return the spans strictly below a span of `of`."""
        return self._closure(of, self._tree_descendants, self.link_from, self.link_to)

    def ancestors(self, of: Bools) -> Bools:
        """Return the spans strictly above a span of `of`."""
        return self._closure(of, self._tree_ancestors, self.link_to, self.link_from)

    def _closure(self, of: Bools, tree: Callable[[Bools], Bools], source: Rows, target: Rows) -> Bools:
        """Alternate between trees and link edges until nothing new is found, at most `MAX_HOPS` links deep."""
        found = tree(of)
        if not len(source):
            return found
        for _ in range(MAX_HOPS):
            reached = np.zeros(len(self), np.bool_)
            reached[target[(of | found)[source]]] = True
            new = reached & ~found
            if not new.any():
                break
            found = found | new | tree(new)
        return found

    def _tree_descendants(self, of: Bools) -> Bools:
        """A subtree is a run of the pre-order: count at each place how many chosen runs are open."""
        at = self.preorder[of]
        if not len(at):
            return np.zeros(len(self), np.bool_)
        opened = np.bincount(at + 1, minlength=len(self) + 1)
        opened -= np.bincount(at + self.size[of], minlength=len(self) + 1)
        inside: Bools = np.cumsum(opened) > 0
        return inside.take(self.preorder)

    def _tree_ancestors(self, of: Bools) -> Bools:
        """A span stands above a chosen one where its run, itself left out, holds one."""
        before = np.zeros(len(self) + 2, np.int64)
        before[self.preorder[of] + 1] = 1
        before = np.cumsum(before)
        found: Bools = before.take(self.preorder + self.size) > before.take(self.preorder + 1)
        return found

    def nested_set(self) -> tuple[Int64s, Int64s]:
        """Return nested-set (left, right) numbers, counted from 1 in each group."""
        order = np.argsort(self.preorder)
        starts = np.flatnonzero(np.diff(self.group[order], prepend=self.group[order][:1] - 1))
        first = np.empty(len(self), np.int64)
        first[order] = np.repeat(starts, np.diff(np.append(starts, len(self))))
        left = 2 * (self.preorder - first) - self.depth + 1
        return left, left + 2 * self.size - 1


@dataclass(frozen=True, slots=True, eq=False)
class Parents:
    """The part of a forest that needs no numbering: who is whose parent, and what is wrong with it."""

    parent: Rows
    orphan: Bools
    cyclic: Bools


def find_parents(table: SpanTable, group: Int64s, index: SpanIndex | None = None, *, settled: bool = False) -> Parents:
    """Find the parent of each row within its group; `index`, if at hand, is that of this table and group.

    A table that is settled, in canonical order and with every span once, takes less time; the group is its trace.
    """
    named = table.parent_span_id != 0
    index = index or SpanIndex.of(table, group)
    if settled:
        parent = _parents_before(table, group)
        rest = np.flatnonzero(named & (parent < 0))
        parent[rest] = index.find_among(group[rest], table.parent_span_id[rest])
    else:
        parent = np.full(len(table), -1, np.intp)
        for start in range(0, len(table), _PIECE):
            rows = start + np.flatnonzero(named[start : start + _PIECE])
            parent[rows] = index.find(group[rows], table.parent_span_id[rows])
    orphan = named & (parent < 0)
    parent, cyclic = _cut_cycles(table, parent)
    return Parents(parent, orphan, cyclic)


def _parents_before(table: SpanTable, group: Int64s) -> Rows:
    """Return the parent of each row as far as it is one of the few rows before, else -1; the table is settled.

    Whole columns are held against themselves, some rows apart: what would be looked up stands in the cache anyway.
    """
    span_id, wanted = table.span_id, table.parent_span_id
    parent = np.full(len(table), -1, np.intp)
    for start in range(0, len(table), _CACHED):
        stop = min(start + _CACHED, len(table))
        left = wanted[start:stop] != 0
        for distance in range(1, min(_NEAR, stop - 1) + 1):
            first = max(start, distance)
            found = left[first - start :] & (span_id[first - distance : stop - distance] == wanted[first:stop])
            rows = first + np.flatnonzero(found)
            rows = rows[group[rows] == group[rows - distance]]
            parent[rows] = rows - distance
            left[rows - start] = False
            if not left.any():
                break
    return parent


def grow(
    table: SpanTable,
    group: Int64s | None = None,
    links: tuple[Rows, Rows] | None = None,
    known: Parents | None = None,
) -> Forest:
    """Grow the forest of `table`.

    `group` (n,) keeps structure apart; the trace by default. With it a row may stand in the table
    once a group. `links` are extra (from, to) edges, rows of this table. Parents that are `known`
    are not looked for again; none of them may be in another group.
    """
    if group is None:
        group = widened(table.trace)
    if known is None:
        known = find_parents(table, group)
    places = number(known.parent, _by_family(table, group, known.parent))
    empty = np.zeros(0, np.intp)
    link_from, link_to = links if links is not None else (empty, empty)
    return Forest(
        known.parent,
        known.orphan,
        known.cyclic,
        group,
        places.depth,
        places.preorder,
        places.size,
        link_from,
        link_to,
    )


def _by_family(table: SpanTable, group: Int64s, parent: Rows) -> Rows:
    """Return the roots by group, then all other rows by parent; in each family by start, then id."""
    families = parent + (1 + int(group.max(initial=0)))
    np.copyto(families, group, where=parent < 0)
    order = order_of(families)
    n_roots = int(np.count_nonzero(parent < 0))
    for rows in (order[:n_roots], order[n_roots:]):  # of a settled table, the others are in order already
        columns = families, table.start_time_unix_nano, table.span_id
        if not in_order(column[rows] for column in columns):
            rows[:] = sorted_by(rows, *columns)
    return order


@dataclass(frozen=True, slots=True, eq=False)
class Numbering:
    """Where each row stands in its tree; the arrays are those of `Forest`."""

    depth: Int32s
    size: Int32s
    preorder: Int32s


def number(parent: Rows, order: Rows) -> Numbering:
    """Number the trees that `parent` (-1 for roots, no cycles) makes.

    `order` holds all rows, sorted by parent and, among the children of one parent, as they shall follow.
    """
    depth, _ = _sum_to_root(parent, constant(1, len(parent), np.int32))
    size = _sizes(parent, depth)
    place = _among_siblings(parent, size, order)
    del order
    below, root = _sum_to_root(parent, place)
    below += place[root]
    return Numbering(depth, size, below)


class SpanIndex:
    """Finds rows by (group, span id); of rows with the same key the first is found."""

    def __init__(self, group: Ints, span_id: UInt64s) -> None:
        self._group, self._span_id = group, span_id

    @staticmethod
    def of(table: SpanTable, group: Ints) -> SpanIndex:
        """Return the index of the spans of a table."""
        return SpanIndex(group, table.span_id)

    @cached_property
    def _sorted(self) -> tuple[Rows, UInt64s]:
        """All rows by mixed key, and their keys."""
        keys = mixed(self._group, self._span_id)
        order = order_of(keys)
        return order, keys[order]

    def find_near(self, near: Rows, step: int, group: Int64s, span_id: UInt64s) -> Rows:
        """Return what `find` does, where no key stands in two rows; each is looked for at a row and some on from there.

        Spans that have to do with each other mostly stand close together. The others are looked for in their groups.
        """
        found = self.near(near, step, group, span_id)
        rest = np.flatnonzero(found < 0)
        found[rest] = self.find_among(group[rest], span_id[rest])
        return found

    def near(self, near: Rows, step: int, group: Int64s, span_id: UInt64s) -> Rows:
        """Return what `find` does as far as it stands at the given rows or some on from there, else -1."""
        found = np.full(len(near), -1, np.intp)
        rest, last = np.arange(len(near)), len(self._group) - 1
        for distance in range(0, _NEAR * step, step):
            row = np.clip(near.take(rest) + distance, 0, last)
            hit = (self._span_id.take(row) == span_id.take(rest)) & (self._group.take(row) == group.take(rest))
            found[rest[hit]] = row[hit]
            rest = rest[~hit]
            if not len(rest):
                break
        return found

    def find_among(self, group: Int64s, span_id: UInt64s) -> Rows:
        """Return what `find` does, for keys of few groups, with numbers of 0 or more: no others are sorted."""
        if not len(group):
            return np.zeros(0, np.intp)
        asked = np.zeros(1 + max(int(self._group.max(initial=0)), int(group.max())), np.bool_)
        asked[group] = True
        rows = np.flatnonzero(asked.take(self._group))
        if len(rows) * _FEW_PARTS > len(self._group):
            return self.find(group, span_id)
        found = SpanIndex(self._group[rows], self._span_id[rows]).find(group, span_id)
        return np.where(found >= 0, rows[found], -1) if len(rows) else found

    def find(self, group: Int64s, span_id: UInt64s) -> Rows:
        """Return the row of each (group, span id), -1 where there is none. Same shapes in and out."""
        if not len(self._group):
            return np.full(len(group), -1, np.intp)
        known, keys = self._sorted
        wanted = mixed(group, span_id)
        order = order_of(wanted)  # what is searched for in order is found several times as fast
        place = np.empty(len(wanted), np.intp)
        place[order] = np.minimum(np.searchsorted(keys, wanted[order]), len(keys) - 1)
        rows = known[place]
        hit = (self._group[rows] == group) & (self._span_id[rows] == span_id)
        clash = ~hit & (keys[place] == wanted)
        for at in np.flatnonzero(clash):
            rows[at] = self._walk(int(place[at]), wanted[at], group[at], span_id[at])
        return np.where(hit | clash, rows, -1)

    def _walk(self, place: int, wanted: np.uint64, group: np.int64, span_id: np.uint64) -> int:
        """Search a run of equal mixed keys, as different ids may mix to the same key."""
        order, keys = self._sorted
        while place < len(keys) and keys[place] == wanted:
            row = int(order[place])
            if self._group[row] == group and self._span_id[row] == span_id:
                return row
            place += 1
        return -1


def mixed(group: Ints, span_id: UInt64s) -> UInt64s:
    """Mix (group, span id) into one number to sort by; different pairs seldom come out the same."""
    keys = np.empty(len(span_id), np.uint64)
    for start in range(0, len(keys), _CACHED):
        here = keys[start : start + _CACHED]
        spread = group[start : start + _CACHED].astype(np.uint64)
        spread *= _MIX
        np.right_shift(spread, np.uint64(29), out=here)
        here ^= span_id[start : start + _CACHED]
        here *= _MIX_GROUP
        here += spread
    return keys


def _cut_cycles(table: SpanTable, parent: Rows) -> tuple[Rows, Bools]:
    cyclic = np.zeros(len(parent), np.bool_)
    for first in range(0, len(parent), _CACHED):
        above = parent[first : first + _CACHED]
        cyclic[first : first + _CACHED] = above >= np.arange(first, first + len(above))
    later = np.flatnonzero(cyclic)  # the parent stands later, as one does on every way around
    cyclic[later] = False
    cyclic[far(parent, later)] = True
    if not cyclic.any():
        return parent, cyclic
    cyclic = reached(cyclic, parent)
    parent = parent.copy()
    unseen = cyclic.copy()
    for start in np.flatnonzero(cyclic):
        if unseen[start]:
            members = [row := int(start)]
            while (row := int(parent[row])) != start:
                members.append(row)
            unseen[members] = False
            first = min(members, key=lambda m: (table.start_time_unix_nano[m], table.span_id[m]))
            parent[first] = -1
    return parent, cyclic


def _sum_to_root(parent: Rows, weight: Int32s) -> tuple[Int32s, Rows]:
    """Add up the weights of each row and all above it, roots excepted; return the sums and the roots.

    Each round doubles how far a row has looked.
    """
    total = np.where(parent >= 0, weight, np.int32(0))
    root = np.arange(len(parent))
    np.copyto(root, parent, where=parent >= 0)
    while not np.array_equal(farther := root[root], root):
        total += total[root]
        root = farther
    return total, root


def _sizes(parent: Rows, depth: Int32s) -> Int32s:
    """Count each subtree, from the deepest level upwards."""
    size = np.ones(len(parent), np.int32)
    order = order_of(depth)
    ends = np.cumsum(np.bincount(depth))
    for first, last in zip(ends[-2::-1], ends[:0:-1], strict=True):
        rows = order[first:last]
        np.add.at(size, parent[rows], size[rows])
    return size


def _among_siblings(parent: Rows, size: Int32s, order: Rows) -> Int32s:
    """Place each span after its parent and its earlier siblings' subtrees; roots after earlier trees."""
    above = parent[order]
    fresh = np.flatnonzero(np.diff(above, prepend=-2))
    sizes = size[order]
    before = np.cumsum(sizes, dtype=np.int32)
    before -= sizes
    before -= np.repeat(before[fresh], np.diff(np.append(fresh, len(order))))
    before += above >= 0
    place = np.empty(len(parent), np.int32)
    place[order] = before
    return place
