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
from spanverdict.paths.forest import Forest
from spanverdict.telemetry.identifiers import span_id_hex
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int64s, Rows, SpanTable, UInt64s
from spanverdict.telemetry.vocabulary import FLAG_HAS_IS_REMOTE, FLAG_IS_REMOTE

NAME: Final = "missing_parent"
KINDS_SHOWN: Final = 3
"""Kinds of missing parents that a summary describes, the largest first."""
_NOBODY: Final = -1


class Remote(IntEnum):
    """Whether a parent was in another process than its child."""

    UNKNOWN = 0
    """The child does not say, or its children disagree."""
    NO = 1
    YES = 2


_CAUSES: Final = {
    Remote.UNKNOWN: "lost, not sampled or never made",
    Remote.NO: "in the same process: dropped there, or the instrumentation is at fault",
    Remote.YES: "in another process: lost or not sampled on the way",
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


def missing_parents(table: SpanTable, forest: Forest) -> MissingParents:
    """Find the parents that never came; `forest` is that of the traces of `table`."""
    rows = np.flatnonzero(forest.orphan)
    trace, span_id = table.trace[rows].astype(np.int64), table.parent_span_id[rows]
    order = np.lexsort((rows, span_id, trace))
    fresh = (np.diff(trace[order], prepend=-1) != 0) | (np.diff(span_id[order], prepend=span_id[:1]) != 0)
    number = np.empty(len(rows), np.int64)
    number[order] = np.cumsum(fresh) - 1
    _, heads, number = np.unique(number, return_index=True, return_inverse=True)
    by_row = np.argsort(heads)
    number, heads = np.argsort(by_row)[number], heads[by_row]
    services = _services(table)
    remote = _same_of(number, _remote_of(table, rows), len(heads), otherwise=int(Remote.UNKNOWN))
    service = _same_of(number, services.codes[rows].astype(np.int64), len(heads), otherwise=_NOBODY)
    caller = _same_of(number, _callers(table, forest, services)[rows], len(heads), otherwise=_NOBODY)
    return MissingParents(
        rows[heads],
        trace[heads],
        span_id[heads],
        np.bincount(number, minlength=len(heads)),
        _summed(number, forest.size[rows], len(heads)),
        remote,
        service,
        np.where((caller == _NOBODY) & (remote == Remote.NO), service, caller),
        tuple(str(value) for value in services.values),
    )


def missing_parent_defect(table: SpanTable, forest: Forest) -> Iterator[Defect]:
    """Yield the defect of a run whose spans lack parents, none when all came; its count is that of the orphans."""
    if not forest.orphan.any():
        return
    found = missing_parents(table, forest)
    kinds, kind = np.unique(
        np.stack([found.service, found.remote, found.sender]), axis=1, return_inverse=True
    )
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
    spans, traces = int(found.spans[chosen].sum()), len(np.unique(found.trace[chosen]))
    parents = int(chosen.sum())
    of = f" of {service}" if (service := _name(found, int(found.service[at]))) else ""
    by = f", probably of {sender}" if (sender := _name(found, int(found.sender[at]))) else ""
    example = f"trace {table.pool.trace_hex(int(found.trace[at]))}/parent {span_id_hex(int(found.span_id[at]))}"
    verb = "hangs" if spans == 1 else "hang"
    missing = "a span" if parents == 1 else _counted(parents, "span")
    return (
        f"{_counted(spans, 'span')}{of} in {_counted(traces, 'trace')} {verb} below {missing} that never came{by}, "
        f"{_CAUSES[Remote(int(found.remote[at]))]}; e.g. {example}"
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


def _callers(table: SpanTable, forest: Forest, services: AttributeColumn) -> Int64s:
    """Return for each row the service that is parent of most spans of its service, name and kind; ties by name.

    What the whole run shows of such spans tells who sends the parent where one is missing.
    """
    sort = _sorts(table, services)
    child = np.flatnonzero(forest.parent >= 0)
    caller = services.codes[forest.parent[child]].astype(np.int64)
    child, caller = child[caller >= 0], caller[caller >= 0]
    width = max(len(services.values), 1)
    pairs, often = np.unique(sort[child] * width + caller, return_counts=True)
    order = np.lexsort((-(pairs % width), often, pairs // width))
    usual = np.full(int(sort.max(initial=-1)) + 1, _NOBODY, np.int64)
    usual[pairs[order] // width] = pairs[order] % width
    return usual[sort]


def _sorts(table: SpanTable, services: AttributeColumn) -> Int64s:
    """Number the rows so that equal service, name and kind are one number."""
    _, sort = np.unique(services.codes.astype(np.int64) * (1 << 32) + table.name, return_inverse=True)
    _, sort = np.unique(sort * (1 << 8) + table.kind, return_inverse=True)
    return sort.astype(np.int64)


def _same_of(number: Int64s, value: Int64s, count: int, *, otherwise: int) -> Int64s:
    """Return for each number the value that all of its rows have, `otherwise` where they differ."""
    low, high = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
    np.minimum.at(low, number, value)
    np.maximum.at(high, number, value)
    return np.where(low == high, low, otherwise)


def _summed(number: Int64s, value: Int64s, count: int) -> Int64s:
    total = np.zeros(count, np.int64)
    np.add.at(total, number, value)
    return total
