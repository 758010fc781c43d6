"""Traces as a file holds them: a gateway and a scorer, always the same."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

MS = 1_000_000
START = 1_760_000_000_000 * MS


def payload(run: str | None, *numbers: int, slow: int = 0) -> bytes:
    """Requests by number, one of them slow."""
    gateway, scorer = ([], [])
    for number in numbers:
        start, took = START + number * 10 * MS, (400 if number == slow else 80) * MS
        trace = (0xBEEF << 112 | number).to_bytes(16, "big")
        times, server = (start, took), Span.SPAN_KIND_SERVER
        gateway.append(_span(number * 2, 0, times, trace_id=trace, name="POST /score", kind=server))
        scorer.append(_span(number * 2 + 1, number * 2, times, trace_id=trace, name="predict"))
        gateway[-1].attributes.append(_pair("request.id", AnyValue(string_value=f"payment-{number:02}")))
        scorer[-1].attributes.append(_pair("score", AnyValue(double_value=0.5)))
    parts = [_of_service("gateway", run, gateway), _of_service("scorer", run, scorer)]
    return TracesData(resource_spans=parts).SerializeToString()


def _of_service(name: str, run: str | None, spans: list[Span]) -> ResourceSpans:
    part = ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])
    part.resource.attributes.append(_pair("service.name", AnyValue(string_value=name)))
    if run is not None:
        part.resource.attributes.append(_pair("test.suite.run.id", AnyValue(string_value=run)))
    return part


def _span(number: int, parent: int, times: tuple[int, int], **more: Any) -> Span:
    start, took = times
    return Span(
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        start_time_unix_nano=start,
        end_time_unix_nano=start + took,
        **more,
    )


def _pair(key: str, value: AnyValue) -> KeyValue:
    return KeyValue(key=key, value=value)
