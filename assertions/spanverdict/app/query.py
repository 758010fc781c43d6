"""`query`: the spans that a selector matches, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from spanverdict.app.misses import MOST_MISSES, Miss, misses, said
from spanverdict.app.values import UNKNOWN, length_text, moment_text, plain, value_text
from spanverdict.checks.runview import RunView
from spanverdict.evaluation.preparing import prepare, view_of
from spanverdict.reporting.escaping import shown, strict_json
from spanverdict.reporting.quantities import counted, rfc3339
from spanverdict.rulefiles.models import Flow
from spanverdict.selectors import Field, Selector, tree
from spanverdict.selectors.columns import Spans
from spanverdict.telemetry.identifiers import span_id_hex
from spanverdict.telemetry.spantable import MAX_TIME, AttributeColumn, Rows, SpanTable
from spanverdict.telemetry.vocabulary import SpanKind, StatusCode

SCHEMA_VERSION: Final = 1
_NAME: Final = 60
"""Characters of a name that a table shows."""
_KINDS: Final = MappingProxyType({int(kind): kind.name.lower() for kind in SpanKind})
_STATUSES: Final = MappingProxyType({int(status): status.name.lower() for status in StatusCode})


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """What a selector matched, by start time."""

    selector: Selector
    spans: Spans
    rows: Rows
    """The matched rows of `spans`."""
    view: RunView | None
    """The stitched requests, when the selector looked at those; a shared span is a match in each."""

    @property
    def row(self) -> Rows:
        """Which span each row is."""
        return np.arange(len(self.spans)) if self.view is None else self.view.row

    def matched(self) -> int:
        """Count the matched spans, each once."""
        return len(np.unique(self.row[self.rows]))

    def searched(self) -> int:
        """Count the spans that were looked at, each once."""
        return int(self.row.max(initial=-1)) + 1

    def groups(self) -> tuple[int, int, str]:
        """Count the traces, or requests, with a match, and those there are."""
        if self.view is not None:
            request = self.view.request[self.rows]
            return len(np.unique(request[request >= 0])), self.view.n_requests, "requests"
        trace = self.spans.table.trace
        return len(np.unique(trace[self.rows])), len(np.unique(trace)), "traces"

    def misses(self) -> tuple[Miss, ...]:
        """Return the near misses where nothing matched."""
        return () if len(self.rows) else misses(self.selector, self.spans, self.row)


def match_traces(selector: Selector, table: SpanTable) -> Matches:
    """Evaluate a selector over traces; a span that was sent twice counts once."""
    return _matches(selector, prepare(table).spans, None)


def match_requests(selector: Selector, table: SpanTable, flow: Flow) -> Matches:
    """Evaluate a selector as the rules of a flow do: over stitched requests, across traces."""
    view, _ = view_of(flow, prepare(table), None)
    return _matches(selector, view.spans, view)


def _matches(selector: Selector, spans: Spans, view: RunView | None) -> Matches:
    rows = np.flatnonzero(selector.mask(spans))
    order = np.argsort(spans.table.start_time_unix_nano[rows], kind="stable")
    return Matches(selector, spans, rows[order], view)


def selected_fields(selector: Selector) -> tuple[Field, ...]:
    """Return the fields that `select()` names, in order, each once.

    >>> from spanverdict.selectors import parse
    >>> [str(field) for field in selected_fields(parse("{ } | select(span.x, duration) | count() > 1"))]
    ['span.x', 'span:duration']
    """
    return tuple(dict.fromkeys(_selected(selector.root)))


def _selected(node: tree.Node) -> Iterator[Field]:
    if isinstance(node, tree.Select):
        yield from (Field(one) for one in node.fields if isinstance(one, tree.Attribute | tree.Intrinsic))
    else:
        for part in tree.children(node):
            yield from _selected(part)


# for people


def as_text(matches: Matches, limit: int) -> str:
    """Write a table of the first matches, 0 for all, and how many there are; each line is harmless to show."""
    if not len(matches.rows):
        return "".join(f"{line}\n" for line in _nothing(matches))
    rows = matches.rows[: limit or None]
    lines = [*_aligned([*_columns(matches, rows)]), "", _summary(matches)]
    if len(rows) < len(matches.rows):
        lines.append(f"{len(matches.rows) - len(rows):,} more are not shown; --limit 0 shows all")
    return "".join(f"{line}\n" for line in lines)


def _summary(matches: Matches) -> str:
    here, there, noun = matches.groups()
    searched = counted(matches.searched(), "spans")
    return f"{matches.matched():,} of {searched} matched, in {here:,} of {counted(there, noun)}"


def _nothing(matches: Matches) -> Iterator[str]:
    if not matches.searched():
        yield "nothing matched: there are no spans"
        return
    _, there, noun = matches.groups()
    yield f"nothing matched: 0 of {counted(matches.searched(), 'spans')} in {counted(there, noun)}"
    found = matches.misses()
    yield from (f"  {said(miss)}" for miss in found[:MOST_MISSES])
    if len(found) > MOST_MISSES:
        yield f"  and {len(found) - MOST_MISSES} more conditions that alone keep spans out"


def _columns(matches: Matches, rows: Rows) -> Iterator[list[str]]:
    """Yield the columns of the table, each with its heading."""
    table = matches.spans.table
    pool, some = table.pool, rows.tolist()
    start, end = table.start_time_unix_nano, table.end_time_unix_nano
    service = table.resource_attribute("service.name")
    yield ["START", *(moment_text(int(start[row])) for row in some)]
    yield ["DURATION", *(length_text(int(start[row]), int(end[row])) for row in some)]
    yield ["SERVICE", *(value_text(service[row]) for row in some)]
    yield ["NAME", *(shown(pool.string(int(table.name[row])), _NAME) for row in some)]
    yield ["KIND", *(kind_text(int(table.kind[row])) for row in some)]
    yield ["STATUS", *(status_text(int(table.status_code[row])) for row in some)]
    if matches.view is not None:
        yield ["REQUEST", *(_request_name(matches.view, row) for row in some)]
    for field in selected_fields(matches.selector):
        column = field.column(matches.spans)
        yield [shown(str(field), _NAME), *(value_text(column[row], str(field)) for row in some)]
    yield ["TRACE", *(pool.trace_hex(int(table.trace[row])) for row in some)]
    yield ["SPAN", *(span_id_hex(int(table.span_id[row])) for row in some)]


def _request_name(view: RunView, row: int) -> str:
    request = int(view.request[row])
    return shown(view.request_name(request), _NAME) if request >= 0 else UNKNOWN


def _aligned(columns: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table, its columns two spaces apart."""
    widths = [max(map(len, column)) for column in columns]
    for cells in zip(*columns, strict=True):
        yield "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def kind_text(kind: int) -> str:
    """Write a span kind as TraceQL does.

    >>> kind_text(2), kind_text(77)
    ('server', '77')
    """
    return _KINDS.get(kind, str(kind))


def status_text(status: int) -> str:
    """Write a status as TraceQL does.

    >>> status_text(2), status_text(77)
    ('error', '77')
    """
    return _STATUSES.get(status, str(status))


# for machines


def as_json(matches: Matches, limit: int) -> str:
    """Write the first matches, 0 for all, as one JSON document with sorted keys."""
    here, there, noun = matches.groups()
    document = {
        "schema_version": SCHEMA_VERSION,
        "selector": str(matches.selector),
        "over": noun,
        "searched_spans": matches.searched(),
        f"searched_{noun}": there,
        "matched_spans": matches.matched(),
        f"matched_{noun}": here,
        "matches": len(matches.rows),
        "spans": list(_objects(matches, matches.rows[: limit or None])),
        "near_misses": [
            {"condition": miss.condition, "spans": len(miss.spans), "field": miss.field, "instead": dict(miss.instead)}
            for miss in matches.misses()
        ],
    }
    return f"{strict_json(document, indent=2)}\n"


def _objects(matches: Matches, rows: Rows) -> Iterator[dict[str, Any]]:
    selected = {str(field): field.column(matches.spans) for field in selected_fields(matches.selector)}
    for row in rows.tolist():
        found = _span_object(matches.spans.table, row)
        if matches.view is not None:
            request = int(matches.view.request[row])
            found["request"] = matches.view.request_name(request) if request >= 0 else None
        if selected:
            found["selected"] = _selected_object(selected, row)
        yield found


def _selected_object(selected: dict[str, AttributeColumn], row: int) -> dict[str, Any]:
    return {name: plain(column[row]) for name, column in selected.items()}


def _span_object(table: SpanTable, row: int) -> dict[str, Any]:
    pool = table.pool
    start, end = int(table.start_time_unix_nano[row]), int(table.end_time_unix_nano[row])
    parent = int(table.parent_span_id[row])
    timed = end != 0 and MAX_TIME not in (start, end)
    resource = pool.resource_attributes[int(table.resource[row])]
    return {
        "trace_id": pool.trace_hex(int(table.trace[row])),
        "span_id": span_id_hex(int(table.span_id[row])),
        "parent_span_id": span_id_hex(parent) if parent else None,
        "name": pool.string(int(table.name[row])),
        "kind": kind_text(int(table.kind[row])),
        "status": status_text(int(table.status_code[row])),
        "status_message": pool.string(int(table.status_message[row])),
        "start": rfc3339(start) if start < MAX_TIME else None,
        "end": rfc3339(end) if end < MAX_TIME else None,
        "duration_ns": end - start if timed else None,
        "attributes": _attributes(table, table.attributes.row(row).tolist()),
        "resource": _attributes(table, resource),
    }


def _attributes(table: SpanTable, numbers: Sequence[int]) -> dict[str, Any]:
    return {key: plain(value) for key, value in map(table.pool.attribute, numbers)}
