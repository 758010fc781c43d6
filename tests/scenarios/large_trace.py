"""A whole run in one trace: a flow that asks much of it, and its spans as they are sent."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

BEGIN = 1_772_442_000_000_000_000
BATCH = 2000
DEEP = 5000
"""The first spans are each the parent of the next; the others have parents anywhere before them."""
FLOW = """
version: 1
flow: large
stages:
  - {stage: ingest, select: {name: ingest}}
  - {stage: last, select: {name: last}}
complete: {idle: 60s, at_most: 60s}
rules:
  - {id: all-there, count: '{ span:name = "step" }', expect: {count: "== STEPS"}}
  - {id: one-tree, coverage: {stages: all, no_orphans: true}, expect: {ratio: "== 100%"}}
  - {id: fast, latency: request, expect: {max: "< 1h"}}
  - {id: below, count: '{ span:name = "ingest" } >> { span.step.number >= 0 }', expect: {count: "== STEPS"}}
  - {id: path, latency: {critical_path: ingest}, expect: {max: "<= 100%"}}
"""


def flow_of(n_spans: int) -> str:
    """Return the flow that a run of so many spans passes."""
    return FLOW.replace("STEPS", str(n_spans - 2))


def parent_of(number: int) -> int:
    """Return whose child a span is; the root is number 1."""
    if number <= DEEP:
        return number - 1
    return random.Random(number).randrange(1, number)


def spans(numbers: Sequence[int], last: int) -> TracesData:
    found = []
    for number in numbers:
        name = {1: "ingest", last: "last"}.get(number, "step")
        step = [KeyValue(key="step.number", value=AnyValue(int_value=number))] if name == "step" else []
        start = BEGIN + number * 1000
        found.append(
            Span(
                trace_id=b"a-single-trace-1", span_id=number.to_bytes(8), parent_span_id=parent_of(number).to_bytes(8) if number > 1 else b"",
                name=name, kind=Span.SPAN_KIND_INTERNAL, start_time_unix_nano=start, end_time_unix_nano=start + 900, attributes=step,
            )
        )  # fmt: skip
    resource = Resource(
        attributes=[
            KeyValue(key="service.name", value=AnyValue(string_value="steps")),
            KeyValue(key="test.suite.run.id", value=AnyValue(string_value="large")),
        ]
    )
    return TracesData(resource_spans=[ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=found)])])


def batches(n_spans: int) -> Iterator[bytes]:
    """The spans in no order at all, the one that completes the run among them."""
    numbers = list(range(1, n_spans + 1))
    random.Random(1).shuffle(numbers)
    for start in range(0, n_spans, BATCH):
        yield spans(numbers[start : start + BATCH], n_spans).SerializeToString()
