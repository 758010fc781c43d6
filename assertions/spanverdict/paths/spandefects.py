"""What is wrong with single spans: times that cannot be, attributes sent twice, and what was cut off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from spanverdict.paths.defects import Defect
from spanverdict.telemetry.identifiers import span_id_hex
from spanverdict.telemetry.leftout import left_out
from spanverdict.telemetry.pool import Value
from spanverdict.telemetry.repeatedkeys import with_repeated_keys
from spanverdict.telemetry.spantable import MAX_TIME, Bools, SpanTable
from spanverdict.telemetry.vocabulary import CUT

_NAMED: Final = 3
"""Attributes that are named of an example."""


def span_defects(table: SpanTable) -> Iterator[Defect]:
    """Yield what is wrong with single spans of a table in canonical order, each kind once."""
    start, end = table.start_time_unix_nano, table.end_time_unix_nano
    over = (start >= MAX_TIME) | (end >= MAX_TIME) | (start <= 0)
    unfinished = ~over & (end == 0)
    yield from marked_spans(table, "unfinished_span", unfinished, "has no end")
    negative = ~over & ~unfinished & (end < start)
    yield from marked_spans(table, "negative_duration", negative, "ends before it starts")
    yield from marked_spans(table, "time_out_of_range", over, "has a time that no clock shows")
    whose = {"attributes": left_out(table), "events": table.dropped_events > 0, "links": table.dropped_links > 0}
    for what, lost in whose.items():
        yield from marked_spans(table, f"dropped_{what}", lost, f"lost {what} before it was sent")
    if table.pool.keys.id_of(CUT) >= 0:
        yield from _cut(table)
    repeats = with_repeated_keys(table.pool.keys.of_attributes(), table.attributes)
    what = "has an attribute more than once, of which the last counts"
    yield from marked_spans(table, "repeated_attribute", repeats, what)


def _cut(table: SpanTable) -> Iterator[Defect]:
    columns = (table.attribute(CUT), table.resource_attribute(CUT), table.scope_attribute(CUT))
    cut = np.logical_or.reduce([column.codes >= 0 for column in columns])
    if cut.any():
        first = int(np.argmax(cut))
        named = [str(name) for column in columns for name in _names_in(column[first])]
        more = " …" if len(named) > _NAMED else ""
        yield from marked_spans(table, "cut_attributes", cut, f"was cut at {', '.join(named[:_NAMED])}{more}")


def _names_in(value: Value) -> Iterable[Value]:
    return value if isinstance(value, tuple) else ()


def marked_spans(table: SpanTable, name: str, marked: Bools, what: str) -> Iterator[Defect]:
    """Yield a defect of the marked spans, with the first of them as its example; nothing when none is marked."""
    count = int(marked.sum())
    if count:
        yield Defect(name, count, f"{_described(table, int(np.argmax(marked)))} {what}")


def _described(table: SpanTable, row: int) -> str:
    name = table.pool.string(int(table.name[row]))
    service = table.resource_attribute("service.name")[row]
    of = f" of {service}" if isinstance(service, str) else ""
    trace, span = table.pool.trace_hex(int(table.trace[row])), span_id_hex(int(table.span_id[row]))
    return f"{name!r}{of} ({trace}/{span})"
