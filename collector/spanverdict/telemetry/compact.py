"""Span tables in a third of their memory, for as long as nobody looks at them.

Spans that come together are much alike: their times lie close together, nearly all have the same flags, and a few
hundred attributes are most of those that they carry. So a column is kept as the distances from its least number, or as
what differs from the usual one, and attributes as one byte each for the most frequent. Whoever wants to see spans gets
them back as they were, all or some.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry import numberlists
from spanverdict.telemetry.adoption import Adoption, adopt
from spanverdict.telemetry.joining import concat_offsets, concat_rows
from spanverdict.telemetry.narrow import Column, Narrow, is_zero, narrowed, plain, widened
from spanverdict.telemetry.numberlists import coded
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.ragged import Ragged, gather
from spanverdict.telemetry.reordered import Reordered
from spanverdict.telemetry.spantable import PLAIN, Events, Int32s, Int64s, Links, Rows, SpanTable, UInt64s, taken
from spanverdict.telemetry.vectors import constant, is_constant

Chosen: TypeAlias = Rows | None
"""Rows of a table in any order; None for all."""
Order: TypeAlias = Callable[[Pool, Int32s, Int64s, UInt64s], Chosen]
"""Says in which order spans of these traces, starts and ids are wanted; None for the one that they are in."""

FEW: Final = 64
"""Fewer spans are kept as they are."""
_OBJECT_BYTES: Final = 250
"""What a compact table takes besides its columns: a few objects."""
_EVERY: Final = slice(None)
_ALIGNED: Final = 8
_PLACE: Final = struct.Struct("=BqIII")
"""Form, base, how many numbers, and where their data begin and end."""

_END: Final = "end_time_unix_nano"
_START: Final = "start_time_unix_nano"
_EVENTS: Final = {"time_unix_nano": np.int64, "name": np.int32}
_LINKS: Final = {"trace": np.int32, "span_id": np.uint64, "trace_state": np.int32, "flags": np.uint32}


def _named(owner: str) -> Iterator[str]:
    return (f"{owner}.{part}" for part in numberlists.PARTS)


_COLUMNS: Final = (
    *PLAIN,
    *_named("attributes"),
    "events.sizes",
    *(f"events.{name}" for name in _EVENTS),
    *_named("events.attributes"),
    "links.sizes",
    *(f"links.{name}" for name in _LINKS),
    *_named("links.attributes"),
)
"""In this order. Ends are kept as durations."""
_MEANINGS: Final = {
    "trace": "traces",
    "resource": "resources",
    "scope": "scopes",
    "name": "strings",
    "status_message": "strings",
    "trace_state": "strings",
    "events.name": "strings",
    "links.trace": "traces",
    "links.trace_state": "strings",
}
"""What the numbers of columns stand for, where they stand for something that a pool holds."""


@dataclass(frozen=True, slots=True, eq=False)
class CompactTable:
    """The spans of a table, in one piece of memory."""

    pool: Pool
    _n_spans: int
    _places: bytes
    _data: bytes

    def __len__(self) -> int:
        return self._n_spans

    @property
    def nbytes(self) -> int:
        """How much memory it takes, about; what it shares with the pool is not counted."""
        return len(self._places) + len(self._data) + _OBJECT_BYTES

    def traces(self) -> Int32s:
        """Return the trace number of each span, as `SpanTable.trace`."""
        return widened(self.columns()["trace"], np.int32)

    def columns(self) -> dict[str, Narrow]:
        """Return all columns, as they are kept, by name."""
        data = memoryview(self._data)
        places = _PLACE.iter_unpack(self._places)
        return {
            name: Narrow(form, base, n, data[start:end])
            for name, (form, base, n, start, end) in zip(_COLUMNS, places, strict=True)
        }


def compacted(table: SpanTable) -> CompactTable:
    """Return the spans of a table in little memory."""
    few = len(table) < FEW
    places, pieces, end = bytearray(), list[bytes | memoryview](), 0
    for column in _columns(table, plain if few else narrowed):
        start, end = end, end + len(column.data)
        places += _PLACE.pack(column.form, column.base, column.n_numbers, start, end)
        padding = bytes(-end % _ALIGNED)
        pieces += column.data, padding
        end += len(padding)
    return CompactTable(table.pool, len(table), _shared(bytes(places)) if few else bytes(places), b"".join(pieces))


@lru_cache(4096)
def _shared(places: bytes) -> bytes:
    """Return equal bytes as one object: of small tables many are of the same make."""
    return places


def _columns(table: SpanTable, narrow: Callable[[Column], Narrow]) -> Iterator[Narrow]:
    for name in PLAIN:
        yield narrow(table.duration() if name == _END else getattr(table, name))
    yield from coded(table.attributes, narrow)
    for part, names in ((table.events, _EVENTS), (table.links, _LINKS)):
        yield narrow(np.diff(part.offsets).astype(np.int32))
        yield from (narrow(getattr(part, name)) for name in names)
        yield from coded(part.attributes, narrow)


def unfolded(parts: Sequence[tuple[CompactTable, Chosen]], order: Order | None = None) -> SpanTable:
    """Return some spans of each of several tables of one pool, under each other, or in an order that is asked for.

    At least one table is needed. To put them in order here takes the memory of one column more; later it would be all.
    """
    return _unfolded([_Part(table.columns(), rows) for table, rows in parts], parts[0][0].pool, order)


def unfolded_into(pool: Pool, parts: Sequence[tuple[CompactTable, Chosen]], order: Order | None = None) -> SpanTable:
    """Do so with tables of any pools, all of which are adopted by another; see `can_adopt` for them."""
    pools = {id(table.pool): table.pool for table, _ in parts}
    adopted = {key: adopt(pool, source) for key, source in pools.items()}
    return _unfolded([_Part(table.columns(), rows, adopted[id(table.pool)]) for table, rows in parts], pool, order)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some spans of a compact table."""

    columns: Mapping[str, Narrow]
    rows: Chosen
    adopted: Adoption | None = None

    def numbers(self, name: str, dtype: npt.DTypeLike, places: Rows | slice | None = None) -> Column:
        """Return a column of the spans, or the given places of one of another length, in numbers of the new pool."""
        if places is None:
            places = _EVERY if self.rows is None else self.rows
        found = widened(self.columns[name], dtype, places)
        meaning = _MEANINGS.get(name)
        if self.adopted is None or meaning is None:
            return found
        numbers: Column = getattr(self.adopted, meaning).take(found)
        return numbers


def _unfolded(parts: Sequence[_Part], pool: Pool, order: Order | None) -> SpanTable:
    rows = None if order is None else order(pool, *(_column(parts, name) for name in ("trace", _START, "span_id")))
    spans = {name: _column(parts, name, rows) for name in PLAIN}
    spans[_END] = spans[_START] + spans[_END]
    every = [(part, _EVERY if part.rows is None else part.rows) for part in parts]
    attributes = _lists(every, "attributes")
    events = concat_rows(Events, [_events(part, places) for part, places in every])
    links = concat_rows(Links, [_links(part, places) for part, places in every])
    if rows is not None:
        attributes, events, links = Reordered(attributes, rows, pool, {}), events.take(rows), links.take(rows)
    plain: dict[str, Any] = spans
    return SpanTable(pool=pool, attributes=attributes, events=events, links=links, **plain)


def _column(parts: Sequence[_Part], name: str, rows: Chosen = None) -> Column:
    found: Column = _joined([part.numbers(name, PLAIN[name]) for part in parts])
    return found if rows is None else taken(found, rows)


def _events(part: _Part, rows: Rows | slice) -> Events:
    offsets, places = _chosen(part.columns["events.sizes"], rows)
    columns = {name: part.numbers(f"events.{name}", dtype, places) for name, dtype in _EVENTS.items()}
    return Events(offsets, attributes=_lists([(part, places)], "events.attributes"), **columns)


def _links(part: _Part, rows: Rows | slice) -> Links:
    offsets, places = _chosen(part.columns["links.sizes"], rows)
    columns = {name: part.numbers(f"links.{name}", dtype, places) for name, dtype in _LINKS.items()}
    return Links(offsets, attributes=_lists([(part, places)], "links.attributes"), **columns)


_Places: TypeAlias = Rows | slice


def _lists(parts: Sequence[tuple[_Part, _Places]], owner: str) -> Ragged:
    """Return the lists of some rows of each part under each other, all items written where they belong."""
    ends = np.cumsum([0, *(_n_items(part.columns, owner, rows) for part, rows in parts)])
    items = np.empty(ends[-1], np.int32)
    offsets = [
        _put_items(part, owner, rows, items[start:end])
        for (part, rows), (start, end) in zip(parts, pairwise(ends.tolist()), strict=True)
    ]
    return Ragged(concat_offsets(offsets), items)


def _n_items(columns: Mapping[str, Narrow], owner: str, rows: _Places) -> int:
    if isinstance(rows, slice):
        return columns[f"{owner}.codes"].n_numbers or columns[f"{owner}.rare"].n_numbers
    return int(widened(columns[f"{owner}.sizes"], np.int32, rows).sum(dtype=np.int64))


def _put_items(part: _Part, owner: str, rows: _Places, items: Int32s) -> Int64s:
    """Write the items of the lists of some rows, in numbers of the new pool; return the offsets of these lists."""
    columns, first = part.columns, np.int32(0 if part.adopted is None else part.adopted.first_attribute)
    offsets, places = _chosen(columns[f"{owner}.sizes"], rows)
    frequent = widened(columns[f"{owner}.frequent"], np.int32)
    if not len(frequent):
        np.add(widened(columns[f"{owner}.rare"], np.int32, places), first, out=items)
        return offsets
    codes = widened(columns[f"{owner}.codes"], np.uint8, places)
    (frequent + first).take(codes, mode="clip", out=items)
    for code, others in ((numberlists.RECENT, "recent"), (numberlists.RARE, "rare")):
        _, some = _chosen(columns[f"{owner}.{others}_sizes"], rows)
        items[np.flatnonzero(codes == code)] = widened(columns[f"{owner}.{others}"], np.int32, some) + first
    return offsets


def _chosen(sizes: Narrow, rows: Rows | slice) -> tuple[Int64s, Rows | slice]:
    """Return the offsets of the lists of some rows, and where their items stand among all."""
    if is_zero(sizes):
        return constant(0, (sizes.n_numbers if isinstance(rows, slice) else len(rows)) + 1, np.int64), slice(0, 0)
    offsets = np.zeros(sizes.n_numbers + 1, np.int64)
    np.cumsum(widened(sizes, np.int32), out=offsets[1:])
    return (offsets, _EVERY) if isinstance(rows, slice) else gather(offsets, rows)


def _joined(columns: Sequence[Column]) -> Any:
    if all(map(is_constant, columns)) and len({int(column[0]) for column in columns if len(column)}) == 1:
        one = next(column for column in columns if len(column))
        return constant(one[0], sum(map(len, columns)), one.dtype)
    return columns[0] if len(columns) == 1 else np.concatenate(columns)
