"""Records what instrumentations emit: the real SDK, with ids and times that are the same every time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from random import Random

import opentelemetry.sdk.trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind

from spanverdict.otlp.jsonexport import protobuf_to_json

BEGIN = 1_772_442_000_000_000_000
"""2026-03-02T09:00:00Z in ns."""
MS = 1_000_000
ORDERS = ("o-1", "o-2", "o-3")
SENDER, TAKER = "checkout", "accounting"


class SeededIds(IdGenerator):
    """Random-looking ids that are the same every time."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)

    def generate_trace_id(self) -> int:
        return self.random.getrandbits(128) or 1

    def generate_span_id(self) -> int:
        return self.random.getrandbits(64) or 1


@dataclass
class Studio:
    """One recording: two services, a clock that goes on by a millisecond whenever it is looked at."""

    instrumentation: str
    """The distribution that makes the spans."""
    stand_in: str
    """What was not real."""
    spans: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    now: int = BEGIN
    providers: dict[str, TracerProvider] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ids = SeededIds(self.instrumentation)
        made_by = f"{self.instrumentation} {version(self.instrumentation)}; {self.stand_in}"
        for service in (SENDER, TAKER):
            resource = Resource({"service.name": service, "recording.made.by": made_by})
            self.providers[service] = TracerProvider(resource=resource, id_generator=ids)
            self.providers[service].add_span_processor(SimpleSpanProcessor(self.spans))
        opentelemetry.sdk.trace.time_ns = self.look

    def look(self) -> int:
        self.now += MS
        return self.now

    def wait(self, milliseconds: int) -> None:
        self.now += milliseconds * MS

    @contextmanager
    def order(self, number: str) -> Iterator[None]:
        """Take an order over HTTP; what is sent inside is part of it."""
        tracer = self.providers[SENDER].get_tracer("shop")
        with tracer.start_as_current_span("POST /orders", kind=SpanKind.SERVER, attributes={"order.id": number}):
            yield

    def record(self, number: str) -> None:
        """Do what the taking service does with an order: user code, in whatever context the library leaves."""
        tracer = self.providers[TAKER].get_tracer("shop")
        with tracer.start_as_current_span("record order", attributes={"order.id": number}):
            self.wait(5)

    def write(self, path: Path) -> None:
        """Write the recording as one line of OTLP/JSON, spans by start."""
        spans = sorted(self.spans.get_finished_spans(), key=lambda span: (span.start_time, span.context.span_id))
        path.write_text(protobuf_to_json(encode_spans(spans).SerializeToString()) + "\n", encoding="utf-8")
