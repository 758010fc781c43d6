"""The spans that the benchmarks send: which attributes they have, and which of their values were never seen before.

Modelled on a scoring system of four services. Every request for export is what one process of one service sends: one resource
with five attributes (the run's id among them), one scope, and traces of ten spans in which six of ten spans have children.

| attribute | value | how many different ones |
|---|---|---|
| `request.id` | 16 hexadecimal digits | new on every span |
| `score.value` | a double | new on every span |
| `feature.age_ms` | an integer of five bytes | new on every third span, which has it; the others have `retries`, 0 to 2 |
| `http.route`, `http.request.method`, `http.response.status_code` | | 4, 2, 3 |
| `model`, `cached`, `thread.id`, `zone` | | 2, 2, 64, 3 |
| *with 16 attributes, too:* | | |
| `http.request.header.x-context-0` | 62 characters | 1,000 |
| `http.request.header.x-context-1`, `-2` | 62 characters | 20 each |
| `db.query.text`, `server.address`, `server.port` | 62 and 41 characters, an integer | 8, 16, 2 |

So 2.3 values of a span are new, of 10 (about 310 bytes a span) or of 16 (about 810): as in most traffic, ids and
measurements differ and all else repeats. Of 100 spans two have an error with a message, two an event, and two a link to
another trace of the same request for export.
"""

from __future__ import annotations

import random
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

SPANS_PER_TRACE: Final = 10
START: Final = 1_760_000_000_000_000_000

SERVICES: Final = ("gateway", "features", "scorer", "ledger")
NAMES: Final = ("POST /score", "features.lookup", "redis GET", "predict", "publish score", "ledger.write")
ROUTES: Final = ("/score", "/score/batch", "/features/{id}", "/ledger")
LONG: Final = "scoring-client/4.2 (+https://example.test/clients) batch/{:03} linux"
QUERY: Final = "SELECT value FROM features_{} WHERE entity = ? AND name = ANY(?)"
ADDRESS: Final = "feature-store-{:02}.staging.svc.cluster.local"

UNIQUE_TEXT: Final = "request.id"
UNIQUE_DOUBLE: Final = "score.value"
UNIQUE_INT: Final = "feature.age_ms"
RUN: Final = "test.suite.run.id"


def message_of(n_spans: int, n_attributes: int, seed: int, run_id: str | None = None) -> TracesData:
    """Return one request for export; the same arguments give the same one."""
    rng = random.Random(seed)
    scope = ScopeSpans(scope=InstrumentationScope(name="bench.instrumentation", version="1.0.0"))
    trace_id = parent = b""
    for number in range(n_spans):
        if number % SPANS_PER_TRACE == 0:
            trace_id, parent = _id(rng, 16), b""
        span = _span(rng, number, n_attributes)
        span.trace_id, span.span_id, span.parent_span_id = trace_id, _id(rng, 8), parent
        if number >= SPANS_PER_TRACE and rng.random() < 0.02:
            other = scope.spans[rng.randrange(number // SPANS_PER_TRACE) * SPANS_PER_TRACE]
            span.links.append(Span.Link(trace_id=other.trace_id, span_id=other.span_id))
        scope.spans.append(span)
        if rng.random() < 0.6:
            parent = span.span_id
    resource = Resource(attributes=_of_resource(rng, run_id))
    return TracesData(resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope])])


def _of_resource(rng: random.Random, run_id: str | None) -> list[KeyValue]:
    found = {
        "service.name": rng.choice(SERVICES),
        "service.instance.id": f"pod-{rng.randrange(8)}",
        "deployment.environment.name": "staging",
        "telemetry.sdk.language": "python",
    }
    if run_id is not None:
        found[RUN] = run_id
    return [_text(key, value) for key, value in found.items()]


def _span(rng: random.Random, number: int, n_attributes: int) -> Span:
    start = START + number * 40_000
    span = Span(
        name=rng.choice(NAMES),
        kind=rng.choice((1, 1, 2, 3, 4, 5)),
        start_time_unix_nano=start,
        end_time_unix_nano=start + rng.randrange(200_000, 40_000_000),
        flags=0x101,
        attributes=_attributes(rng, number)[:n_attributes],
    )
    if rng.random() < 0.02:
        span.status.CopyFrom(Status(code=2, message="upstream timed out"))
    if rng.random() < 0.02:
        span.events.append(Span.Event(time_unix_nano=start + 1000, name="retry", attributes=[_int("attempt", 2)]))
    return span


def _attributes(rng: random.Random, number: int) -> list[KeyValue]:
    third = _int(UNIQUE_INT, rng.randrange(1 << 28, 1 << 34)) if number % 3 == 0 else _int("retries", rng.randrange(3))
    return [
        _text(UNIQUE_TEXT, rng.randbytes(8).hex()),
        KeyValue(key=UNIQUE_DOUBLE, value=AnyValue(double_value=rng.uniform(0.5, 1))),
        third,
        _text("http.route", rng.choice(ROUTES)),
        _text("http.request.method", rng.choice(("GET", "POST"))),
        _int("http.response.status_code", rng.choice((200, 200, 200, 404, 500))),
        _text("model", rng.choice(("m-1", "m-2"))),
        KeyValue(key="cached", value=AnyValue(bool_value=rng.random() < 0.5)),
        _int("thread.id", rng.randrange(64)),
        _text("zone", rng.choice(("a", "b", "c"))),
        *(_text(f"http.request.header.x-context-{n}", LONG.format(rng.randrange(most))) for n, most in _CONTEXTS),
        _text("db.query.text", QUERY.format(rng.randrange(8))),
        _text("server.address", ADDRESS.format(rng.randrange(16))),
        _int("server.port", rng.choice((5432, 6379))),
    ]


_CONTEXTS: Final = ((0, 1000), (1, 20), (2, 20))


def _id(rng: random.Random, size: int) -> bytes:
    return rng.randbytes(size - 1) + bytes([rng.randrange(1, 256)])


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _int(key: str, value: int) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(int_value=value))
