"""One row a span, in an order that does not depend on arrival.

Resends are expected: the same span twice is one span. The same ids with other content are kept once
and reported, except for the pair that Zipkin's model shares on purpose: a CLIENT and a SERVER span
with one id become parent and child.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spanverdict.paths.defects import Defect
from spanverdict.paths.forest import mixed
from spanverdict.telemetry.identifiers import span_id_hex
from spanverdict.telemetry.spantable import Bools, Int8s, Int64s, Ragged, Rows, SpanTable, UInt64s
from spanverdict.telemetry.vocabulary import SpanKind

_SERVER_BIT = np.uint64(0x5A5A_0F0F_3C3C_6969)
"""Mixed into the id of the SERVER half of a shared id, so that it has one of its own."""


def settle(table: SpanTable) -> tuple[SpanTable, tuple[Defect, ...]]:
    """Drop resent spans, part shared ids, and put the rows in canonical order.

    The result is sorted by trace id, start, span id and holds every (trace id, span id) once. It is
    the same for any order, batching and repetition of the same spans.
    """
    table, defects = _without_repeats(table)
    order = np.lexsort((table.span_id, table.start_time_unix_nano, trace_ranks(table)))
    if np.array_equal(order, np.arange(len(table))):
        return table, defects
    return table.take(order), defects


def trace_ranks(table: SpanTable) -> Int64s:
    """Return for each row the position of its trace id among all sorted trace ids."""
    present = np.unique(table.trace)
    ids = b"".join([table.pool.traces.items_by_id[number] for number in present.tolist()])
    halves = np.frombuffer(ids, ">u8").reshape(-1, 2)
    ranks = np.empty(len(present), np.int64)
    ranks[np.lexsort((halves[:, 1], halves[:, 0]))] = np.arange(len(present))
    return ranks[np.searchsorted(present, table.trace)]


def may_repeat(table: SpanTable) -> bool:
    """Tell cheaply whether two rows may have the same ids; False is certain."""
    keys = np.sort(mixed(table.trace.astype(np.int64), table.span_id))
    return bool((keys[1:] == keys[:-1]).any())


def _without_repeats(table: SpanTable) -> tuple[SpanTable, tuple[Defect, ...]]:
    if not may_repeat(table):
        return table, ()
    order = np.lexsort((table.span_id, table.trace))
    same = (np.diff(table.trace[order]) == 0) & (np.diff(table.span_id[order]) == 0)
    if not same.any():
        return table, ()
    repeated = np.zeros(len(order), np.bool_)
    repeated[1:] |= same
    repeated[:-1] |= same
    rows = order[repeated]
    key = np.cumsum(np.r_[True, ~same])[repeated]
    keep = np.ones(len(table), np.bool_)
    content = _fingerprints(table, rows)
    kept = _distinct(key, content, table.kind[rows])
    keep[rows] = False
    keep[rows[kept]] = True
    clashing = kept[np.isin(key[kept], _twice(key[kept]))]
    defects: list[Defect] = []
    resent = len(rows) - len(kept)
    if resent:
        defects.append(Defect("resent_span", resent, "the same span came more than once and counts once"))
    if len(clashing):
        table, conflicts = _settle_clashes(table, rows[clashing], key[clashing], keep)
        defects.extend(conflicts)
    return table.take(np.flatnonzero(keep)), tuple(defects)


def _distinct(key: Int64s, content: UInt64s, kind: Int8s) -> Rows:
    """Return one position for every distinct (key, content)."""
    order = np.lexsort((content[:, 1], content[:, 0], kind, key))
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (np.diff(key[order]) != 0) | (np.diff(content[order], axis=0) != 0).any(axis=1)
    return order[fresh]


def _twice(keys: Int64s) -> Int64s:
    numbers, counts = np.unique(keys, return_counts=True)
    return numbers[counts > 1]


def _settle_clashes(table: SpanTable, rows: Rows, key: Int64s, keep: Bools) -> tuple[SpanTable, list[Defect]]:
    """Part CLIENT/SERVER pairs; of other clashes keep the least content, whatever came first."""
    servers: list[int] = []
    conflicts: list[int] = []
    for number in np.unique(key):
        members = rows[key == number]
        kinds = sorted(table.kind[members].tolist())
        if kinds == [SpanKind.SERVER, SpanKind.CLIENT]:
            servers.append(int(members[table.kind[members] == SpanKind.SERVER][0]))
            continue
        first = min(members.tolist(), key=lambda row: _content(table, row))
        keep[members] = False
        keep[first] = True
        conflicts.append(first)
    defects = []
    if conflicts:
        named = min(f"span {_name(table, row)}" for row in conflicts)
        detail = f"{named} came with different content; one version is kept"
        defects.append(Defect("conflicting_span", len(conflicts), detail))
    if servers:
        detail = f"client and server share one id, as Zipkin does: {min(_name(table, row) for row in servers)}"
        defects.append(Defect("shared_span_id", len(servers), detail))
        table = _part(table, np.array(servers))
    return table, defects


def _part(table: SpanTable, servers: Rows) -> SpanTable:
    """Give each SERVER half its own id below the CLIENT half, and the children of the pair to it."""
    span_id, parent = table.span_id.copy(), table.parent_span_id.copy()
    shared = {(int(table.trace[row]), int(table.span_id[row])) for row in servers}
    for row in np.flatnonzero(np.isin(parent, span_id[servers])):
        if (int(table.trace[row]), int(parent[row])) in shared:
            parent[row] ^= _SERVER_BIT
    parent[servers] = span_id[servers]
    span_id[servers] ^= _SERVER_BIT
    return _replaced(table, span_id, parent)


def _replaced(table: SpanTable, span_id: UInt64s, parent_span_id: UInt64s) -> SpanTable:
    return replace(table, span_id=span_id, parent_span_id=parent_span_id, _columns={})


def _name(table: SpanTable, row: int) -> str:
    return f"{table.pool.trace_hex(int(table.trace[row]))}/{span_id_hex(int(table.span_id[row]))}"


def _content(table: SpanTable, row: int) -> tuple[object, ...]:
    """Return what one span says, comparable, the same in every pool."""
    pool = table.pool
    return (
        int(table.start_time_unix_nano[row]),
        int(table.end_time_unix_nano[row]),
        int(table.parent_span_id[row]),
        int(table.kind[row]),
        int(table.status_code[row]),
        pool.strings.items_by_id[table.name[row]],
        pool.resources.items_by_id[table.resource[row]],
        pool.scopes.items_by_id[table.scope[row]],
        tuple(pool.attributes.items_by_id[number] for number in table.attributes.row(row).tolist()),
        pool.strings.items_by_id[table.status_message[row]],
        int(table.links.offsets[row + 1] - table.links.offsets[row]),
        int(table.events.offsets[row + 1] - table.events.offsets[row]),
    )


_COLUMNS = (
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


def _fingerprints(table: SpanTable, rows: Rows) -> UInt64s:
    """Return a 128-bit hash of what each row says beside its ids, (n, 2) uint64."""
    part = table.take(rows)
    columns = [getattr(part, name).astype(np.uint64) for name in _COLUMNS]
    columns.append(_row_hash(part.attributes.offsets, [part.attributes.items]))
    columns.append(
        _nested_hash(part.events.offsets, [part.events.time_unix_nano, part.events.name], part.events.attributes)
    )
    columns.append(_nested_hash(part.links.offsets, [part.links.trace, part.links.span_id], part.links.attributes))
    return np.stack([_fold(columns, seed) for seed in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)], axis=1)


def _fold(columns: list[UInt64s], seed: int) -> UInt64s:
    total = np.full(len(columns[0]), seed, np.uint64)
    for column in columns:
        total = (total ^ column) * np.uint64(seed | 1)
        total ^= total >> np.uint64(29)
    return total


def _nested_hash(offsets: Int64s, columns: list[np.ndarray], attributes: Ragged) -> UInt64s:
    return _row_hash(offsets, [*columns, _row_hash(attributes.offsets, [attributes.items])])


def _row_hash(offsets: Int64s, columns: list[np.ndarray]) -> UInt64s:
    """Hash the items of each row, their order included; (n_rows,) uint64."""
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))
    mixed = _fold([place.astype(np.uint64), *(column.astype(np.uint64) for column in columns)], 0xD6E8FEB86659FD93)
    running = np.zeros(len(mixed) + 1, np.uint64)
    np.cumsum(mixed, out=running[1:])
    return running[offsets[1:]] - running[offsets[:-1]]
