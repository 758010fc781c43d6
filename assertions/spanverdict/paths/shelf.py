"""Where the spans at hand are kept: as they came for a moment, then compact, many small tables in one block."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Final

import numpy as np

from spanverdict.paths.duplicates import canonical_order
from spanverdict.telemetry.adoption import can_adopt
from spanverdict.telemetry.compact import Chosen, CompactTable, compacted, unfolded, unfolded_into
from spanverdict.telemetry.distinct import distinct
from spanverdict.telemetry.joining import concat
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.ragged import runs
from spanverdict.telemetry.spantable import Bools, Int32s, SpanTable

FOLD_SPANS: Final = 8192
"""So many spans are kept as they came before they are made compact."""
FOLD_TABLES: Final = 512
"""Or so many tables, however small."""
_MANY: Final = 20_000
"""So many spans of several pools are brought together by taking over these pools as they are."""
_FEW_PARTS: Final = 8
"""Spans of a pool that holds so many times more traces leave it: judging looks through all traces of a pool."""
_SPARE: Final = 4
"""A block of which less than one part in so many is still held is taken apart."""
_SPAN_BYTES: Final = 100
_LOOSE_BYTES: Final = 4000
_HELD_BYTES: Final = 200
"""What a span takes in a loose table, besides its attributes; and a table besides, while it is loose and afterwards."""


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    table: CompactTable
    held: dict[int, tuple[int, int]]
    """By number the rows, from and to, of the tables that are still held."""


@dataclass(frozen=True, slots=True, eq=False)
class Picked:
    """Tables, as they were when they were picked."""

    loose: Sequence[SpanTable]
    compact: Sequence[tuple[CompactTable, Sequence[tuple[int, int]]]]
    """Blocks, with the rows of tables that are held of each, from and to."""

    def __len__(self) -> int:
        """Return how many spans they hold."""
        held = sum(end - start for _, rows in self.compact for start, end in rows)
        return held + sum(map(len, self.loose))

    def spans(self, traces: AbstractSet[bytes] | None = None) -> SpanTable | None:
        """Return their spans, of certain traces or of all; None when there are none."""
        loose = [some for table in self.loose for some in _some(table, traces)]
        compact = [some for table, held in self.compact for some in _chosen(table, held, traces)]
        return _with_own_pool(_together(loose, compact))


class Shelf:
    """Tables by number. Not for several threads at once."""

    def __init__(self) -> None:
        self.nbytes = 0
        """How much memory they take, about, without their pools."""
        self._loose: dict[int, SpanTable] = {}
        self._blocks: dict[int, _Block] = {}
        """The block of each table that is no longer loose."""
        self._n_loose = 0
        """Spans in loose tables."""

    def __iter__(self) -> Iterator[int]:
        return iter(sorted((*self._loose, *self._blocks)))

    def put(self, number: int, table: SpanTable) -> None:
        """Keep a table; its number is new."""
        self._lay(number, replace(table, _columns={}))
        if self._n_loose >= FOLD_SPANS or len(self._loose) >= FOLD_TABLES:
            self._fold()

    def drop(self, number: int) -> Pool:
        """Let go of a table, and return its pool."""
        table = self._loose.pop(number, None)
        if table is not None:
            self._n_loose -= len(table)
            self.nbytes -= _size(table)
            return table.pool
        block = self._blocks.pop(number)
        del block.held[number]
        self.nbytes -= _HELD_BYTES
        n_held = sum(end - start for start, end in block.held.values())
        if not n_held * _SPARE >= len(block.table):
            self._take_apart(block)
        return block.table.pool

    def spans(self, numbers: Collection[int], traces: AbstractSet[bytes] | None = None) -> SpanTable | None:
        """Return the spans of some tables, of certain traces or of all; None when there are none."""
        return self.pick(numbers).spans(traces)

    def pick(self, numbers: Collection[int]) -> Picked:
        """Return some tables as they are now."""
        loose: list[SpanTable] = []
        compact: list[tuple[CompactTable, Sequence[tuple[int, int]]]] = []
        for block, held in self._by_block(numbers):
            if isinstance(block, SpanTable):
                loose.append(block)
            else:
                compact.append((block.table, [block.held[number] for number in held]))
        return Picked(tuple(loose), tuple(compact))

    def _by_block(self, numbers: Iterable[int]) -> Iterator[tuple[SpanTable | _Block, list[int]]]:
        """Yield loose tables, and blocks with the numbers of tables in them."""
        blocks: dict[int, list[int]] = {}
        for number in sorted(numbers):
            if number in self._loose:
                yield self._loose[number], [number]
            else:
                blocks.setdefault(id(self._blocks[number]), []).append(number)
        for held in blocks.values():
            yield self._blocks[held[0]], held

    def _lay(self, number: int, table: SpanTable) -> None:
        self._loose[number] = table
        self._n_loose += len(table)
        self.nbytes += _size(table)

    def _fold(self) -> None:
        """Make loose tables compact."""
        for _, group in groupby(self._loose.items(), key=lambda entry: id(entry[1].pool)):
            numbers, tables = zip(*group, strict=True)
            edges = np.cumsum([0, *map(len, tables)]).tolist()
            held = dict(zip(numbers, pairwise(edges), strict=True))
            block = _Block(compacted(concat(tables)), held)
            self._blocks.update(dict.fromkeys(numbers, block))
            self.nbytes += block.table.nbytes + len(numbers) * _HELD_BYTES - sum(map(_size, tables))
        self._loose, self._n_loose = {}, 0

    def _take_apart(self, block: _Block) -> None:
        """Keep what is still held of a block as loose tables."""
        self.nbytes -= block.table.nbytes
        for number, rows in block.held.items():
            del self._blocks[number]
            self.nbytes -= _HELD_BYTES
            self._lay(number, unfolded([(block.table, np.arange(*rows))]))


def _size(table: SpanTable) -> int:
    return _LOOSE_BYTES + len(table) * _SPAN_BYTES + table.attributes.items.nbytes


def _some(table: SpanTable, traces: AbstractSet[bytes] | None) -> Iterator[SpanTable]:
    mask = None if traces is None else _among(table.pool, table.trace, traces)
    if mask is None or mask.all():
        yield table
    elif mask.any():
        yield table.take(np.flatnonzero(mask))


def _chosen(
    table: CompactTable, held: Sequence[tuple[int, int]], traces: AbstractSet[bytes] | None
) -> Iterator[tuple[CompactTable, Chosen]]:
    first, end = np.array(held).T
    rows = runs(first, end - first)
    if traces is not None:
        rows = rows[_among(table.pool, table.traces()[rows], traces)]
    if len(rows):
        yield table, None if len(rows) == len(table) else rows


def _among(pool: Pool, numbers: Int32s, traces: AbstractSet[bytes]) -> Bools:
    """Tell which trace numbers are those of certain traces."""
    ids = pool.traces.items_by_id
    present, of_row = distinct(numbers)
    inside: Bools = np.array([ids[number] in traces for number in present.tolist()], np.bool_)[of_row]
    return inside


def _together(loose: Sequence[SpanTable], compact: list[tuple[CompactTable, Chosen]]) -> SpanTable | None:
    """Return spans of several tables as one; in a fresh pool where theirs differ, as others may be filling those."""
    if not compact:
        return _moved_together([concat(tables) for tables in _by_pool(loose)])
    # All at once: a large run is not laid out twice.
    compact += [(compacted(concat(tables)), None) for tables in _by_pool(loose)]
    pools: dict[int, list[tuple[CompactTable, Chosen]]] = {}
    for entry in compact:
        pools.setdefault(id(entry[0].pool), []).append(entry)
    n_spans = sum(len(table) if rows is None else len(rows) for table, rows in compact)
    if len(pools) == 1 or n_spans < _MANY or not all(can_adopt(entries[0][0].pool) for entries in pools.values()):
        return _moved_together([unfolded(entries, canonical_order) for entries in pools.values()])
    first = compact[0][0].pool
    return unfolded_into(Pool(first.decode_attribute, first.attributes.recent), compact, canonical_order)


def _with_own_pool(table: SpanTable | None) -> SpanTable | None:
    """Move a few spans out of a large pool into one of their own."""
    if table is None or len(table) * _FEW_PARTS > len(table.pool.traces):
        return table
    return table.into(Pool(table.pool.decode_attribute))


def _moved_together(tables: Sequence[SpanTable]) -> SpanTable | None:
    """Join tables of different pools in a fresh one."""
    if len(tables) > 1:
        pool = Pool(tables[0].pool.decode_attribute)
        return concat([table.into(pool) for table in tables])
    return tables[0] if tables else None


def _by_pool(tables: Iterable[SpanTable]) -> Iterator[list[SpanTable]]:
    pools: dict[int, list[SpanTable]] = {}
    for table in tables:
        pools.setdefault(id(table.pool), []).append(table)
    yield from pools.values()
