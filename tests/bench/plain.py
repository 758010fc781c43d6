"""What the engine does, the plain way: the few lines that are right for one run. What the gate compares speed with.

Decoding is that of the published messages, span by span. The other stages are columns and numpy, as the engine's are,
so that whatever slows down a machine's memory slows down both; but without duplicates, orphans, clocks, several runs a
trace, or rules that are read. They are right for the run of `bench_judging.py`, which the gate checks, and are not to be made faster:
they are a measure of how fast the machine is just now, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanverdict.telemetry.spantable import SpanTable

Ints = npt.NDArray[np.int64]
Ids = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

SERVICES: Final = ("gateway", "features", "scorer", "ledger")
_GATEWAY, _LEDGER = 0, 3
_SERVER, _CLIENT, _PRODUCER, _CONSUMER, _ERROR = 2, 3, 4, 5, 2
_NEVER: Final = 1 << 62


@dataclass(frozen=True, slots=True, eq=False)
class PlainColumns:
    """The spans of a run, a row each, and their links."""

    trace: Ints
    span_id: Ids
    parent_id: Ids
    tagged: Mask
    service: Ints
    """Place in `SERVICES`."""
    kind: npt.NDArray[np.int8]
    status: npt.NDArray[np.int8]
    start: Ints
    end: Ints
    link_row: Ints
    """The row that a link belongs to, and …"""
    link_trace: Ints
    """… what it leads to."""
    link_id: Ids


def columns_of(table: SpanTable) -> PlainColumns:
    """Return the columns of a table."""
    services, runs = table.resource_attribute("service.name"), table.resource_attribute("test.suite.run.id")
    rows = range(len(table))
    return PlainColumns(
        table.trace.astype(np.int64),
        table.span_id.copy(),
        table.parent_span_id.copy(),
        np.array([runs[row] is not None for row in rows]),
        np.array([SERVICES.index(str(services[row])) for row in rows]),
        table.kind.copy(),
        table.status_code.copy(),
        table.start_time_unix_nano.copy(),
        table.end_time_unix_nano.copy(),
        np.repeat(np.arange(len(table)), np.diff(table.links.offsets)),
        table.links.trace.astype(np.int64),
        table.links.span_id.copy(),
    )


def decode(payloads: Sequence[bytes]) -> int:
    """Read requests with the published messages, down to every attribute; return how many spans there are."""
    spans = []
    for payload in payloads:
        for resource in ExportTraceServiceRequest.FromString(payload).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    attributes = {pair.key: pair.value.WhichOneof("value") for pair in span.attributes}
                    times = span.start_time_unix_nano, span.end_time_unix_nano
                    spans.append((span.trace_id, span.span_id, span.parent_span_id, span.name, *times, attributes))
    return len(spans)


def associate(columns: PlainColumns) -> Ints:
    """Return the rows of the run: those of tagged traces, and of traces that link to them."""
    traces, trace = np.unique(columns.trace, return_inverse=True)
    belongs = np.zeros(len(traces), bool)
    belongs[trace[columns.tagged]] = True
    source, target = trace[columns.link_row], np.searchsorted(traces, columns.link_trace)
    before = -1
    while (known := int(belongs.sum())) != before:
        before = known
        belongs[source[belongs[target]]] = True
    return np.flatnonzero(belongs[trace])


def stitch(columns: PlainColumns) -> Ints:
    """Return the request of each row: all below one span, through calls and links."""
    above = _rows_of(columns, columns.parent_id)
    above[columns.link_row] = _rows_of(columns, columns.link_id)
    above = np.where(above < 0, np.arange(len(above)), above)
    while not np.array_equal(further := above[above], above):
        above = further
    return np.unique(above, return_inverse=True)[1].astype(np.int64)


def _rows_of(columns: PlainColumns, ids: Ids) -> Ints:
    """Return the row of each id; -1 where there is none."""
    order = np.argsort(columns.span_id, kind="stable")
    place = np.minimum(np.searchsorted(columns.span_id[order], ids), len(order) - 1)
    found = order[place]
    return np.where(columns.span_id[found] == ids, found, -1)


def judge(columns: PlainColumns, request: Ints) -> list[int]:
    """Return what the four rules of the gate observe."""
    count = int(request.max()) + 1
    gateway, consumer = columns.service == _GATEWAY, (columns.service == _LEDGER) & (columns.kind == _CONSUMER)

    def extreme(rows: Mask, values: Ints, how: np.ufunc, begin: int) -> Ints:
        found = np.full(count, begin)
        how.at(found, request[rows], values[rows])
        return found

    first = extreme(gateway & (columns.kind == _SERVER), columns.start, np.minimum, _NEVER)
    sent = extreme(gateway & (columns.kind == _PRODUCER), columns.end, np.maximum, 0)
    come = extreme(consumer, columns.start, np.minimum, _NEVER)
    done = extreme(consumer, columns.end, np.maximum, 0)
    calls = np.bincount(request[columns.kind == _CLIENT], minlength=count)
    in_order = np.lexsort((columns.start, request))
    errors = np.count_nonzero(columns.status[in_order] == _ERROR)
    return [_percentile(done - first, 95), _percentile(come - sent, 99), int(calls.max()), errors]


def _percentile(values: Ints, percent: int) -> int:
    """Return the value at the nearest rank."""
    return int(np.sort(values)[-(-len(values) * percent // 100) - 1])
