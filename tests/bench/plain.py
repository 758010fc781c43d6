"""What the engine does, the plain way: span by span, with dictionaries. What the gate compares speed with.

Each function is written as one would write it first, and is correct for the run of `bench_judging.py`, which the
gate checks: it is a measure of how fast the machine is just now, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanverdict.telemetry.spantable import SpanTable

SpanKey = tuple[int, int]


@dataclass(slots=True)
class PlainSpan:
    """A span as an object."""

    key: SpanKey
    """Trace and id."""
    parent: SpanKey
    service: str
    run: str | None
    name: str
    kind: int
    status: int
    start: int
    end: int
    links: list[SpanKey]


def spans_of(table: SpanTable) -> list[PlainSpan]:
    """Return the spans of a table as objects."""
    services, runs = table.resource_attribute("service.name"), table.resource_attribute("test.suite.run.id")
    names, links = table.pool.string, table.links
    found = []
    for row in range(len(table)):
        trace = int(table.trace[row])
        linked = range(int(links.offsets[row]), int(links.offsets[row + 1]))
        run = runs[row]
        found.append(
            PlainSpan(
                (trace, int(table.span_id[row])),
                (trace, int(table.parent_span_id[row])),
                str(services[row]),
                None if run is None else str(run),
                names(int(table.name[row])),
                int(table.kind[row]),
                int(table.status_code[row]),
                int(table.start_time_unix_nano[row]),
                int(table.end_time_unix_nano[row]),
                [(int(links.trace[link]), int(links.span_id[link])) for link in linked],
            )
        )
    return found


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


def associate(spans: Sequence[PlainSpan]) -> dict[str, set[SpanKey]]:
    """Return the spans of each run: those of tagged traces, and of traces that link to them."""
    runs_of_trace: dict[int, set[str]] = {}
    for span in spans:
        if span.run is not None:
            runs_of_trace.setdefault(span.key[0], set()).add(span.run)
    changed = True
    while changed:
        changed = False
        for span in spans:
            for trace, _ in span.links:
                if trace in runs_of_trace and span.key[0] not in runs_of_trace:
                    runs_of_trace[span.key[0]] = set(runs_of_trace[trace])
                    changed = True
    found: dict[str, set[SpanKey]] = {}
    for span in spans:
        for run in runs_of_trace.get(span.key[0], ()):
            found.setdefault(run, set()).add(span.key)
    return found


def stitch(spans: Sequence[PlainSpan]) -> list[list[PlainSpan]]:
    """Return the spans of each request: all below an ingest span, through calls and links."""
    below: dict[SpanKey, list[PlainSpan]] = {}
    starts = []
    for span in spans:
        below.setdefault(span.parent, []).append(span)
        for link in span.links:
            below.setdefault(link, []).append(span)
        if span.service == "gateway" and span.kind == 2:
            starts.append(span)
    requests = []
    for start in starts:
        members, todo = {start.key: start}, [start]
        while todo:
            for span in below.get(todo.pop().key, ()):
                if span.key not in members:
                    members[span.key] = span
                    todo.append(span)
        requests.append(list(members.values()))
    return requests


def judge(requests: Sequence[Sequence[PlainSpan]]) -> list[float]:
    """Return what the four rules of the gate observe."""
    ends, waits, calls, errors = [], [], [], 0
    for request in requests:
        first = min(span.start for span in request if span.service == "gateway" and span.kind == 2)
        ends.append(max(span.end for span in request if span.service == "ledger" and span.kind == 5) - first)
        sent = max(span.end for span in request if span.service == "gateway" and span.kind == 4)
        waits.append(min(span.start for span in request if span.service == "ledger" and span.kind == 5) - sent)
        calls.append(sum(span.kind == 3 for span in request))
        errors += sum(span.status == 2 for span in request)
    return [_percentile(ends, 95), _percentile(waits, 99), max(calls), errors]


def _percentile(values: list[int], percent: int) -> int:
    return sorted(values)[ceil(len(values) * percent / 100) - 1]
