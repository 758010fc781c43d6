"""What a span says beside its ids: hashed to find resends, comparable to choose between versions."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import Int64s, Ragged, Rows, SpanTable, UInt64s

Column: TypeAlias = npt.NDArray[Any]

_COLUMNS: Final = (
    "parent_span_id",
    "resource",
    "scope",
    "name",
    "kind",
    "status_code",
    "status_message",
    "trace_state",
    "flags",
    "start_time_unix_nano",
    "end_time_unix_nano",
    "dropped_attributes",
    "dropped_events",
    "dropped_links",
)


def fingerprints(table: SpanTable, rows: Rows) -> UInt64s:
    """Return a 128-bit hash of what each row says beside its ids, (n, 2) uint64; good within one pool."""
    part = table.take(rows)
    events, links = part.events, part.links
    columns = [getattr(part, name).astype(np.uint64) for name in _COLUMNS]
    columns.append(_attributes_hash(table.pool, part.attributes))
    said = _attributes_hash(table.pool, events.attributes)
    columns.append(_row_hash(events.offsets, [events.time_unix_nano, events.name, said]))
    said = _attributes_hash(table.pool, links.attributes)
    columns.append(_row_hash(links.offsets, [links.trace, links.span_id, links.trace_state, links.flags, said]))
    return np.stack([_fold(columns, seed) for seed in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)], axis=1)


def _fold(columns: list[UInt64s], seed: int) -> UInt64s:
    total = np.full(len(columns[0]), seed, np.uint64)
    for column in columns:
        total = (total ^ column) * np.uint64(seed | 1)
        total ^= total >> np.uint64(29)
    return total


def _attributes_hash(pool: Pool, lists: Ragged) -> UInt64s:
    return _row_hash(lists.offsets, [pool.first_equals(lists.items)])


def _row_hash(offsets: Int64s, columns: list[Column]) -> UInt64s:
    """Hash the items of each row, their order and number included; (n_rows,) uint64."""
    sizes = np.diff(offsets)
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], sizes)
    hashed = _fold([place.astype(np.uint64), *(column.astype(np.uint64) for column in columns)], 0xD6E8FEB86659FD93)
    running = np.zeros(len(hashed) + 1, np.uint64)
    np.cumsum(hashed, out=running[1:])
    return running[offsets[1:]] - running[offsets[:-1]] + sizes.astype(np.uint64)


def content_of(table: SpanTable, row: int) -> tuple[object, ...]:
    """Return the texts, attributes, events and links of one span, comparable and the same in every pool."""
    pool = table.pool
    strings = pool.strings.items_by_id
    return (
        strings[table.name[row]],
        pool.resources.items_by_id[table.resource[row]],
        pool.scopes.items_by_id[table.scope[row]],
        strings[table.status_message[row]],
        strings[table.trace_state[row]],
        _attributes(table, table.attributes, row),
        tuple(_event(table, at) for at in range(table.events.offsets[row], table.events.offsets[row + 1])),
        tuple(_link(table, at) for at in range(table.links.offsets[row], table.links.offsets[row + 1])),
    )


def _attributes(table: SpanTable, lists: Ragged, row: int) -> tuple[bytes, ...]:
    return tuple(table.pool.attributes.items_by_id[number] for number in lists.row(row).tolist())


def _event(table: SpanTable, at: int) -> tuple[object, ...]:
    events = table.events
    name = table.pool.strings.items_by_id[events.name[at]]
    return (int(events.time_unix_nano[at]), name, _attributes(table, events.attributes, at))


def _link(table: SpanTable, at: int) -> tuple[object, ...]:
    links, pool = table.links, table.pool
    target = (pool.traces.items_by_id[links.trace[at]], int(links.span_id[at]))
    state = pool.strings.items_by_id[links.trace_state[at]]
    return (*target, state, int(links.flags[at]), _attributes(table, links.attributes, at))
