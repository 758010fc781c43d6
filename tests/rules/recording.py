"""Traces recorded with the real OpenTelemetry SDK, with ids and times that never change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    set_span_in_context,
)

from spanverdict.otlp.jsonexport import protobuf_to_json

BEGIN = 1_772_442_000_000_000_000
"""2026-03-02T09:00:00Z in ns."""
MS = 1_000_000


@dataclass
class SeededIds(IdGenerator):
    """Random-looking ids that are the same every time."""

    random: Random

    def generate_trace_id(self) -> int:
        return self.random.getrandbits(128) or 1

    def generate_span_id(self) -> int:
        return self.random.getrandbits(64) or 1


@dataclass
class Recording:
    """The spans of one run; its name seeds ids and jitter. Times are milliseconds since the run began."""

    name: str
    spans: list[ReadableSpan] = field(default_factory=list)
    tracers: dict[str, Tracer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = Random(self.name)

    def service(self, name: str, scope: str, version: str | None = "1.4.0") -> None:
        """Announce a service, the library that instruments it, and the service's version."""
        attributes = {
            "service.name": name,
            **({"service.version": version} if version else {}),
            "deployment.environment.name": "test",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "test.suite.run.id": self.name,
        }
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource(attributes),
            id_generator=SeededIds(self.random),
            shutdown_on_exit=False,
        )
        self.tracers[name] = provider.get_tracer(scope, "0.66b1")

    def span(
        self,
        service: str,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        *,
        at: float,
        took: float,
        parent: Span | None = None,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Span] = (),
        events: Sequence[tuple[str, float, Mapping[str, Any]]] = (),
        error: str = "",
        lost: bool = False,
    ) -> Span:
        """Record a span that began at `at` and ended `took` later; one that was lost is made and never exported."""
        begin = BEGIN + round(at * MS)
        span = self.tracers[service].start_span(
            name,
            context=None if parent is None else self._context(parent, service),
            kind=kind,
            attributes=attributes,
            links=[Link(linked.get_span_context()) for linked in links],
            start_time=begin,
        )
        assert isinstance(span, Span)
        for event, after, values in events:
            span.add_event(event, values, timestamp=begin + round(after * MS))
        if error:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(begin + round(took * MS))
        if not lost:
            self.spans.append(span)
        return span

    def _context(self, parent: Span, service: str) -> Any:
        """Return the context that the parent hands on; to another service it is a remote one."""
        if parent.resource.attributes["service.name"] == service:
            return set_span_in_context(parent)
        own = parent.get_span_context()
        return set_span_in_context(
            NonRecordingSpan(SpanContext(own.trace_id, own.span_id, is_remote=True, trace_flags=own.trace_flags))
        )

    def jitter(self, least: float, most: float) -> float:
        """Return a number of milliseconds between the two, in whole microseconds."""
        return round(self.random.uniform(least, most), 3)

    def to_json(self) -> str:
        """Return OTLP/JSON, one span a line."""
        document = json.loads(protobuf_to_json(encode_spans(self.spans).SerializeToString(deterministic=True)))
        return '{"resourceSpans":[\n' + ",\n".join(map(_resource_spans, document["resourceSpans"])) + "\n]}\n"


def _resource_spans(group: dict[str, Any]) -> str:
    scopes = ",\n".join(map(_scope_spans, group["scopeSpans"]))
    return f' {{"resource":{_compact(group["resource"])},"scopeSpans":[\n{scopes}\n ]}}'


def _scope_spans(group: dict[str, Any]) -> str:
    spans = ",\n".join(f"   {_compact(span)}" for span in group["spans"])
    return f'  {{"scope":{_compact(group["scope"])},"spans":[\n{spans}\n  ]}}'


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
