"""Spans as columns: one row a span, numpy arrays throughout, no Python object per span."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.attributecolumn import AttributeColumn, ColumnCache, absent, attribute_column, ragged_column
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.ragged import Ragged, ragged
from spanverdict.telemetry.renumbering import moved, moved_items, moved_lists
from spanverdict.telemetry.reordered import Reordered
from spanverdict.telemetry.spanlists import Events, Links, no_events, no_links
from spanverdict.telemetry.vectors import (
    Bools,
    Int8s,
    Int32s,
    Int64s,
    Ints,
    Rows,
    UInt32s,
    UInt64s,
    constant,
    is_constant,
)

_MANY: Final = 4096

__all__ = (
    "MAX_TIME",
    "PLAIN",
    "AttributeColumn",
    "Bools",
    "Events",
    "Int8s",
    "Int32s",
    "Int64s",
    "Ints",
    "Links",
    "Ragged",
    "Rows",
    "SpanTable",
    "UInt32s",
    "UInt64s",
)

MAX_TIME = np.iinfo(np.int64).max
"""Stands for every time at or beyond 2^63 ns: out of range, reported, never used."""


@dataclass(frozen=True, slots=True, eq=False)
class SpanTable:
    """The spans of a run. Columns are never changed once made: every operation returns new ones.

    All columns have one entry a span. Times are int64 nanoseconds since the epoch as sent, not
    rounded, not shifted; a time at or beyond 2^63 is `MAX_TIME`.
    """

    pool: Pool
    trace: Int32s
    """Number of the trace id in `pool.traces`."""
    span_id: UInt64s
    """The 8 bytes of the id read big-endian; never 0."""
    parent_span_id: UInt64s
    """0 for a root."""
    resource: Int32s
    scope: Int32s
    name: Int32s
    kind: Int8s
    status_code: Int8s
    status_message: Int32s
    trace_state: Int32s
    flags: UInt32s
    start_time_unix_nano: Int64s
    end_time_unix_nano: Int64s
    dropped_attributes: UInt32s
    dropped_events: UInt32s
    dropped_links: UInt32s
    attributes: Ragged
    """Attribute ids of each span in the order sent."""
    events: Events
    links: Links
    _columns: ColumnCache = field(default_factory=dict, repr=False)
    """What was read so far, by scope and key."""

    def __len__(self) -> int:
        return len(self.trace)

    def duration(self) -> Int64s:
        """Return end - start of each span in ns; negative where the span says so."""
        return self.end_time_unix_nano - self.start_time_unix_nano

    def take(self, rows: Rows) -> SpanTable:
        """Return the given rows in the given order; a row may come more than once."""
        return self._with(rows, self.attributes.take(rows))

    def reordered(self, rows: Rows) -> SpanTable:
        """Return all rows in the given order; a row may come more than once."""
        return self._with(rows, self._looked_up(rows))

    def followed_by(self, rows: Rows) -> SpanTable:
        """Return all rows, and after them some of them once more."""
        return self.reordered(np.concatenate([np.arange(len(self), dtype=np.int32), rows]))

    def _looked_up(self, rows: Rows) -> Reordered:
        """Return the attributes of rows, which stay where they are until somebody wants to see all of them."""
        known = self.attributes
        if isinstance(known, Reordered):
            return known.again(rows)
        return Reordered(known, rows, self.pool, self._columns)

    def _with(self, rows: Rows, attributes: Ragged) -> SpanTable:
        plain: dict[str, Any] = {name: taken(getattr(self, name), rows) for name in PLAIN}
        return SpanTable(
            pool=self.pool,
            attributes=attributes,
            events=self.events.take(rows),
            links=self.links.take(rows),
            **plain,
        )

    def attribute(self, key: str) -> AttributeColumn:
        """Return the span attribute `key` of each row; of a repeated key the last counts."""
        return self._cached("span", key)

    def resource_attribute(self, key: str) -> AttributeColumn:
        """Return the resource attribute `key` of each row."""
        return self._cached("resource", key)

    def scope_attribute(self, key: str) -> AttributeColumn:
        """Return the instrumentation-scope attribute `key` of each row."""
        return self._cached("scope", key)

    def event_attribute(self, key: str) -> AttributeColumn:
        """Return the attribute `key` of each *event* row (not span row)."""
        return self._cached("event", key)

    def link_attribute(self, key: str) -> AttributeColumn:
        """Return the attribute `key` of each *link* row (not span row)."""
        return self._cached("link", key)

    def _cached(self, scope: str, key: str) -> AttributeColumn:
        column = self._columns.get((scope, key))
        if not isinstance(column, AttributeColumn):
            column = self._columns[scope, key] = self._column(scope, key)
        return column

    def _column(self, scope: str, key: str) -> AttributeColumn:
        pool = self.pool
        match scope:
            case "span":
                if isinstance(self.attributes, Reordered):
                    return self.attributes.column(key)
                return attribute_column(pool, self.attributes, key, self._columns)
            case "event":
                return ragged_column(pool, self.events.attributes, key)
            case "link":
                return ragged_column(pool, self.links.attributes, key)
            case "resource":
                owned, numbers = pool.resource_attributes, self.resource
            case _:
                owned, numbers = pool.scope_attributes, self.scope
        if pool.keys.id_of(key) < 0:
            return absent(len(numbers))
        used = ascending(numbers)
        column = ragged_column(pool, ragged([owned[number] for number in used.tolist()]), key)
        if not column.values:
            return absent(len(numbers))
        if len(used) == 1:
            return AttributeColumn(constant(column.codes[0], len(numbers), np.int32), column.values)
        codes = np.full(int(used.max(initial=0)) + 1, -1, np.int32)
        codes[used] = column.codes
        return AttributeColumn(codes.take(numbers), column.values)

    @property
    def nbytes(self) -> int:
        """How much memory the columns take, about; what they share with the pool is not counted."""
        events, links = self.events, self.links
        columns = [getattr(self, name) for name in PLAIN]
        columns += [events.offsets, events.time_unix_nano, events.name]
        columns += [links.offsets, links.trace, links.span_id, links.trace_state, links.flags]
        lists = (self.attributes, events.attributes, links.attributes)
        return int(sum([column.nbytes for column in columns]) + sum(map(_nbytes, lists)))

    def into(self, pool: Pool) -> SpanTable:
        """Return the same spans as a table of another pool, so that it can be joined with others.

        Adds what is used to `pool`, whose owner holds its lock; costs work per distinct value.
        """
        old = self.pool
        strings = partial(moved_items, source=old.strings, target=pool.strings)
        traces = partial(moved_items, source=old.traces, target=pool.traces)
        lists = partial(moved_lists, source=old.attributes, target=pool.attributes)
        events, links = self.events, self.links
        return replace(
            self,
            pool=pool,
            trace=traces(self.trace),
            resource=moved(self.resource, lambda used: [pool.adopt_resource(old, number) for number in used]),
            scope=moved(self.scope, lambda used: [pool.adopt_scope(old, number) for number in used]),
            name=strings(self.name),
            status_message=strings(self.status_message),
            trace_state=strings(self.trace_state),
            attributes=lists(self.attributes),
            events=replace(events, name=strings(events.name), attributes=lists(events.attributes)),
            links=replace(
                links,
                trace=traces(links.trace),
                trace_state=strings(links.trace_state),
                attributes=lists(links.attributes),
            ),
            _columns={},
        )

    @staticmethod
    def empty(pool: Pool) -> SpanTable:
        """Return a table without rows."""
        plain: dict[str, Any] = {name: np.zeros(0, dtype) for name, dtype in PLAIN.items()}
        return SpanTable(pool=pool, attributes=Ragged.empty(), events=no_events(), links=no_links(), **plain)


PLAIN = {
    "trace": np.int32,
    "span_id": np.uint64,
    "parent_span_id": np.uint64,
    "resource": np.int32,
    "scope": np.int32,
    "name": np.int32,
    "kind": np.int8,
    "status_code": np.int8,
    "status_message": np.int32,
    "trace_state": np.int32,
    "flags": np.uint32,
    "start_time_unix_nano": np.int64,
    "end_time_unix_nano": np.int64,
    "dropped_attributes": np.uint32,
    "dropped_events": np.uint32,
    "dropped_links": np.uint32,
}
"""The columns that hold one number a span, and their types."""


def taken(column: npt.NDArray[Any], rows: Rows) -> npt.NDArray[Any]:
    """Return the given rows of a column; where all of many are the same number, none has to be looked for."""
    if len(column) and (is_constant(column) or (len(rows) > _MANY and (column == column[0]).all())):
        return constant(column[0], len(rows), column.dtype)
    return column.take(rows)


def _nbytes(lists: Ragged) -> int:
    return lists.offsets.nbytes + lists.items.nbytes
