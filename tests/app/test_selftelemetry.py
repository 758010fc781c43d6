"""Where Spanverdict's own telemetry goes, by the standard variables."""

from __future__ import annotations

import socket

import pytest

from spanverdict.app.selftelemetry import Exported, exported, start

PORT = 4318
HERE = frozenset({PORT})


@pytest.mark.parametrize(
    ("environ", "traces", "metrics"),
    [
        ({}, None, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.invalid:4317"}, Exported(grpc=True), Exported(grpc=True)),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://192.0.2.1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            Exported(grpc=False),
            Exported(grpc=False),
        ),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://192.0.2.1:4317"}, Exported(grpc=True), None),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://192.0.2.1:4317"}, None, Exported(grpc=True)),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://192.0.2.1",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
                "OTEL_METRICS_EXPORTER": "none",
            },
            Exported(grpc=False),
            None,
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://192.0.2.1", "OTEL_TRACES_EXPORTER": "console"},
            None,
            Exported(grpc=True),
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://192.0.2.1", "OTEL_SDK_DISABLED": "true"}, None, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://localhost:{PORT}"}, None, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": f"127.0.0.1:{PORT}"}, None, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://[::1]:{PORT}"}, None, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://0.0.0.0:{PORT}"}, None, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{socket.gethostname()}:{PORT}"}, None, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:9"}, Exported(grpc=True), Exported(grpc=True)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://192.0.2.1:{PORT}"}, Exported(grpc=True), Exported(grpc=True)),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://localhost:{PORT}",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://192.0.2.1:1",
            },
            None,
            Exported(grpc=True),
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://["}, Exported(grpc=True), Exported(grpc=True)),
    ],
)
def test_each_signal_goes_where_its_variables_say_but_never_to_ourselves(environ, traces, metrics) -> None:
    assert exported("TRACES", HERE, environ) == traces
    assert exported("METRICS", HERE, environ) == metrics


def test_without_an_endpoint_nothing_is_started() -> None:
    stop = start([PORT], {})
    stop()
