"""Tracing for the demo's services: the OpenTelemetry SDK as any service would set it up.

Where to export to comes from the standard OTEL_* variables and from nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from faults import never
from flask import Flask
from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

VERSION = "1.0.0"


class LeakySpanProcessor(BatchSpanProcessor):
    """Loses spans of one name on the way to the exporter, as a full queue does: without a word."""

    def __init__(self, exporter: SpanExporter, name: str, loses: Callable[[], bool]) -> None:
        super().__init__(exporter)
        self._name, self._loses = name, loses

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span for export, unless it is one that gets lost."""
        if span.name != self._name or not self._loses():
            super().on_end(span)


def start(service: str, leak: str = "", loses: Callable[[], bool] = never) -> TracerProvider:
    """Make this process trace itself as `service`; spans named `leak` get lost whenever `loses` says so.

    The caller shuts the provider down at the end, which exports what is still queued.
    """
    resource = Resource.create({"service.name": service, "service.version": VERSION})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(LeakySpanProcessor(_exporter(), leak, loses))
    trace.set_tracer_provider(provider)
    RequestsInstrumentor().instrument()
    return provider


def instrument(app: Flask) -> Flask:
    """Give `app` a server span for every request but the health checks."""
    FlaskInstrumentor().instrument_app(app, excluded_urls="healthz")
    return app


def _exporter() -> SpanExporter:
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc") == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as over_grpc  # noqa: PLC0415 - costs 0.3 s

        return over_grpc.OTLPSpanExporter()
    from opentelemetry.exporter.otlp.proto.http import trace_exporter as over_http  # noqa: PLC0415 - see above

    return over_http.OTLPSpanExporter()
