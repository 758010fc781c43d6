"""Reads fields from a table: each attribute scope and each intrinsic as a column of values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from types import MappingProxyType
from typing import Final

import numpy as np

from spanverdict.selectors.columns import Spans
from spanverdict.selectors.numeric import Numbers
from spanverdict.selectors.semconv import other_names
from spanverdict.selectors.tree import Attribute, Intrinsic, Scope
from spanverdict.selectors.typecheck import level
from spanverdict.selectors.values import Tag, Values
from spanverdict.telemetry.identifiers import span_id_hex
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import (
    MAX_TIME,
    AttributeColumn,
    Bools,
    Int32s,
    Int64s,
    Rows,
    UInt64s,
)

SERVICE_NAME: Final = "service.name"


def values_of(field: Attribute | Intrinsic, spans: Spans) -> Values:
    """Return a field as it stands: one row a span, or one an event or link."""
    found = spans.columns.get(field)
    if found is None:
        found = _INTRINSICS[field.name](spans) if isinstance(field, Intrinsic) else _attribute(field, spans)
        spans.columns[field] = found
    return found


def of_spans(field: Attribute | Intrinsic, spans: Spans) -> Values:
    """Return a field with one row a span; of several events or links the first that has it counts."""
    return _of_spans(values_of(field, spans), field, spans)


def _of_spans(found: Values, field: Attribute | Intrinsic, spans: Spans) -> Values:
    where = level(field)
    if where is Scope.SPAN:
        return found
    rows = np.flatnonzero(found.present())[::-1]
    first = np.full(len(spans), -1, np.intp)
    first[spans.owners(where)[rows]] = rows
    return found.take(first)


def attribute_column(field: Attribute | Intrinsic, spans: Spans) -> AttributeColumn:
    """Return a field of each span as codes and Python values."""
    found = of_spans(field, spans)
    if found.codes is not None and found.objects:
        used = found.tags != Tag.ABSENT
        if used.all():
            return AttributeColumn(found.codes.astype(np.int32), found.objects)
        moved = np.append(np.where(used, np.cumsum(used) - 1, -1), -1).take(found.codes)
        return AttributeColumn(moved.astype(np.int32), tuple(compress(found.objects, used)))
    present, ints = found.present(), found.row_ints()
    distinct, first, places = np.unique(ints[present], return_index=True, return_inverse=True)
    codes = np.full(len(found), -1, np.int32)
    codes[present] = places
    entries: Rows = np.flatnonzero(present)[first]
    if found.codes is not None:
        entries = found.codes[entries].astype(np.intp)
    return AttributeColumn(codes, tuple(found.entry(int(at)) for at in entries[: len(distinct)]))


def number_column(field: Attribute | Intrinsic, spans: Spans) -> Numbers:
    """Return a field of each span as numbers."""
    return of_spans(field, spans).numbers()


def id_numbers(name: str, spans: Spans) -> UInt64s | None:
    """Return span ids as numbers, so that one can be found without writing them all; None for other fields."""
    match name:
        case "span:id":
            return spans.table.span_id
        case "span:parentID":
            return spans.table.parent_span_id
        case "link:spanID":
            return spans.table.links.span_id
        case _:
            return None


def carried(field: Attribute | Intrinsic, spans: Spans) -> Bools:
    """Tell which spans carry a field under its very own name."""
    own = values_of(field, spans) if isinstance(field, Intrinsic) else _own(field, spans)
    return _of_spans(own, field, spans).present()


def _attribute(field: Attribute, spans: Spans) -> Values:
    """Return an attribute, under its own name or, where a span has none, under another."""
    if field.of_parent:
        return values_of(Attribute(field.scope, field.name), spans).take(spans.parents())
    if field.scope is Scope.ANY:
        resource = values_of(Attribute(Scope.RESOURCE, field.name), spans)
        return values_of(Attribute(Scope.SPAN, field.name), spans).or_else(resource)
    found = _own(field, spans)
    for name in other_names(field.name):
        if spans.table.pool.keys.id_of(name) >= 0:
            found = found.or_else(_own(Attribute(field.scope, name), spans))
    return found


def _own(field: Attribute, spans: Spans) -> Values:
    """Return an attribute under its own name alone."""
    if field.of_parent:
        return _own(Attribute(field.scope, field.name), spans).take(spans.parents())
    table, name = spans.table, field.name
    match field.scope:
        case Scope.SPAN:
            return Values.of_column(table.attribute(name))
        case Scope.RESOURCE:
            return Values.of_column(table.resource_attribute(name))
        case Scope.EVENT:
            return Values.of_column(table.event_attribute(name))
        case Scope.LINK:
            return Values.of_column(table.link_attribute(name))
        case Scope.INSTRUMENTATION:
            return Values.of_column(table.scope_attribute(name))
        case Scope.ANY:
            return _own(Attribute(Scope.SPAN, name), spans).or_else(_own(Attribute(Scope.RESOURCE, name), spans))


# spans


def _timed(spans: Spans) -> Bools:
    """Tell which spans have ended and lie within the range of times; of others the duration is unknown."""
    start, end = spans.table.start_time_unix_nano, spans.table.end_time_unix_nano
    timed: Bools = (end != 0) & (end != MAX_TIME) & (start != MAX_TIME)
    return timed


def _duration(spans: Spans) -> Values:
    timed = _timed(spans)
    return Values.direct(Tag.INT, np.where(timed, spans.table.duration(), 0), timed)


def _strings(pool: Pool, numbers: Int32s) -> Values:
    """Return interned strings; only those in use are decoded."""
    return _interned(numbers, len(pool.strings), pool.string)


def _traces(pool: Pool, numbers: Int32s) -> Values:
    return _interned(numbers, len(pool.traces), pool.trace_hex)


def _interned(numbers: Int32s, count: int, read: Callable[[int], str]) -> Values:
    used = np.zeros(count, np.bool_)
    used[numbers] = True
    codes = (np.cumsum(used) - 1).astype(np.int32).take(numbers)
    return Values.of_texts(codes, tuple(read(int(number)) for number in np.flatnonzero(used)))


def _ids(ids: UInt64s) -> Values:
    """Return span ids as hexadecimal digits; 0 is no id."""
    distinct, places = np.unique(ids, return_inverse=True)
    codes = places.reshape(-1).astype(np.intp)
    if len(distinct) and distinct[0] == 0:
        distinct, codes = distinct[1:], codes - 1
    return Values.of_texts(codes, tuple(map(span_id_hex, distinct.tolist())))


def _child_count(spans: Spans) -> Values:
    parents, _ = spans.forest.edges()
    return Values.direct(Tag.INT, np.bincount(parents, minlength=len(spans)))


def _nested_parent(spans: Spans) -> Values:
    """Return the left number of the parent: -1 for a root, 0 where the parent is unknown."""
    parent = spans.forest.parent
    left = spans.forest.nested_set()[0]
    none = np.where(spans.table.parent_span_id == 0, -1, 0)
    return Values.direct(Tag.INT, np.where(parent >= 0, left[parent], none) if len(spans) else left)


# traces


def _trace_duration(spans: Spans) -> Values:
    part, count = spans.parts()
    timed = _timed(spans)
    first = np.full(count, MAX_TIME)
    last = np.full(count, np.iinfo(np.int64).min)
    np.minimum.at(first, part[timed], spans.table.start_time_unix_nano[timed])
    np.maximum.at(last, part[timed], spans.table.end_time_unix_nano[timed])
    known = last > np.iinfo(np.int64).min
    return Values.direct(Tag.INT, np.where(known, last - np.where(known, first, 0), 0), known).take(part)


def _roots(spans: Spans) -> tuple[Rows, Int64s]:
    """Return the root of each group, -1 where none came, and the group of each span.

    Of several, one that no link leads to comes first, then the earliest.
    """
    part, count = spans.parts()
    rows = np.flatnonzero(spans.table.parent_span_id == 0)
    linked = np.zeros(len(spans), np.bool_)
    linked[spans.forest.link_to] = True
    keys = (rows, spans.table.span_id[rows], spans.table.start_time_unix_nano[rows], linked[rows])
    best = rows[np.lexsort(keys)[::-1]]
    root = np.full(count, -1, np.intp)
    root[part[best]] = best
    return root, part


def _of_root(field: Attribute | Intrinsic) -> Callable[[Spans], Values]:
    def read(spans: Spans) -> Values:
        root, part = _roots(spans)
        return values_of(field, spans).take(root[part])

    return read


# events


def _time_since_start(spans: Spans) -> Values:
    time = spans.table.events.time_unix_nano
    start = spans.table.start_time_unix_nano[spans.owners(Scope.EVENT)]
    known = (time != MAX_TIME) & (start != MAX_TIME)
    return Values.direct(Tag.INT, np.where(known, time - start, 0), known)


def _scope_texts(place: int) -> Callable[[Spans], Values]:
    def read(spans: Spans) -> Values:
        pool = spans.table.pool
        texts: Sequence[str] = tuple(pool.string(names[place]) for names in pool.scope_names)
        return Values.of_texts(spans.table.scope, texts)

    return read


_INTRINSICS: Final = MappingProxyType[str, Callable[[Spans], Values]](
    {
        "span:duration": _duration,
        "span:name": lambda spans: _strings(spans.table.pool, spans.table.name),
        "span:kind": lambda spans: Values.of_words(Tag.KIND, spans.table.kind),
        "span:status": lambda spans: Values.of_words(Tag.STATUS, spans.table.status_code),
        "span:statusMessage": lambda spans: _strings(spans.table.pool, spans.table.status_message),
        "span:id": lambda spans: _ids(spans.table.span_id),
        "span:parentID": lambda spans: _ids(spans.table.parent_span_id),
        "span:childCount": _child_count,
        "trace:duration": _trace_duration,
        "trace:rootName": _of_root(Intrinsic("span:name")),
        "trace:rootService": _of_root(Attribute(Scope.RESOURCE, SERVICE_NAME)),
        "trace:id": lambda spans: _traces(spans.table.pool, spans.table.trace),
        "event:name": lambda spans: _strings(spans.table.pool, spans.table.events.name),
        "event:timeSinceStart": _time_since_start,
        "link:traceID": lambda spans: _traces(spans.table.pool, spans.table.links.trace),
        "link:spanID": lambda spans: _ids(spans.table.links.span_id),
        "instrumentation:name": _scope_texts(0),
        "instrumentation:version": _scope_texts(1),
        "nestedSetLeft": lambda spans: Values.direct(Tag.INT, spans.forest.nested_set()[0]),
        "nestedSetRight": lambda spans: Values.direct(Tag.INT, spans.forest.nested_set()[1]),
        "nestedSetParent": _nested_parent,
    }
)
