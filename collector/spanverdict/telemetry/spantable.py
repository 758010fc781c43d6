"""Spans as columns: one row a span, numpy arrays throughout, no Python object per span."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.distinct import distinct
from spanverdict.telemetry.interning import Interner
from spanverdict.telemetry.pool import Pool, Value

Bools: TypeAlias = npt.NDArray[np.bool_]
Int8s: TypeAlias = npt.NDArray[np.int8]
Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]
UInt32s: TypeAlias = npt.NDArray[np.uint32]
UInt64s: TypeAlias = npt.NDArray[np.uint64]
Rows: TypeAlias = npt.NDArray[np.intp]

_FEW_KEYS = 2**16
MAX_TIME = np.iinfo(np.int64).max
"""Stands for every time at or beyond 2^63 ns: out of range, reported, never used."""


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Lists of different length, one a row: row `i` is `items[offsets[i]:offsets[i + 1]]`."""

    offsets: Int64s
    """(n_rows + 1,), starts at 0, never falls."""
    items: Int32s
    """(offsets[-1],)"""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, number: int) -> Int32s:
        """Return the items of one row."""
        return self.items[self.offsets[number] : self.offsets[number + 1]]

    def owners(self) -> Rows:
        """Return the row that each item belongs to, (n_items,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def take(self, rows: Rows) -> Ragged:
        """Return the given rows in the given order."""
        offsets, places = gather(self.offsets, rows)
        return Ragged(offsets, self.items[places])

    @staticmethod
    def empty(n_rows: int = 0) -> Ragged:
        """Return `n_rows` rows without items."""
        return Ragged(np.zeros(n_rows + 1, np.int64), np.zeros(0, np.int32))


def gather(offsets: Int64s, rows: Rows) -> tuple[Int64s, Rows]:
    """Return the offsets of `rows` laid end to end, and where each of their items stands now."""
    first = offsets[rows]
    sizes = offsets[rows + 1] - first
    taken = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(sizes, out=taken[1:])
    return taken, runs(first, sizes)


def runs(first: Int64s, sizes: Int64s) -> Rows:
    """Return first[0], first[0] + 1, … of as many numbers as sizes[0], then those from first[1] on, and so on.

    Adds up steps: one within a run, and the way to the next run between two.
    """
    some = np.flatnonzero(sizes)
    if len(some) < len(sizes):
        first, sizes = first[some], sizes[some]
    steps = np.ones(int(sizes.sum()), np.intp)
    if len(steps):
        steps[0] = first[0]
        steps[np.cumsum(sizes[:-1])] = np.diff(first) - sizes[:-1] + 1
    return np.cumsum(steps, out=steps)


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Span events: the events of span `i` are rows `offsets[i]:offsets[i + 1]`."""

    offsets: Int64s
    time_unix_nano: Int64s
    name: Int32s
    """String ids."""
    attributes: Ragged


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """Span links: the links of span `i` are rows `offsets[i]:offsets[i + 1]`."""

    offsets: Int64s
    trace: Int32s
    """Trace numbers in the pool, as in `SpanTable.trace`; the linked trace need not be here."""
    span_id: UInt64s
    trace_state: Int32s
    flags: UInt32s
    attributes: Ragged


def no_events(n_spans: int = 0) -> Events:
    """Return spans without events."""
    numbers = np.zeros(0, np.int32)
    return Events(np.zeros(n_spans + 1, np.int64), np.zeros(0, np.int64), numbers, Ragged.empty())


def no_links(n_spans: int = 0) -> Links:
    """Return spans without links."""
    numbers = np.zeros(0, np.int32)
    ids, flags = np.zeros(0, np.uint64), np.zeros(0, np.uint32)
    return Links(np.zeros(n_spans + 1, np.int64), numbers, ids, numbers, flags, Ragged.empty())


@dataclass(frozen=True, slots=True, eq=False)
class AttributeColumn:
    """One attribute over all rows of a table."""

    codes: Int32s
    """(n_rows,) positions in `values`; -1 where the attribute is absent."""
    values: tuple[Value, ...]
    """Distinct serialised values, decoded; equal values may stand at several positions."""

    def __getitem__(self, row: int) -> Value:
        """Return the value in one row, None where absent."""
        code = self.codes[row]
        return self.values[code] if code >= 0 else None


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
    _columns: dict[tuple[str, str], AttributeColumn | _Keyed] = field(default_factory=dict, repr=False)
    """What was read so far, by scope and key."""

    def __len__(self) -> int:
        return len(self.trace)

    def duration(self) -> Int64s:
        """Return end - start of each span in ns; negative where the span says so."""
        return self.end_time_unix_nano - self.start_time_unix_nano

    def take(self, rows: Rows) -> SpanTable:
        """Return the given rows in the given order; a row may come more than once."""
        event_offsets, event_rows = gather(self.events.offsets, rows)
        link_offsets, link_rows = gather(self.links.offsets, rows)
        plain = {name: getattr(self, name)[rows] for name in _PLAIN}
        return SpanTable(
            pool=self.pool,
            attributes=self.attributes.take(rows),
            events=Events(
                event_offsets,
                self.events.time_unix_nano[event_rows],
                self.events.name[event_rows],
                self.events.attributes.take(event_rows),
            ),
            links=Links(
                link_offsets,
                self.links.trace[link_rows],
                self.links.span_id[link_rows],
                self.links.trace_state[link_rows],
                self.links.flags[link_rows],
                self.links.attributes.take(link_rows),
            ),
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
                return self._span_column(key)
            case "event":
                return ragged_column(pool, self.events.attributes, key)
            case "link":
                return ragged_column(pool, self.links.attributes, key)
            case "resource":
                owned, numbers = pool.resource_attributes, self.resource
            case _:
                owned, numbers = pool.scope_attributes, self.scope
        if pool.keys.id_of(key) < 0:
            return AttributeColumn(np.full(len(numbers), -1, np.int32), ())
        used = np.flatnonzero(np.bincount(numbers, minlength=1))  # few, so that sorting all rows is not worth while
        place = np.zeros(int(used.max(initial=0)) + 1, np.intp)
        place[used] = np.arange(len(used))
        column = ragged_column(pool, ragged([owned[number] for number in used.tolist()]), key)
        return AttributeColumn(column.codes[place[numbers]], column.values)

    def _span_column(self, key: str) -> AttributeColumn:
        if self.pool.keys.id_of(key) < 0:
            return AttributeColumn(np.full(len(self), -1, np.int32), ())
        known = self._columns.get(("keyed", ""))
        if not isinstance(known, _Keyed):
            known = self._columns["keyed", ""] = _keyed(self.pool, self.attributes)
        return ragged_column(self.pool, self.attributes, key, known)

    @property
    def nbytes(self) -> int:
        """How much memory the columns take, about; what they share with the pool is not counted."""
        return sum(_nbytes(getattr(self, column.name)) for column in fields(self))

    def into(self, pool: Pool) -> SpanTable:
        """Return the same spans as a table of another pool, so that it can be joined with others.

        Adds what is used to `pool`, whose owner holds its lock; costs work per distinct value.
        """
        old = self.pool
        strings = partial(_moved_items, source=old.strings, target=pool.strings)
        traces = partial(_moved_items, source=old.traces, target=pool.traces)
        lists = partial(_moved_lists, source=old.attributes, target=pool.attributes)
        events, links = self.events, self.links
        return replace(
            self,
            pool=pool,
            trace=traces(self.trace),
            resource=_moved(self.resource, lambda used: [pool.adopt_resource(old, number) for number in used]),
            scope=_moved(self.scope, lambda used: [pool.adopt_scope(old, number) for number in used]),
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
        plain: dict[str, Any] = {name: np.zeros(0, dtype) for name, dtype in _PLAIN.items()}
        return SpanTable(pool=pool, attributes=Ragged.empty(), events=no_events(), links=no_links(), **plain)


_PLAIN = {
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


def ragged(rows: Sequence[Sequence[int]]) -> Ragged:
    """Lay lists of numbers end to end."""
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return Ragged(offsets, np.fromiter((item for row in rows for item in row), np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class _Keyed:
    """The attributes of all rows, laid end to end, (n_items,) each."""

    keys: npt.NDArray[np.uint16] | Int32s
    """The number of its key."""
    rows: Int32s
    """The row that it is of."""


def _keyed(pool: Pool, attributes: Ragged) -> _Keyed:
    keys = pool.keys.of_attributes()
    narrow = keys.astype(np.uint16) if len(pool.keys) <= _FEW_KEYS else keys
    rows = np.repeat(np.arange(len(attributes), dtype=np.int32), np.diff(attributes.offsets))
    return _Keyed(narrow.take(attributes.items), rows)


def ragged_column(pool: Pool, attributes: Ragged, key: str, keyed: _Keyed | None = None) -> AttributeColumn:
    """Find `key` among the attribute ids of each row; of a repeated key the last counts."""
    codes = np.full(len(attributes), -1, np.int32)
    key_id = pool.keys.id_of(key)
    if key_id < 0 or not len(attributes.items):
        return AttributeColumn(codes, ())
    known = keyed or _keyed(pool, attributes)
    places = np.flatnonzero(known.keys == key_id)
    if not len(places):
        return AttributeColumn(codes, ())
    numbers, positions = distinct(attributes.items[places])
    if pool.attributes.recent:
        numbers, same = np.unique(pool.first_equals(numbers), return_inverse=True)
        positions = same[positions]
    codes[known.rows[places]] = positions
    return AttributeColumn(codes, pool.values(numbers))


def concat(tables: Sequence[SpanTable]) -> SpanTable:
    """Put tables of one pool under each other. At least one is needed."""
    if len(tables) == 1:
        return tables[0]
    pool = tables[0].pool
    if any(table.pool is not pool for table in tables):
        raise ValueError("tables of different pools cannot be joined")
    plain: dict[str, Any] = {name: np.concatenate([getattr(table, name) for table in tables]) for name in _PLAIN}
    return SpanTable(
        pool=pool,
        attributes=_concat_ragged([table.attributes for table in tables]),
        events=_concat_rows(Events, [table.events for table in tables]),
        links=_concat_rows(Links, [table.links for table in tables]),
        **plain,
    )


def _concat_offsets(parts: Sequence[Int64s]) -> Int64s:
    starts = np.cumsum([0, *(int(part[-1]) for part in parts)])
    shifted = [part[1:] + start for part, start in zip(parts, starts, strict=False)]
    return np.concatenate([np.zeros(1, np.int64), *shifted])


def _concat_ragged(parts: Sequence[Ragged]) -> Ragged:
    return Ragged(_concat_offsets([p.offsets for p in parts]), np.concatenate([p.items for p in parts]))


_Part = TypeVar("_Part", Events, Links)


def _concat_rows(kind: type[_Part], parts: Sequence[_Part]) -> _Part:
    columns: dict[str, Any] = {}
    for column in fields(kind):
        values = [getattr(part, column.name) for part in parts]
        if column.name == "offsets":
            columns[column.name] = _concat_offsets(values)
        elif column.name == "attributes":
            columns[column.name] = _concat_ragged(values)
        else:
            columns[column.name] = np.concatenate(values)
    return kind(**columns)


def _moved(numbers: Int32s, move: Callable[[list[int]], Sequence[int] | Int32s]) -> Int32s:
    """Renumber through the distinct numbers that are used."""
    used, positions = np.unique(numbers, return_inverse=True)
    return np.asarray(move(used.tolist()), np.int32)[positions]


def _moved_items(numbers: Int32s, source: Interner, target: Interner) -> Int32s:
    used, positions = np.unique(numbers, return_inverse=True)
    return target.number_all(source.taken(used))[positions]


def _moved_lists(lists: Ragged, source: Interner, target: Interner) -> Ragged:
    return Ragged(lists.offsets, _moved_items(lists.items, source, target))


def _nbytes(part: object) -> int:
    if isinstance(part, np.ndarray):
        return part.nbytes
    if isinstance(part, Ragged | Events | Links):
        return sum(_nbytes(getattr(part, column.name)) for column in fields(part))
    return 0
