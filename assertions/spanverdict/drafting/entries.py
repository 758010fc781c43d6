"""Where requests begin, what names them, and what joins their traces."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

import numpy as np

from spanverdict.checks.runview import RunView
from spanverdict.drafting.shapes import Shape, Shapes, without_name
from spanverdict.evaluation.preparing import PreparedRun
from spanverdict.selectors import parse_field
from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int64s, Rows
from spanverdict.telemetry.vocabulary import SpanKind

MOST_KEYS: Final = 300
"""Attributes that are looked through."""

_DEEPEST: Final = 1000
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_NAMES_ONE: Final = re.compile(r"(.*[._-])?(id|key|uuid|number)", re.ASCII)
_ADDRESSES: Final = re.compile(r"thread|process|peer|client\.(id|port)|port|span|trace|batch|consumer|offset", re.ASCII)
_SERVING: Final = (SpanKind.SERVER, SpanKind.CONSUMER)


def entry_of(run: PreparedRun, shapes: Shapes) -> Shape | None:
    """Return the spans that requests seem to begin with; None where there is none.

    They are what servers answer without another server or a consumer above them; where nothing is
    served, what stands at the top and links to nothing.
    """
    table = run.spans.table
    top = _outermost(run)
    linking = np.diff(table.links.offsets) > 0
    roots = (run.parents.parent < 0) & ~run.parents.orphan
    candidates = (
        top & (table.kind == SpanKind.SERVER),
        roots & ~linking & (table.kind != SpanKind.CONSUMER),
        roots & ~linking,
        roots,
        np.ones(len(table), np.bool_),
    )
    chosen = next((rows for rows in map(np.flatnonzero, candidates) if len(rows)), None)
    return None if chosen is None else _commonest(chosen, shapes)


def _outermost(run: PreparedRun) -> Bools:
    """Tell which spans have no server and no consumer above them in their trace."""
    parent = run.parents.parent
    serving = np.isin(run.spans.table.kind, _SERVING)
    below = np.zeros(len(parent), np.bool_)
    above: Rows = parent.copy()
    for _ in range(_DEEPEST):
        going = np.flatnonzero(above >= 0)
        if not len(going):
            break
        below[going] |= serving[above[going]]
        above[going] = parent[above[going]]
    return ~below


def _commonest(rows: Rows, shapes: Shapes) -> Shape:
    """Return the shape of most of the rows; without its name where that service has other names among them."""
    counted = Counter(shapes.all[number] for number in shapes.of_row[rows].tolist())
    whole = Counter[Shape]()
    for shape, count in counted.items():
        whole[without_name(shape)] += count
    owner = max(whole, key=lambda shape: (whole[shape], str(shape)))
    named = [shape for shape in counted if without_name(shape) == owner]
    return named[0] if len(named) == 1 else owner


def key_of(view: RunView) -> str | None:
    """Return the attribute that names requests: an identifier that each has and no two share."""
    found = []
    for key in attribute_keys(view):
        if not _NAMES_ONE.fullmatch(key) or _ADDRESSES.search(key):
            continue
        values = view.values_of_requests(parse_field(f"span.{key}"))
        if len(set(map(str, values))) == len(values) and all(isinstance(value, str | int) for value in values):
            own = view.spans.table.attribute(key).codes[view.first_member]
            found.append((not bool((own >= 0).all()), "message" in key, len(key), key))
    return min(found)[-1] if found and view.n_requests > 1 else None


def attribute_keys(view: RunView) -> Iterator[str]:
    """Yield the plain names of span attributes of a run, sorted."""
    table = view.spans.table
    used = np.unique(table.attributes.items)
    names = table.pool.keys.names()
    here = {names[number] for number in np.unique(table.pool.keys.of_attributes()[used]).tolist()}
    plain = sorted(key for key in here if _PLAIN_KEY.fullmatch(key) and key not in RUN_ID_ATTRIBUTES)
    yield from plain[:MOST_KEYS]


def correlate_of(view: RunView) -> str | None:
    """Return the attribute by which traces outside all requests could be joined to them; None where there is none.

    Most of these traces carry it with a value that just one request has.
    """
    outside = np.unique(view.spans.table.trace[view.request < 0])
    if not len(outside):
        return None
    rated = [(_joined(view, key), key) for key in attribute_keys(view) if _NAMES_ONE.fullmatch(key)]
    best = max(rated, default=(0, ""))
    return best[1] if best[0] * 2 >= len(outside) else None


def _joined(view: RunView, key: str) -> int:
    """Count the traces outside that share a value of the attribute with exactly one request."""
    column = view.spans.table.attribute(key)
    owners = _owners(column, view.request, view.request >= 0)
    if len(owners) * 2 < view.n_requests or any(len(requests) > 1 for requests in owners.values()):
        return 0
    traces = _owners(column, view.spans.table.trace.astype(np.int64), view.request < 0)
    return len({trace for value, found in traces.items() if value in owners for trace in found})


def _owners(column: AttributeColumn, owner: Int64s, among: Bools) -> dict[str, set[int]]:
    """Return who carries each distinct value."""
    rows = np.flatnonzero((column.codes >= 0) & among)
    pairs = np.unique(np.stack([column.codes[rows], owner[rows]], axis=1).astype(np.int64), axis=0)
    found = defaultdict[str, set[int]](set)
    for code, number in pairs.tolist():
        found[str(column.values[code])].add(number)
    return found
