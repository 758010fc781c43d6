"""The exporters of the real SDK, unchanged, against the real receiver."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from receiver.sinks import FaultySink, MemorySink
from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.errors import Overloaded, Unavailable

GZIP = {"grpc": 2, "http": Compression.Gzip}
PLAIN = {"grpc": 0, "http": Compression.NoCompression}


@pytest.fixture
def spans():
    """Finished spans of the SDK: a parent, a child with a link and an event."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("scoring")
    with tracer.start_as_current_span("request", attributes={"user": "anne", "scores": [0.5, 0.25]}) as parent:
        with tracer.start_as_current_span("predict", links=[]) as child:
            child.add_event("features read", {"age_s": 12})
            child.record_exception(ValueError("too old"))
        parent.add_link(child.get_span_context())
    provider.shutdown()
    return memory.get_finished_spans()


def exporter(protocol, endpoints, compression, **options):
    if protocol == "grpc":
        return GrpcExporter(
            endpoint=f"http://{endpoints.grpc}", insecure=True, compression=_grpc(compression), **options
        )
    return HttpExporter(endpoint=f"http://{endpoints.http}/v1/traces", compression=compression["http"], **options)


def _grpc(compression):
    import grpc

    return grpc.Compression(compression["grpc"])


@pytest.fixture(params=["grpc", "http"])
def protocol(request):
    return request.param


@pytest.mark.parametrize("compression", [GZIP, PLAIN], ids=["gzip", "plain"])
def test_spans_arrive_through_the_sdks_exporter(receive, spans, protocol, compression):
    sink = MemorySink()
    _, endpoints = receive(sink)
    client = exporter(protocol, endpoints, compression)
    assert client.export(spans) is SpanExportResult.SUCCESS
    client.shutdown()
    assert sink.names == ["predict", "request"]


def test_the_sdk_sends_its_token(receive, spans, protocol):
    sink = MemorySink()
    _, endpoints = receive(sink, bearer_tokens=("secret",))
    client = exporter(protocol, endpoints, GZIP, headers={"authorization": "Bearer secret"})
    assert client.export(spans) is SpanExportResult.SUCCESS
    client.shutdown()
    assert len(sink.names) == 2


@pytest.mark.parametrize(
    "error", [Overloaded(0.05), Unavailable("the disk is full", 0.05)], ids=lambda e: type(e).__name__
)
def test_the_sdk_sends_again_what_could_not_be_taken_and_nothing_is_lost(receive, spans, protocol, error):
    sink = FaultySink(error)
    _, endpoints = receive(sink)
    client = exporter(protocol, endpoints, PLAIN)
    assert client.export(spans) is SpanExportResult.SUCCESS
    client.shutdown()
    assert sink.attempts == 2
    assert len(sink.names) == 2


def test_over_grpc_the_sdk_waits_as_long_as_it_was_asked_to(receive, spans):
    sink = FaultySink(Overloaded(0.01))
    _, endpoints = receive(sink)
    client = exporter("grpc", endpoints, PLAIN)
    start = time.monotonic()
    assert client.export(spans) is SpanExportResult.SUCCESS
    assert time.monotonic() - start < 0.7  # of its own accord it would wait for at least 0.8 seconds
    client.shutdown()


def test_the_sdk_gives_up_at_once_on_what_can_never_be_accepted(receive, spans, protocol):
    sink = FaultySink(Undecodable("no"), Undecodable("no"))
    _, endpoints = receive(sink)
    client = exporter(protocol, endpoints, PLAIN)
    assert client.export(spans) is SpanExportResult.FAILURE
    client.shutdown()
    assert sink.attempts == 1


PROGRAM = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.{module}.trace_exporter import OTLPSpanExporter
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("scoring")
for number in range(3000):
    tracer.start_span("score").end()
provider.shutdown()
"""


def test_a_process_configured_by_the_standard_variables_loses_no_span(receive, protocol):
    sink = MemorySink()
    receiver, endpoints = receive(sink)
    environment = os.environ | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{getattr(endpoints, protocol)}",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
        "OTEL_BSP_MAX_QUEUE_SIZE": "4096",
    }
    program = [sys.executable, "-c", PROGRAM.format(module="grpc" if protocol == "grpc" else "http")]
    finished = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert len(sink.names) == 3000
    assert sum(receiver.counters.snapshot()["spans_accepted"].values()) == 3000
