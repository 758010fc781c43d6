"""Attributes of spans in another order: looked up where they stand, and moved only for who wants to see all."""

from __future__ import annotations

from typing import Any

from spanverdict.telemetry.attributecolumn import AttributeColumn, ColumnCache, Keyed, absent, attribute_column
from spanverdict.telemetry.keyindex import KeyNumbers
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.ragged import Ragged
from spanverdict.telemetry.vectors import Rows


class Reordered(Ragged):
    """All lists of `source` in another order; row `i` is its row `rows[i]`, and every row stands here at least once."""

    __slots__ = ("_columns", "_pool", "rows", "source")
    source: Ragged
    rows: Rows
    _pool: Pool
    _columns: ColumnCache
    """What was read of the source so far."""

    def __init__(self, source: Ragged, rows: Rows, pool: Pool, columns: ColumnCache) -> None:
        for name, value in (("source", source), ("rows", rows), ("_pool", pool), ("_columns", columns)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.rows)

    def __getattr__(self, name: str) -> Any:
        """Move the lists when their offsets or items are first asked for."""
        if name not in ("offsets", "items"):
            raise AttributeError(name)
        moved = self.source.take(self.rows)
        object.__setattr__(self, "offsets", moved.offsets)
        object.__setattr__(self, "items", moved.items)
        return getattr(moved, name)

    def take(self, rows: Rows) -> Ragged:
        """Return the given rows in the given order."""
        return self.source.take(self.rows[rows])

    def again(self, rows: Rows) -> Reordered:
        """Return these lists in another order."""
        return Reordered(self.source, self.rows[rows], self._pool, self._columns)

    def known_keys(self) -> KeyNumbers | None:
        """Return the key of each item of the source, if anybody asked for an attribute before."""
        known = self._columns.get(("keyed", ""))
        return known.keys if isinstance(known, Keyed) else None

    def column(self, key: str) -> AttributeColumn:
        """Return what the spans have for a key."""
        found = attribute_column(self._pool, self.source, key, self._columns)
        return AttributeColumn(found.codes.take(self.rows), found.values) if found.values else absent(len(self.rows))
