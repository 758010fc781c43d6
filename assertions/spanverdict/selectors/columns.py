"""What a selector is evaluated over: a table, its forest, and the columns read so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from threading import RLock

import numpy as np

from spanverdict.paths.forest import Forest, grow
from spanverdict.selectors.tree import Attribute, Intrinsic, Scope
from spanverdict.selectors.values import Values
from spanverdict.telemetry.spantable import Bools, Int64s, Rows, SpanTable
from spanverdict.telemetry.vectors import widened


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """A table and its forest, row by row. Neither is ever changed; columns are read once and kept.

    `group` says what structure, `&&` and aggregates may not cross: a trace, or a request. Without it
    that of the forest counts. A forest given as a function is grown when structure is first asked for.
    """

    table: SpanTable
    planted: Forest | Callable[[], Forest]
    group: Int64s | None = None
    columns: dict[Attribute | Intrinsic, Values] = field(default_factory=dict, repr=False)
    """What was read so far; filled by whoever reads."""
    _kept: dict[str, tuple[Int64s, int] | Rows | Forest] = field(default_factory=dict, repr=False)
    _growing: RLock = field(default_factory=RLock, repr=False)
    """Held while the forest grows: who else wants it waits instead of growing another."""

    def __len__(self) -> int:
        return len(self.table)

    @staticmethod
    def of(table: SpanTable) -> Spans:
        """Return the spans of a table, each trace for itself."""
        return Spans(table, partial(grow, table), widened(table.trace))

    @property
    def forest(self) -> Forest:
        """Who is whose parent, and where each span stands."""
        if isinstance(self.planted, Forest):
            return self.planted
        with self._growing:
            found = self._kept.get("forest")
            if not isinstance(found, Forest):
                found = self._kept["forest"] = self.planted()
            return found

    def parts(self) -> tuple[Int64s, int]:
        """Number the groups from 0 without gaps; return the number of each row, and how many there are."""
        found = self._kept.get("parts")
        if not isinstance(found, tuple):
            found = self._kept["parts"] = dense(self.forest.group if self.group is None else self.group)
        return found

    def parents(self) -> Rows:
        """Return the row of each span's parent, -1 for none; the earliest linked span stands in for one."""
        found = self._kept.get("parents")
        if not isinstance(found, np.ndarray):
            found = self._kept["parents"] = _parents(self.table, self.forest)
        return found

    def owners(self, level: Scope) -> Rows:
        """Return the span that each event, or each link, belongs to."""
        found = self._kept.get(level)
        if not isinstance(found, np.ndarray):
            offsets = self.table.events.offsets if level is Scope.EVENT else self.table.links.offsets
            found = self._kept[level] = np.repeat(np.arange(len(self)), np.diff(offsets))
        return found

    def any_of(self, level: Scope, rows: Bools) -> Bools:
        """Turn a truth of each event or link into one of each span: does any of its own hold?"""
        if level is Scope.SPAN:
            return rows
        found = np.zeros(len(self), np.bool_)
        found[self.owners(level)[rows]] = True
        return found


def dense(numbers: Int64s) -> tuple[Int64s, int]:
    """Renumber from 0 without gaps that matter; return the numbers and one more than the largest."""
    if not len(numbers):
        return numbers, 0
    low, high = int(numbers.min()), int(numbers.max())
    if low >= 0 and high < 2 * len(numbers) + 1024:
        return numbers, high + 1
    distinct, found = np.unique(numbers, return_inverse=True)
    return found.astype(np.int64), len(distinct)


def _parents(table: SpanTable, forest: Forest) -> Rows:
    alone = forest.parent[forest.link_to] < 0
    source, target = forest.link_from[alone], forest.link_to[alone]
    if not len(target):
        return forest.parent
    order = np.lexsort((source, table.span_id[source], table.start_time_unix_nano[source]))[::-1]
    parent = forest.parent.copy()
    parent[target[order]] = source[order]
    return parent
