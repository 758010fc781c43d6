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
from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.spantable import Bools, Int64s, Rows, SpanTable, UInt64s
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


def settle_rows(table: SpanTable) -> tuple[SpanTable, Rows, tuple[Defect, ...]]:
    """Settle as `settle` does, and return besides which row of `table` each row was; of resends one of them."""
    table, rows, defects = _without_repeats(table)
    order = rows[_canonical_order(table, rows)]
    if np.array_equal(order, np.arange(len(table))):
        return table, order, defects
    return table.reordered(order) if len(order) == len(table) else table.take(order), order, defects


def trace_ranks(table: SpanTable) -> Int64s:
    """Return for each row the position of its trace id among all sorted trace ids."""
    ids = table.pool.traces.items_by_id
    used = np.zeros(len(ids), np.bool_)
    used[table.trace] = True
    present = np.flatnonzero(used)
    halves = np.frombuffer(b"".join([ids[number] for number in present.tolist()]), ">u8").reshape(-1, 2)
    ranks = np.zeros(len(ids), np.int64)
    ranks[present[order_of(halves[:, 0], halves[:, 1])]] = np.arange(len(present))
    return ranks[table.trace]


def _canonical_order(table: SpanTable, rows: Rows) -> Rows:
    """Return where each of `rows` stands when sorted by trace id, start and span id."""
    return order_of(trace_ranks(table)[rows], table.start_time_unix_nano[rows], table.span_id[rows])


def may_repeat(table: SpanTable) -> bool:
    """Tell cheaply whether two rows may have the same ids; False is certain."""
    keys = np.sort(mixed(table.trace.astype(np.int64), table.span_id))
    return bool((keys[1:] == keys[:-1]).any())


def _without_repeats(table: SpanTable) -> tuple[SpanTable, Rows, tuple[Defect, ...]]:
    """Return the table, perhaps with other ids, the rows that are kept, and what was wrong."""
    keep = np.ones(len(table), np.bool_)
    rows, key = _repeated(table) if may_repeat(table) else _nothing()
    if not len(rows):
        return table, np.arange(len(table)), ()
    kept = _distinct(key, fingerprints(table, rows))
    keep[rows] = False
    keep[rows[kept]] = True
    clashing = kept[_several(key[kept])]
    defects: list[Defect] = []
    if len(clashing):
        table, defects = _settle_clashes(table, rows[clashing], key[clashing], keep)
    return table, np.flatnonzero(keep), tuple(defects)


def _nothing() -> tuple[Rows, Int64s]:
    return np.zeros(0, np.intp), np.zeros(0, np.int64)


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
