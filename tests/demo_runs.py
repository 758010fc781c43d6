"""A small OTLP collector on loopback, and runs of the demo against it: what the demo's tests look at."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "deploy" / "demo"
RUN_ID = "demo-under-test"
REQUESTS = 75


@dataclass(frozen=True)
class Seen:
    """One span as it came over the wire."""

    service: str
    transport: str
    run_id: str | None
    name: str
    kind: str
    trace: bytes
    id: bytes
    parent: bytes
    start: int
    end: int
    attributes: dict[str, Any]
    links: tuple[tuple[bytes, bytes], ...]


@dataclass
class Collector:
    """Keeps every span it is sent over OTLP/gRPC or OTLP/HTTP."""

    grpc_url: str = ""
    http_url: str = ""
    spans: list[Seen] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)

    def keep(self, request: ExportTraceServiceRequest, transport: str) -> None:
        self.payloads.append(request.SerializeToString())
        for batch in request.resource_spans:
            resource = {pair.key: _value(pair.value) for pair in batch.resource.attributes}
            for scope in batch.scope_spans:
                self.spans.extend(_seen(span, resource, transport) for span in scope.spans)


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def _seen(span: Span, resource: dict[str, Any], transport: str) -> Seen:
    return Seen(
        service=resource["service.name"],
        transport=transport,
        run_id=resource.get("test.suite.run.id"),
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace=span.trace_id,
        id=span.span_id,
        parent=span.parent_span_id,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes={pair.key: _value(pair.value) for pair in span.attributes},
        links=tuple((link.trace_id, link.span_id) for link in span.links),
    )


@contextmanager
def _http(collector: Collector) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            collector.keep(ExportTraceServiceRequest.FromString(body), "http")
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        collector.http_url = f"http://127.0.0.1:{server.server_port}"
        yield
        server.shutdown()
        thread.join()


@contextmanager
def _grpc(collector: Collector) -> Iterator[None]:
    class Service(TraceServiceServicer):
        def Export(self, request: ExportTraceServiceRequest, context: object) -> ExportTraceServiceResponse:  # noqa: N802 - the name in the protocol
            collector.keep(request, "grpc")
            return ExportTraceServiceResponse()

    with ThreadPoolExecutor(4) as workers:
        server = grpc.server(workers)
        add_TraceServiceServicer_to_server(Service(), server)
        collector.grpc_url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        yield
        server.stop(None).wait()


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on free ports."""
    collector = Collector()
    with _http(collector), _grpc(collector):
        yield collector


def demo_environment(collector: Collector, fault: str) -> dict[str, str]:
    """Return what `spanverdict run` sets for its command."""
    return {
        **os.environ,
        "FAULT": fault,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc_url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "SPANVERDICT_ENDPOINT_GRPC": collector.grpc_url,
        "SPANVERDICT_ENDPOINT_HTTP": collector.http_url,
        "OTEL_RESOURCE_ATTRIBUTES": f"test.suite.run.id={RUN_ID},deployment.environment.name=test",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }


@dataclass(frozen=True)
class Played:
    """A finished run of the demo."""

    code: int
    said: str
    spans: tuple[Seen, ...]
    payload: bytes
    """All that was exported, as one request."""

    def of(self, name: str) -> list[Seen]:
        return [span for span in self.spans if span.name == name]


def play_demo(fault: str) -> Played:
    """Play the demo once, as a process of its own, and return what came of it."""
    with collecting() as collector:
        done = subprocess.run(
            [sys.executable, str(DEMO / "run.py"), "--requests", str(REQUESTS)],
            env=demo_environment(collector, fault),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    return Played(done.returncode, done.stderr, tuple(collector.spans), b"".join(collector.payloads))
