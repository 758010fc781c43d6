"""One row a span, in an order that does not depend on arrival.

Resends are expected: the same span twice is one span, and nothing is said of it, so that a verdict
does not depend on how often something was sent. The same ids with other content are kept once and
reported, except for the pair that Zipkin's model shares on purpose: a CLIENT and a SERVER span with
one id become parent and child.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spanverdict.paths.content import content_of, fingerprints
from spanverdict.paths.defects import Defect
from spanverdict.paths.forest import mixed
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.identifiers import span_id_hex
from spanverdict.telemetry.ordering import in_order, order_of
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import Bools, Int32s, Int64s, Ints, Rows, SpanTable, UInt64s
from spanverdict.telemetry.vectors import constant, is_constant
from spanverdict.telemetry.vocabulary import SpanKind

_SERVER_BIT: Final = np.uint64(0x5A5A_0F0F_3C3C_6969)
"""Mixed into the id of the SERVER half of a shared id, so that it has one of its own."""


def settle(table: SpanTable) -> tuple[SpanTable, tuple[Defect, ...]]:
    """Drop resent spans, part shared ids, and put the rows in canonical order.

    The result is sorted by trace id, start, span id and holds every (trace id, span id) once. It is
    the same for any order, batching and repetition of the same spans.
    """
    settled, _, defects = settle_rows(table)
    return settled, defects


def settle_rows(table: SpanTable) -> tuple[SpanTable, Rows | None, tuple[Defect, ...]]:
    """Settle as `settle` does, and return besides which row of `table` each row was; of resends one of them.

    None where all rows stay where they are.
    """
    table, rows, defects = _without_repeats(table)
    order = _canonical_order(table, rows)
    if rows is None:
        return (table if order is None else table.reordered(order)), order, defects
    rows = rows if order is None else rows[order]
    return table.take(rows), rows, defects


def canonical_order(pool: Pool, trace: Int32s, start: Int64s, span_id: UInt64s) -> Rows | None:
    """Return the rows of these columns in canonical order; None where they are in it."""
    if _in_canonical_order(pool, trace, start, span_id):
        return None
    return order_of(trace_ranks(pool, trace), start, span_id)


def _in_canonical_order(pool: Pool, trace: Int32s, start: Int64s, span_id: UInt64s) -> bool:
    """Tell whether rows are in canonical order, from where one trace ends and the next begins."""
    if is_constant(trace) or not len(trace):
        return in_order((start, span_id))
    same = trace[1:] == trace[:-1]
    if len(trace) - np.count_nonzero(same) > len(pool.traces):  # some come in several places
        return False
    undecided = same
    for column in (start, span_id):
        if (undecided & (column[1:] < column[:-1])).any():
            return False
        undecided = undecided & (column[1:] == column[:-1])
    heads = np.flatnonzero(~same)
    ids = _halves(pool, np.append(trace[heads], trace[-1]))
    ascending = (ids[1:, 0] > ids[:-1, 0]) | ((ids[1:, 0] == ids[:-1, 0]) & (ids[1:, 1] > ids[:-1, 1]))
    return bool(ascending.all())


def _halves(pool: Pool, traces: Ints) -> UInt64s:
    """Return the ids of some traces, (n, 2), each as two numbers; read in the order in which they lie in memory."""
    used = np.zeros(len(pool.traces), np.bool_)
    used[traces] = True
    ids = b"".join(map(pool.traces.items_by_id.__getitem__, np.flatnonzero(used).tolist()))
    halves = np.frombuffer(ids, ">u8").reshape(-1, 2).astype(np.uint64)
    return halves.take(np.cumsum(used).take(traces) - 1, axis=0)


def trace_ranks(pool: Pool, trace: Int32s) -> Int64s:
    """Return for each row the position of its trace id among all sorted trace ids."""
    if is_constant(trace):
        return constant(0, len(trace), np.int64)
    used = np.zeros(len(pool.traces), np.bool_)
    used[trace] = True
    present = np.flatnonzero(used)
    halves = _halves(pool, present)
    ranks = np.zeros(len(used), np.int64)
    ranks[present[order_of(halves[:, 0], halves[:, 1])]] = np.arange(len(present))
    return ranks.take(trace)


def _canonical_order(table: SpanTable, rows: Rows | None) -> Rows | None:
    """Return where each of some rows stands in canonical order; None where they are in it."""
    trace, start, span_id = table.trace, table.start_time_unix_nano, table.span_id
    if rows is not None:
        trace, start, span_id = trace[rows], start[rows], span_id[rows]
    return canonical_order(table.pool, trace, start, span_id)


def may_repeat(table: SpanTable) -> bool:
    """Tell cheaply whether two rows may have the same ids; False is certain."""
    keys = mixed(table.trace, table.span_id)
    keys.sort()
    return bool((keys[1:] == keys[:-1]).any())


def _without_repeats(table: SpanTable) -> tuple[SpanTable, Rows | None, tuple[Defect, ...]]:
    """Return the table, perhaps with other ids, the rows that are kept, None for all, and what was wrong."""
    if not may_repeat(table):
        return table, None, ()
    keep = np.ones(len(table), np.bool_)
    rows, key = _repeated(table)
    if not len(rows):
        return table, None, ()
    kept = _distinct(key, fingerprints(table, rows))
    keep[rows] = False
    keep[rows[kept]] = True
    clashing = kept[_several(key[kept])]
    defects: list[Defect] = []
    if len(clashing):
        table, defects = _settle_clashes(table, rows[clashing], key[clashing], keep)
    return table, None if keep.all() else np.flatnonzero(keep), tuple(defects)


def _repeated(table: SpanTable) -> tuple[Rows, Int64s]:
    """Return the rows whose ids come more than once, and a number for each of those ids, ascending."""
    order = order_of(table.trace, table.span_id)
    same = (np.diff(table.trace[order]) == 0) & (np.diff(table.span_id[order]) == 0)
    repeated = np.zeros(len(order), np.bool_)
    repeated[1:] |= same
    repeated[:-1] |= same
    return order[repeated], np.cumsum(np.r_[True, ~same])[repeated]


def _distinct(key: Int64s, content: UInt64s) -> Rows:
    """Return one position for every distinct (key, content), by key."""
    order = np.lexsort((content[:, 1], content[:, 0], key))
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (np.diff(key[order]) != 0) | (np.diff(content[order], axis=0) != 0).any(axis=1)
    return order[fresh]


def _several(key: Int64s) -> Bools:
    """Tell which of ascending keys come more than once."""
    return np.asarray((np.diff(key, prepend=-1) == 0) | (np.diff(key, append=-1) == 0))


def _settle_clashes(table: SpanTable, rows: Rows, key: Int64s, keep: Bools) -> tuple[SpanTable, list[Defect]]:
    """Part CLIENT/SERVER pairs; of other clashes keep the least content, whatever came first.

    `rows` are grouped by `key`, ascending; the versions that are dropped are unmarked in `keep`.
    """
    kind = table.kind[rows]
    client, server = kind == SpanKind.CLIENT, kind == SpanKind.SERVER
    number = np.cumsum(np.diff(key, prepend=-1) != 0) - 1
    shared = _any_of(number, client) & _any_of(number, server)
    chosen = _least(table, rows, 2 * number + (shared & server), ~shared | client | server)
    dropped = np.ones(len(rows), np.bool_)
    dropped[chosen] = False
    keep[rows[dropped]] = False
    defects = []
    clash = _any_of(number, dropped) & ~dropped
    if clash.any():
        detail = f"span {_least_name(table, rows[clash])} came with different content; one version is kept"
        defects.append(Defect("conflicting_span", len(ascending(number[clash])), detail))
    servers = rows[shared & server & ~dropped]
    if len(servers):
        detail = f"client and server share one id, as Zipkin does: {_least_name(table, servers)}"
        defects.append(Defect("shared_span_id", len(servers), detail))
        table = _part(table, servers)
    return table, defects


def _any_of(number: Int64s, mark: Bools) -> Bools:
    """Tell for each position whether any position of the same number is marked."""
    return (np.bincount(number, weights=mark) > 0)[number]


_PLAIN: Final = (
    "parent_span_id",
    "kind",
    "status_code",
    "flags",
    "dropped_attributes",
    "dropped_events",
    "dropped_links",
    "end_time_unix_nano",
    "start_time_unix_nano",
)
"""Columns that mean the same in every pool; the last decides first."""


def _least(table: SpanTable, rows: Rows, part: Int64s, allowed: Bools) -> Rows:
    """Return for each part the position of the least version of the span among those allowed.

    Plain columns decide; only where they are equal are texts and attributes looked at.
    """
    columns: list[npt.NDArray[Any]] = [getattr(table, name)[rows] for name in _PLAIN]
    order = np.lexsort((*columns, part))
    order = order[allowed[order]]
    fresh = np.diff(part[order], prepend=-1) != 0
    first = order[fresh][np.cumsum(fresh) - 1]
    alike = np.logical_and.reduce([column[order] == column[first] for column in columns])
    least: dict[int, int] = {}
    for at in order[alike & (_several(part[order]))].tolist():
        best = least.get(int(part[at]))
        if best is None or content_of(table, int(rows[at])) < content_of(table, int(rows[best])):
            least[int(part[at])] = at
    return np.array([least.get(int(part[at]), at) for at in order[fresh].tolist()], np.intp)


def _part(table: SpanTable, servers: Rows) -> SpanTable:
    """Give each SERVER half its own id below the CLIENT half, and the children of the pair to it."""
    trace = table.trace.astype(np.int64)
    parent = table.parent_span_id.copy()
    below = _among(trace[servers], table.span_id[servers], trace, parent)
    parent[below] = _other_id(parent[below])
    parent[servers] = table.span_id[servers]
    span_id = table.span_id.copy()
    span_id[servers] = _other_id(span_id[servers])
    return replace(table, span_id=span_id, parent_span_id=parent, _columns={})


def _among(traces: Int64s, ids: UInt64s, trace: Int64s, span_id: UInt64s) -> Bools:
    """Tell which (trace, span id) are among those given; ids that mix to the same key are told apart."""
    keys = mixed(traces, ids)
    order = np.argsort(keys)
    place = np.minimum(np.searchsorted(keys[order], mixed(trace, span_id)), len(keys) - 1)
    found = order[place]
    return np.asarray((traces[found] == trace) & (ids[found] == span_id))


def _other_id(span_id: UInt64s) -> UInt64s:
    other = span_id ^ _SERVER_BIT
    other[other == 0] = 1
    return other


def _least_name(table: SpanTable, rows: Rows) -> str:
    ids = table.pool.traces.items_by_id
    trace, span_id = min((ids[table.trace[row]], int(table.span_id[row])) for row in rows.tolist())
    return f"{trace.hex()}/{span_id_hex(span_id)}"
