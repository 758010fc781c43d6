"""One attribute over all rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from spanverdict.telemetry.distinct import distinct
from spanverdict.telemetry.keyindex import KeyNumbers
from spanverdict.telemetry.pool import Pool, Value
from spanverdict.telemetry.ragged import Ragged
from spanverdict.telemetry.vectors import Int32s, Rows, constant

_PIECE: Final = 1 << 15
"""So many attributes are looked up at a time, which stay in the processor's cache: twice as fast, in less memory."""


@dataclass(frozen=True, slots=True, eq=False)
class AttributeColumn:
    """One attribute over all rows of a table."""

    codes: Int32s
    """(n_rows,) positions in `values`; -1 where the attribute is absent."""
    values: Sequence[Value]
    """Distinct serialised values, decoded; equal values may stand at several positions."""

    def __getitem__(self, row: int) -> Value:
        """Return the value in one row, None where absent."""
        code = self.codes[row]
        return self.values[code] if code >= 0 else None


def absent(n_rows: int) -> AttributeColumn:
    """Return an attribute that no row has."""
    return AttributeColumn(constant(-1, n_rows, np.int32), ())


@dataclass(frozen=True, slots=True, eq=False)
class Keyed:
    """The attributes of all rows, laid end to end, (n_items,)."""

    keys: KeyNumbers
    """The number of its key."""
    _lists: Ragged
    _rows: list[Int32s] = field(default_factory=list)
    """The row that each is of, once somebody asked for one."""

    def rows_of(self, places: Rows) -> Rows | Int32s:
        """Return the rows that some of them are of."""
        size = self._lists.common_size()
        if size:
            return places // size
        if not self._rows:
            self._rows.append(np.repeat(np.arange(len(self._lists), dtype=np.int32), np.diff(self._lists.offsets)))
        return self._rows[0].take(places)


def keyed(pool: Pool, attributes: Ragged) -> Keyed:
    """Return all attributes of all rows, with their keys."""
    known, items = pool.keys.of_attributes(), attributes.items
    keys = np.empty(len(items), known.dtype)
    for start in range(0, len(items), _PIECE):  # what is looked up by is made wide, 16 attributes of each span
        here = slice(start, start + _PIECE)
        keys[here] = known.take(items[here])
    return Keyed(keys, attributes)


ColumnCache: TypeAlias = dict[tuple[str, str], AttributeColumn | Keyed]
"""What was read so far, by scope and key."""


def attribute_column(pool: Pool, attributes: Ragged, key: str, columns: ColumnCache) -> AttributeColumn:
    """Return the span attribute `key` of each row; what is read of the lists is kept for the next one."""
    column = columns.get(("span", key))
    if isinstance(column, AttributeColumn):
        return column
    if pool.keys.id_of(key) < 0:
        return absent(len(attributes))
    known = columns.get(("keyed", ""))
    if not isinstance(known, Keyed):
        known = columns["keyed", ""] = keyed(pool, attributes)
    column = columns["span", key] = ragged_column(pool, attributes, key, known)
    return column


def ragged_column(pool: Pool, attributes: Ragged, key: str, known: Keyed | None = None) -> AttributeColumn:
    """Find `key` among the attribute ids of each row; of a repeated key the last counts."""
    key_id = pool.keys.id_of(key)
    if key_id < 0 or not len(attributes.items):
        return absent(len(attributes))
    laid = known or keyed(pool, attributes)
    places = np.flatnonzero(laid.keys == key_id)
    if not len(places):
        return absent(len(attributes))
    rows = laid.rows_of(places)
    numbers, positions = distinct(attributes.items.take(places))
    del places
    values, same = pool.read(numbers)
    codes = np.full(len(attributes), -1, np.int32)
    codes[rows] = positions if same is None else same.take(positions)
    return AttributeColumn(codes, values)
