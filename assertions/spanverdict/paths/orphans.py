"""Parents that never came: what hangs below each, who should have sent it, and where it was lost.

An orphan is the root of its own component. Its flags may say whether its parent was in another
process: then the context got through and the parent was lost or not sampled on its way here; if it
was in the same process, the process itself dropped it or its instrumentation is at fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from spanverdict.paths.defects import Defect
from spanverdict.paths.pathgraph import nearest
from spanverdict.paths.stitching import Trees
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.identifiers import span_id_hex
from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int64s, Rows, SpanTable, UInt64s
from spanverdict.telemetry.vocabulary import FLAG_HAS_IS_REMOTE, FLAG_IS_REMOTE

NAME: Final = "missing_parent"
KINDS_SHOWN: Final = 3
"""Kinds of missing parents that a summary describes, the largest first."""
_NOBODY: Final = -1


class Remote(IntEnum):
    """Whether a parent was in another process than its child."""

    NO = 0
    """Some child of it was in its process."""
    YES = 1
    UNKNOWN = 2
    """No child says."""


_CAUSES: Final = {
    Remote.NO: "in the same process: not ended, dropped there, or wrongly instrumented",
    Remote.YES: "remote: lost or not sampled on the way",
    Remote.UNKNOWN: "lost, not sampled or never made",
}


@dataclass(frozen=True, slots=True, eq=False)
class MissingParents:
    """One entry for each distinct (trace, parent id) that spans name and that never came, in the order of the rows."""

    first: Rows
    """(n,) the first orphan below it …"""
    trace: Int64s
    """… the number of its trace in the pool …"""
    span_id: UInt64s
    """… and the id of the missing span."""
    orphans: Int64s
    """(n,) components that hang below it."""
    spans: Int64s
    """(n,) spans of these components."""
    remote: Int64s
    """(n,) a `Remote`."""
    service: Int64s
    """(n,) position in `services` of the service that has its orphans, -1 where they name none or several."""
    sender: Int64s
    """(n,) likewise: the service that should have sent it, as far as one can tell."""
    services: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.first)


def missing_parents(table: SpanTable, trees: Trees) -> MissingParents:
    """Find the parents that never came; `trees` are those of the traces of `table`."""
    rows = np.flatnonzero(trees.orphan)
    trace, span_id = table.trace[rows].astype(np.int64), table.parent_span_id[rows]
    order = order_of(trace, span_id, rows)
    fresh = (np.diff(trace[order], prepend=-1) != 0) | (np.diff(span_id[order], prepend=span_id[:1]) != 0)
    number = np.empty(len(rows), np.int64)
    number[order] = np.cumsum(fresh) - 1
    _, heads, number = np.unique(number, return_index=True, return_inverse=True)
    by_row = np.argsort(heads)
    number, heads = np.argsort(by_row)[number], heads[by_row]
    services = _services(table)
    remote = _remote_of(table, rows)
    below = np.bincount(nearest(trees.parent, trees.parent < 0), minlength=len(table))[rows]
    return MissingParents(
        rows[heads],
        trace[heads],
        span_id[heads],
        np.bincount(number, minlength=len(heads)),
        _summed(number, below, len(heads)),
        _least_of(number, remote, len(heads)),
        _only_of(number, services.codes[rows].astype(np.int64), len(heads)),
        _senders(table, trees, services, _Orphans(rows, number, remote, len(heads))),
        tuple(str(value) for value in services.values),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Orphans:
    row: Rows
    number: Int64s
    """Of the missing parent of each."""
    remote: Int64s
    n_parents: int


def _senders(table: SpanTable, trees: Trees, services: AttributeColumn, orphans: _Orphans) -> Int64s:
    """Return for each missing parent its service: that of the children in its process, else what usually calls them."""
    local = np.flatnonzero(orphans.remote == Remote.NO)
    own = services.codes[orphans.row[local]].astype(np.int64)
    known = _only_of(orphans.number[local], own, orphans.n_parents)
    usual = _usual_callers(table, trees, services, orphans.row)
    return np.where(known == _NOBODY, _only_of(orphans.number, usual, orphans.n_parents), known)


def missing_parent_defect(table: SpanTable, trees: Trees) -> Iterator[Defect]:
    """Yield the defect of a run whose spans lack parents, none when all came; its count is that of the orphans."""
    if not trees.orphan.any():
        return
    found = missing_parents(table, trees)
    kinds, kind = np.unique(np.stack([found.service, found.remote, found.sender]), axis=1, return_inverse=True)
    kind = kind.reshape(-1)
    spans = _summed(kind, found.spans, kinds.shape[1])
    names = [_kind_key(found, kinds[:, at]) for at in range(kinds.shape[1])]
    largest = sorted(range(len(names)), key=lambda at: (-int(spans[at]), names[at]))
    parts = [_sentence(table, found, kind == at) for at in largest[:KINDS_SHOWN]]
    if len(largest) > KINDS_SHOWN:
        rest = int(found.spans[~np.isin(kind, largest[:KINDS_SHOWN])].sum())
        parts.append(f"{_counted(rest, 'more span')} of {_counted(len(largest) - KINDS_SHOWN, 'other kind')}")
    yield Defect(NAME, int(found.orphans.sum()), "; ".join(parts))


def _kind_key(found: MissingParents, kind: Int64s) -> tuple[str, int, str]:
    return _name(found, int(kind[0])), int(kind[1]), _name(found, int(kind[2]))


def _sentence(table: SpanTable, found: MissingParents, chosen: Bools) -> str:
    """Describe missing parents of one kind, with the first of them as an example."""
    at = int(np.flatnonzero(chosen)[0])
    spans, traces = int(found.spans[chosen].sum()), len(ascending(found.trace[chosen]))
    parents = int(chosen.sum())
    of = f" of {service}" if (service := _name(found, int(found.service[at]))) else ""
    by = f", probably of {sender}" if (sender := _name(found, int(found.sender[at]))) else ""
    example = f"trace {table.pool.trace_hex(int(found.trace[at]))}/parent {span_id_hex(int(found.span_id[at]))}"
    verb = "hangs" if spans == 1 else "hang"
    missing = "a span" if parents == 1 else _counted(parents, "span")
    return (
        f"{_counted(spans, 'span')}{of} in {_counted(traces, 'trace')} {verb} below {missing} that never came{by}, "
        f"{_CAUSES[Remote(int(found.remote[at]))]} ({example})"
    )


def _name(found: MissingParents, number: int) -> str:
    return found.services[number] if number >= 0 else ""


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _remote_of(table: SpanTable, rows: Rows) -> Int64s:
    flags = table.flags[rows]
    says = (flags & FLAG_HAS_IS_REMOTE) != 0
    return np.where(says, np.where((flags & FLAG_IS_REMOTE) != 0, int(Remote.YES), int(Remote.NO)), int(Remote.UNKNOWN))


def _services(table: SpanTable) -> AttributeColumn:
    """Return the service names, equal ones at one position; what is no text is no name."""
    column = table.resource_attribute("service.name")
    names = sorted({value for value in column.values if isinstance(value, str) and value})
    place = {name: number for number, name in enumerate(names)}
    moved = [place.get(value, _NOBODY) if isinstance(value, str) else _NOBODY for value in column.values]
    return AttributeColumn(np.array([*moved, _NOBODY], np.int32)[column.codes], tuple(names))


def _usual_callers(table: SpanTable, trees: Trees, services: AttributeColumn, rows: Rows) -> Int64s:
    """Return for each of `rows` the service that is parent of most spans of its service, name and kind; ties by name.

    What the whole run shows of such spans tells who sends the parent where one is missing.
    """
    named = np.zeros(int(table.name.max(initial=-1)) + 1, np.bool_)
    named[table.name[rows]] = True
    child = np.flatnonzero((trees.parent >= 0) & named[table.name])
    caller = services.codes[trees.parent[child]].astype(np.int64)
    child, caller = child[caller >= 0], caller[caller >= 0]
    sort = _sorts(table, services, np.concatenate([rows, child]))
    width = max(len(services.values), 1)
    pairs, often = np.unique(sort[len(rows) :] * width + caller, return_counts=True)
    order = np.lexsort((-(pairs % width), often, pairs // width))
    usual = np.full(int(sort.max(initial=-1)) + 1, _NOBODY, np.int64)
    usual[pairs[order] // width] = pairs[order] % width
    return usual[sort[: len(rows)]]


def _sorts(table: SpanTable, services: AttributeColumn, rows: Rows) -> Int64s:
    """Number rows so that equal service, name and kind are one number."""
    _, sort = np.unique(services.codes[rows].astype(np.int64) * (1 << 32) + table.name[rows], return_inverse=True)
    _, sort = np.unique(sort * (1 << 8) + table.kind[rows], return_inverse=True)
    return sort.astype(np.int64)


def _only_of(number: Int64s, value: Int64s, count: int) -> Int64s:
    """Return for each number the value that all of its rows have, -1 where they differ."""
    least = _least_of(number, value, count)
    return np.where(least == -_least_of(number, -value, count), least, _NOBODY)


def _least_of(number: Int64s, value: Int64s, count: int) -> Int64s:
    least = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(least, number, value)
    return least


def _summed(number: Int64s, value: Int64s, count: int) -> Int64s:
    total = np.zeros(count, np.int64)
    np.add.at(total, number, value)
    return total
