"""Spanverdict's own traces and metrics, exported where the standard OTEL_* variables point."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

_SIGNALS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - compared with, not listened on


def start(own_ports: Iterable[int], environ: Mapping[str, str] = os.environ) -> Callable[[], None]:
    """Export our own telemetry and return what stops it; do nothing without an endpoint to send to.

    An endpoint that is one of our own listeners is left alone: what we say of ourselves must not
    become part of what we judge.
    """
    endpoints = [environ[name] for name in _SIGNALS if environ.get(name)]
    switched_off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if switched_off or not endpoints or any(_is_own(endpoint, frozenset(own_ports)) for endpoint in endpoints):
        return _nothing
    return _export(environ)


def _nothing() -> None:
    """Stop nothing."""


def _is_own(endpoint: str, ports: frozenset[int]) -> bool:
    parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    return (parts.hostname or "") in _LOCAL and parts.port in ports


def _export(environ: Mapping[str, str]) -> Callable[[], None]:
    from opentelemetry import metrics, trace  # noqa: PLC0415 - only where it is asked for
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415 - as above
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

    if environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc") == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    else:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # type: ignore[assignment]  # noqa: PLC0415
            OTLPMetricExporter,
        )
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # type: ignore[assignment]  # noqa: PLC0415
            OTLPSpanExporter,
        )
    resource = Resource.create({"service.name": environ.get("OTEL_SERVICE_NAME", "spanverdict")})
    traces = TracerProvider(resource=resource)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    meters = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter())])
    trace.set_tracer_provider(traces)
    metrics.set_meter_provider(meters)

    def stop() -> None:
        traces.shutdown()
        meters.shutdown()

    return stop
