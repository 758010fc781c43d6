"""A client that names a new run with every request of its tests: payloads of tiny runs, made fast."""

from __future__ import annotations

from typing import Final

import numpy as np
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

RUN: Final = "flood-00000000"
_TRACE: Final = b"one-trace-a-run!"
_SPAN: Final = b"one-span"
_BEGIN: Final = 1_772_442_000_000_000_000
RULES: Final = """\
version: 1
flow: flood
stages:
  - {stage: ingest, select: {service: gateway}}
complete: {idle: 1s, at_most: 3s}
rules:
  - {id: fast, latency: request, expect: {max: "< 200ms"}}
  - {id: whole, coverage: {stages: all}, expect: {ratio: ">= 99%"}}
"""


def _entry() -> bytes:
    """One span of one run, as it stands in a request."""
    tag = KeyValue(key="test.suite.run.id", value=AnyValue(string_value=RUN))
    span = Span(
        trace_id=_TRACE, span_id=_SPAN, name="GET /", kind=Span.SPAN_KIND_SERVER, start_time_unix_nano=_BEGIN,
        end_time_unix_nano=_BEGIN + 1_000_000, attributes=[tag],
    )  # fmt: skip
    return ScopeSpans(spans=[span]).SerializeToString()


def payload(first: int, runs: int) -> bytes:
    """A request with a span of each of the runs `first …`: a trace, a span id and a run id of its own."""
    entry = np.frombuffer(_entry(), np.uint8)
    rows = np.repeat(entry[None, :], runs, axis=0)
    numbers = np.arange(first + 1, first + runs + 1, dtype=np.uint64)
    written = rows.tobytes()[: len(entry)]
    big = numbers.astype(">u8").view(np.uint8).reshape(-1, 8)
    for wanted in (_TRACE, _SPAN):
        place = written.index(wanted) + len(wanted) - 8
        rows[:, place : place + 8] = big
    digits = (numbers[:, None] // 10 ** np.arange(7, -1, -1, dtype=np.uint64)) % np.uint64(10)
    place = written.index(RUN.encode()) + len(RUN) - 8
    rows[:, place : place + 8] = digits.astype(np.uint8) + ord("0")
    scope = rows.tobytes()
    part = ResourceSpans(scope_spans=[ScopeSpans()])
    part.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="gateway")))
    head = TracesData(resource_spans=[ResourceSpans(resource=part.resource)]).resource_spans[0].SerializeToString()
    body = head + b"\x12" + _varint(len(scope)) + scope
    return b"\x0a" + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
