"""Spanverdict's own traces and metrics, exported where the standard OTEL_* variables point."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_STOP_S: Final = 3.0
"""How long the last export may take."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Exported:
    """How one signal is exported."""

    grpc: bool


def start(own_ports: Iterable[int], environ: Mapping[str, str] = os.environ) -> Callable[[], None]:
    """Export our own telemetry and return what stops it; do nothing without an endpoint to send to.

    An endpoint that is one of our own listeners is left alone: what we say of ourselves must not
    become part of what we judge.
    """
    ports = frozenset(own_ports)
    traces, metrics = (exported(signal, ports, environ) for signal in ("TRACES", "METRICS"))
    stack = ExitStack()
    if traces or metrics:
        logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)
        resource_name = environ.get("OTEL_SERVICE_NAME", "spanverdict")
        if traces:
            stack.callback(_export_traces(resource_name, traces))
        if metrics:
            stack.callback(_export_metrics(resource_name, metrics))
    return lambda: _within(_STOP_S, stack.close)


def exported(signal: str, own_ports: frozenset[int], environ: Mapping[str, str]) -> Exported | None:
    """Return how a signal (`TRACES`, `METRICS`) is exported as the environment has it; None when it is not."""
    endpoint = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    switched_off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    exporter = environ.get(f"OTEL_{signal}_EXPORTER") or "otlp"
    if switched_off or exporter != "otlp" or not endpoint or _is_own(endpoint, own_ports):
        return None
    protocol = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    return Exported(grpc=(protocol or "grpc") == "grpc")


def _is_own(endpoint: str, ports: frozenset[int]) -> bool:
    try:
        parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return False
    return port in ports and _is_here(parts.hostname or "")


def _is_here(host: str) -> bool:
    """Tell whether a name stands for this machine: only its own addresses can be taken."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return False
    return any(_can_take(family, address) for family, _, _, _, address in found)


def _can_take(family: int, address: tuple[object, ...]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as taken:
            taken.bind(address)
    except OSError:
        return False
    return True


def _export_traces(name: str, how: Exported) -> Callable[[], None]:
    from opentelemetry import trace  # noqa: PLC0415 - only where it is asked for, so below
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter  # noqa: PLC0415

    exporter: SpanExporter
    if how.grpc:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc  # noqa: PLC0415

        exporter = Grpc()
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http  # noqa: PLC0415

        exporter = Http()
    provider = TracerProvider(resource=Resource.create({"service.name": name}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def _export_metrics(name: str, how: Exported) -> Callable[[], None]:
    from opentelemetry import metrics  # noqa: PLC0415 - only where it is asked for, so below
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

    exporter: MetricExporter
    if how.grpc:
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as Grpc  # noqa: PLC0415

        exporter = Grpc()
    else:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as Http  # noqa: PLC0415

        exporter = Http()
    provider = MeterProvider(
        resource=Resource.create({"service.name": name}),
        metric_readers=[PeriodicExportingMetricReader(exporter)],
        shutdown_on_exit=False,
    )
    metrics.set_meter_provider(provider)
    return provider.shutdown


def _within(seconds: float, work: Callable[[], None]) -> None:
    """Do something that may wait for others, but no longer than so."""
    thread = threading.Thread(target=work, name="telemetry-stop", daemon=True)
    thread.start()
    thread.join(seconds)
