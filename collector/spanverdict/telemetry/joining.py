"""Tables put under each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

from spanverdict.telemetry.ragged import Ragged
from spanverdict.telemetry.spanlists import Events, Links
from spanverdict.telemetry.spantable import PLAIN, SpanTable
from spanverdict.telemetry.vectors import Int64s, constant


def concat(tables: Sequence[SpanTable]) -> SpanTable:
    """Put tables of one pool under each other. At least one is needed."""
    if len(tables) == 1:
        return tables[0]
    pool = tables[0].pool
    if any(table.pool is not pool for table in tables):
        raise ValueError("tables of different pools cannot be joined")
    plain: dict[str, Any] = {name: np.concatenate([getattr(table, name) for table in tables]) for name in PLAIN}
    return SpanTable(
        pool=pool,
        attributes=concat_lists([table.attributes for table in tables]),
        events=concat_rows(Events, [table.events for table in tables]),
        links=concat_rows(Links, [table.links for table in tables]),
        **plain,
    )


def concat_offsets(parts: Sequence[Int64s]) -> Int64s:
    """Return the offsets of lists under each other from those of each part."""
    if len(parts) == 1:
        return parts[0]
    sizes = np.array([part[-1] for part in parts])
    if not sizes.any():
        return constant(0, 1 + sum(len(part) - 1 for part in parts), np.int64)
    joined = np.concatenate([np.zeros(1, np.int64), *(part[1:] for part in parts)])
    joined[1:] += np.repeat(np.cumsum(sizes) - sizes, [len(part) - 1 for part in parts])
    return joined


def concat_lists(parts: Sequence[Ragged]) -> Ragged:
    """Put lists under each other."""
    if len(parts) == 1:
        return parts[0]
    return Ragged(concat_offsets([p.offsets for p in parts]), np.concatenate([p.items for p in parts]))


_Part = TypeVar("_Part", Events, Links)


def concat_rows(kind: type[_Part], parts: Sequence[_Part]) -> _Part:
    """Put the events, or the links, of several tables under each other."""
    if len(parts) == 1:
        return parts[0]
    columns: dict[str, Any] = {}
    for column in fields(kind):
        values = [getattr(part, column.name) for part in parts]
        if column.name == "offsets":
            columns[column.name] = concat_offsets(values)
        elif column.name == "attributes":
            columns[column.name] = concat_lists(values)
        else:
            columns[column.name] = np.concatenate(values)
    return kind(**columns)
