"""Rows as for `table_of`, as OTLP trace requests: what exporters would send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

from spantables import DEFAULT_DURATION, encode_value, span_number, trace_bytes
from spanverdict.telemetry.vocabulary import SpanKind, StatusCode


def payload_of(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return one request; each span comes with its own resource and scope."""
    return TracesData(resource_spans=[_resource_spans(row) for row in rows]).SerializeToString(deterministic=True)


def _resource_spans(row: dict[str, Any]) -> ResourceSpans:
    scope = row.get("scope", {})
    message = InstrumentationScope(
        name=scope.get("name", ""), version=scope.get("version", ""), attributes=_pairs(scope.get("attributes", {}))
    )
    spans = ScopeSpans(scope=message, spans=[_span(row)])
    return ResourceSpans(resource=Resource(attributes=_pairs(row.get("resource", {}))), scope_spans=[spans])


def _span(row: dict[str, Any]) -> Span:
    start, parent = row.get("start", 0), row.get("parent", 0)
    return Span(
        trace_id=trace_bytes(row["trace"]),
        span_id=_span_id(row["id"]),
        parent_span_id=_span_id(parent) if parent else b"",
        name=row.get("name", "span"),
        kind=SpanKind[row.get("kind", "internal").upper()],
        start_time_unix_nano=start,
        end_time_unix_nano=row.get("end", start + row.get("duration", DEFAULT_DURATION)),
        attributes=_pairs(row.get("attributes", {})),
        status=Status(code=StatusCode[row.get("status", "unset").upper()]),
        links=[
            Span.Link(trace_id=trace_bytes(link["trace"]), span_id=_span_id(link["id"]))
            for link in row.get("links", ())
        ],
        dropped_links_count=row.get("dropped_links", 0),
    )


def _span_id(span_id: str | int) -> bytes:
    return span_number(span_id).to_bytes(8, "big")


def _pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=encode_value(value)) for key, value in attributes.items()]
