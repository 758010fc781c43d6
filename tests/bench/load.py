"""Makes OTLP trace payloads as a scoring system would send them, many and fast.

One payload is built span by span; every further one is the same bytes with its ids, times and
per-span attribute values written over in place, at offsets that were found once. So a load
generator costs far less than the server it loads.

    load = Load.build(n_spans=512, n_attributes=10, seed=1, run_id="bench-1")
    payloads = [load.payload(number) for number in range(1000)]
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

SPANS_PER_TRACE = 10
START = 1_760_000_000_000_000_000
STEP_NS = 5_000_000
"""How much later each following payload is."""

SERVICES = ("gateway", "features", "scorer", "ledger")
NAMES = ("POST /score", "features.lookup", "redis GET", "predict", "publish score", "ledger.write")
ROUTES = ("/score", "/score/batch", "/features/{id}", "/ledger")
LONG = "scoring-client/4.2 (+https://example.test/clients) batch/{} linux"

UNIQUE_TEXT = "request.id"
UNIQUE_DOUBLE = "score.value"
"""These two, and on every third span `UNIQUE_INT`, differ from span to span."""
UNIQUE_INT = "feature.age_ms"

Places = npt.NDArray[np.intp]


def make_payload(n_spans: int, n_attributes: int, seed: int, *, run_id: str | None = None) -> bytes:
    """Return one ExportTraceServiceRequest; about 310 bytes a span at 10 attributes, 810 at 16."""
    return _message(n_spans, n_attributes, seed, run_id).SerializeToString()


def _message(n_spans: int, n_attributes: int, seed: int, run_id: str | None) -> TracesData:
    rng = random.Random(seed)
    scope = ScopeSpans(scope=InstrumentationScope(name="bench.instrumentation", version="1.0.0"))
    trace_id = parent = b""
    for number in range(n_spans):
        if number % SPANS_PER_TRACE == 0:
            trace_id, parent = _id(rng, 16), b""
        span = _span(rng, number, n_attributes)
        span.trace_id, span.span_id, span.parent_span_id = trace_id, _id(rng, 8), parent
        scope.spans.append(span)
        if rng.random() < 0.6:
            parent = span.span_id
    resource = {
        "service.name": rng.choice(SERVICES),
        "service.instance.id": f"pod-{rng.randrange(8)}",
        "deployment.environment.name": "staging",
        "telemetry.sdk.language": "python",
    }
    if run_id is not None:
        resource["test.suite.run.id"] = run_id
    attributes = [_text(key, value) for key, value in resource.items()]
    return TracesData(resource_spans=[ResourceSpans(resource=Resource(attributes=attributes), scope_spans=[scope])])


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
    if rng.random() < 0.02:
        span.links.append(Span.Link(trace_id=_id(rng, 16), span_id=_id(rng, 8)))
    return span


def _attributes(rng: random.Random, number: int) -> list[KeyValue]:
    third = _int(UNIQUE_INT, _age(rng)) if number % 3 == 0 else _int("retries", rng.randrange(3))
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
        *(_text(f"http.request.header.x-context-{n}", LONG.format(rng.randrange(20))) for n in range(3)),
        _text("db.query.text", "SELECT value FROM features WHERE entity = ? AND name = ANY(?)"),
        _text("server.address", "feature-store.staging.svc.cluster.local"),
        _int("server.port", 5432),
    ]


def _age(rng: random.Random) -> int:
    return rng.randrange(1 << 28, 1 << 34)


def _id(rng: random.Random, size: int) -> bytes:
    return rng.randbytes(size - 1) + bytes([rng.randrange(1, 256)])


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _int(key: str, value: int) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(int_value=value))


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """A payload and the places in it that make it a different one."""

    template: bytes
    n_spans: int
    trace_ids: Places
    """(n_spans, 16) byte offsets; the others likewise."""
    span_ids: Places
    """(n_spans + spans with a parent, 8): own ids and references to them change alike."""
    times: Places
    texts: Places
    doubles: Places
    ints: Places

    @staticmethod
    def build(n_spans: int, n_attributes: int, seed: int, *, run_id: str | None = None) -> Load:
        """Make the first payload and find the places in it."""
        message = _message(n_spans, n_attributes, seed, run_id)
        template = message.SerializeToString()
        spans = message.resource_spans[0].scope_spans[0].spans
        finder = _Finder(template)
        for span in spans:
            finder.add(span)
        return Load(
            template,
            n_spans,
            trace_ids=finder.places("trace", 16),
            span_ids=finder.places("span", 8),
            times=finder.places("time", 8),
            texts=finder.places("text", 16),
            doubles=finder.places("double", 6),
            ints=finder.places("int", 4),
        )

    def payload(self, number: int) -> bytes:
        """Return payload `number`: ids, times and per-span values of its own, everything else shared."""
        rng = np.random.Generator(np.random.SFC64([number, len(self.template)]))
        data = np.frombuffer(self.template, np.uint8).copy()
        # The last byte of an id stays: it is never 0, so no id becomes all zero.
        data[self.trace_ids[:, :-1]] ^= rng.integers(0, 256, 15, np.uint8)
        data[self.span_ids[:, :-1]] ^= rng.integers(0, 256, 7, np.uint8)
        later = data[self.times].view("<u8") + np.uint64(number * STEP_NS)
        data[self.times] = later.view(np.uint8)
        data[self.texts] = _HEX[rng.integers(0, 16, self.texts.shape, np.uint8)]
        data[self.doubles] = rng.integers(0, 256, self.doubles.shape, np.uint8)
        data[self.ints] = rng.integers(0x80, 0x100, self.ints.shape, np.uint8)
        return data.tobytes()


_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


class _Finder:
    """Walks a payload span by span, noting where the values that are known to be in it stand."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = 0
        self._found: dict[str, list[int]] = {kind: [] for kind in ("trace", "span", "time", "text", "double", "int")}

    def add(self, span: Span) -> None:
        self._note("trace", b"\x0a\x10", span.trace_id)
        self._note("span", b"\x12\x08", span.span_id)
        if span.parent_span_id:
            self._note("span", b"\x22\x08", span.parent_span_id)
        self._note("time", b"\x39", span.start_time_unix_nano.to_bytes(8, "little"))
        self._note("time", b"\x41", span.end_time_unix_nano.to_bytes(8, "little"))
        for attribute in span.attributes:
            key, whole = attribute.key, attribute.SerializeToString()
            if key == UNIQUE_TEXT:
                self._note("text", whole[:-16], whole[-16:])
            elif key == UNIQUE_DOUBLE:
                self._note("double", whole[:-8], whole[-8:])
            elif key == UNIQUE_INT:
                self._note("int", whole[:-5], whole[-5:])

    def _note(self, kind: str, before: bytes, value: bytes) -> None:
        start = self._payload.index(before + value, self._at) + len(before)
        self._found[kind].append(start)
        self._at = start + len(value)

    def places(self, kind: str, size: int) -> Places:
        return np.array(self._found[kind], np.intp).reshape(-1, 1) + np.arange(size)
