"""Random OTLP messages, and what protobuf's own full decoding says a table of them must hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

from spanverdict.telemetry.spantable import MAX_TIME, SpanTable
from spanverdict.telemetry.vocabulary import DROPPED

TEXTS = st.one_of(st.sampled_from(["", "a", "service.name", "ü", "x" * 200]), st.text(max_size=8))
UINT32 = st.integers(0, 2**32 - 1)
TIMES = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**63 - 1, 2**63, 2**64 - 1]))


def any_values() -> st.SearchStrategy[AnyValue]:
    scalars = st.one_of(
        st.builds(AnyValue),
        st.builds(lambda v: AnyValue(string_value=v), TEXTS),
        st.builds(lambda v: AnyValue(bool_value=v), st.booleans()),
        st.builds(lambda v: AnyValue(int_value=v), st.integers(-(2**63), 2**63 - 1)),
        st.builds(lambda v: AnyValue(double_value=v), st.floats()),
        st.builds(lambda v: AnyValue(bytes_value=v), st.binary(max_size=8)),
    )
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.builds(lambda v: AnyValue(array_value=ArrayValue(values=v)), st.lists(inner, max_size=3)),
            st.builds(
                lambda v: AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=k, value=x) for k, x in v])),
                st.lists(st.tuples(TEXTS, inner), max_size=3),
            ),
        ),
        max_leaves=5,
    )


ATTRIBUTES = st.lists(st.builds(lambda k, v: KeyValue(key=k, value=v), TEXTS, any_values()), max_size=4)
TRACE_IDS = st.one_of(
    st.sampled_from([bytes(15) + b"\x01", b"\xff" * 16]), st.binary(min_size=16, max_size=16), st.binary(max_size=18)
)
SPAN_IDS = st.one_of(
    st.sampled_from([bytes(8), b"\xff" * 8, b""]), st.binary(min_size=8, max_size=8), st.binary(max_size=10)
)
GOOD_TRACE_IDS = st.binary(min_size=16, max_size=16).filter(any)
GOOD_SPAN_IDS = st.binary(min_size=8, max_size=8).filter(any)

EVENTS = st.builds(Span.Event, time_unix_nano=TIMES, name=TEXTS, attributes=ATTRIBUTES, dropped_attributes_count=UINT32)


def links(trace_ids: st.SearchStrategy[bytes], span_ids: st.SearchStrategy[bytes]) -> st.SearchStrategy[Span.Link]:
    return st.builds(
        Span.Link,
        trace_id=trace_ids,
        span_id=span_ids,
        trace_state=TEXTS,
        flags=UINT32,
        attributes=ATTRIBUTES,
        dropped_attributes_count=UINT32,
    )


def spans(
    trace_ids: st.SearchStrategy[bytes] = TRACE_IDS, span_ids: st.SearchStrategy[bytes] = SPAN_IDS
) -> st.SearchStrategy[Span]:
    """Spans as they come: most leave most fields out, as the wire format lets them."""
    optional: dict[str, st.SearchStrategy[Any]] = {
        "parent_span_id": span_ids,
        "name": TEXTS,
        "trace_state": TEXTS,
        "kind": st.one_of(st.integers(0, 5), st.sampled_from([-1, 6, 127, 128, 2**31 - 1])),
        "start_time_unix_nano": TIMES,
        "end_time_unix_nano": TIMES,
        "flags": UINT32,
        "attributes": ATTRIBUTES,
        "events": st.lists(EVENTS, max_size=2),
        "links": st.lists(links(trace_ids, span_ids), max_size=2),
        "status": st.builds(Status, code=st.sampled_from([-1, 0, 1, 2, 3]), message=TEXTS),
        "dropped_attributes_count": UINT32,
        "dropped_events_count": UINT32,
        "dropped_links_count": UINT32,
    }
    return st.fixed_dictionaries({"trace_id": trace_ids, "span_id": span_ids}, optional=optional).map(
        lambda fields: Span(**fields)
    )


def requests(one_span: st.SearchStrategy[Span] | None = None, max_spans: int = 6) -> st.SearchStrategy[TracesData]:
    scope = st.builds(
        InstrumentationScope, name=TEXTS, version=TEXTS, attributes=ATTRIBUTES, dropped_attributes_count=UINT32
    )
    scope_spans = st.builds(
        ScopeSpans,
        scope=st.none() | scope,
        spans=st.lists(one_span if one_span is not None else spans(), max_size=max_spans),
        schema_url=TEXTS,
    )
    resource_spans = st.builds(
        ResourceSpans,
        resource=st.none() | st.builds(Resource, attributes=ATTRIBUTES, dropped_attributes_count=UINT32),
        scope_spans=st.lists(scope_spans, max_size=2),
        schema_url=TEXTS,
    )
    return st.builds(TracesData, resource_spans=st.lists(resource_spans, max_size=2))


# What full decoding says


def expected_value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return ("array", [expected_value(item) for item in value.array_value.values])
    if kind == "kvlist_value":
        return ("pairs", {item.key: expected_value(item.value) for item in value.kvlist_value.values})
    return comparable(None if kind is None or kind == "string_value_strindex" else getattr(value, kind))


def comparable(value: Any) -> Any:
    """Tell apart what Python holds equal (1, 1.0, True), and NaNs not from themselves."""
    if isinstance(value, Mapping):
        return ("pairs", {key: comparable(item) for key, item in value.items()})
    if isinstance(value, tuple):
        return ("array", [comparable(item) for item in value])
    if isinstance(value, float) and math.isnan(value):
        return ("float", "nan")
    if isinstance(value, float):
        return ("float", value.hex())
    return (type(value).__name__, value)


def expected_attributes(owner: Any) -> list[Any]:
    found = [(item.key, expected_value(item.value)) for item in owner.attributes]
    left_out = 0 if isinstance(owner, Span) else owner.dropped_attributes_count
    return [*found, *([(DROPPED, comparable(left_out))] if left_out else [])]


def is_acceptable(span: Span) -> bool:
    if len(span.trace_id) != 16 or not any(span.trace_id) or len(span.span_id) != 8 or not any(span.span_id):
        return False
    if len(span.parent_span_id) not in (0, 8):
        return False
    return all(len(link.trace_id) in (0, 16) and len(link.span_id) in (0, 8) for link in span.links)


def expected_rows(request: TracesData) -> list[dict[str, Any]]:
    return [
        expected_row(resource_spans.resource, scope_spans.scope, span)
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
        if is_acceptable(span)
    ]


def expected_row(resource: Resource, scope: InstrumentationScope, span: Span) -> dict[str, Any]:
    return {
        "resource": expected_attributes(resource),
        "scope": (scope.name, scope.version, expected_attributes(scope)),
        "trace_id": span.trace_id.hex(),
        "span_id": int.from_bytes(span.span_id, "big"),
        "parent": int.from_bytes(span.parent_span_id, "big"),
        "name": span.name,
        "trace_state": span.trace_state,
        "kind": span.kind if 0 <= span.kind <= 5 else 0,
        "status": (span.status.code if 0 <= span.status.code <= 2 else 0, span.status.message),
        "times": (min(span.start_time_unix_nano, MAX_TIME), min(span.end_time_unix_nano, MAX_TIME)),
        "flags": span.flags,
        "dropped": (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count),
        "attributes": expected_attributes(span),
        "events": [
            (min(event.time_unix_nano, MAX_TIME), event.name, expected_attributes(event)) for event in span.events
        ],
        "links": [
            (
                link.trace_id.hex() or "0" * 32,
                int.from_bytes(link.span_id, "big"),
                link.trace_state,
                link.flags,
                expected_attributes(link),
            )
            for link in span.links
        ],
    }


def table_rows(table: SpanTable) -> list[dict[str, Any]]:
    return [table_row(table, row) for row in range(len(table))]


def table_row(table: SpanTable, row: int) -> dict[str, Any]:
    pool, events, links = table.pool, table.events, table.links
    scope = int(table.scope[row])

    def attributes(numbers: Any) -> list[Any]:
        pairs = [pool.attribute(int(number)) for number in numbers]
        return [(key, comparable(value)) for key, value in pairs]

    return {
        "resource": attributes(pool.resource_attributes[table.resource[row]]),
        "scope": (*map(pool.string, pool.scope_names[scope]), attributes(pool.scope_attributes[scope])),
        "trace_id": pool.trace_hex(int(table.trace[row])),
        "span_id": int(table.span_id[row]),
        "parent": int(table.parent_span_id[row]),
        "name": pool.string(table.name[row]),
        "trace_state": pool.string(table.trace_state[row]),
        "kind": int(table.kind[row]),
        "status": (int(table.status_code[row]), pool.string(table.status_message[row])),
        "times": (int(table.start_time_unix_nano[row]), int(table.end_time_unix_nano[row])),
        "flags": int(table.flags[row]),
        "dropped": (
            int(table.dropped_attributes[row]),
            int(table.dropped_events[row]),
            int(table.dropped_links[row]),
        ),
        "attributes": attributes(table.attributes.row(row)),
        "events": [
            (
                int(events.time_unix_nano[event]),
                pool.string(events.name[event]),
                attributes(events.attributes.row(event)),
            )
            for event in range(events.offsets[row], events.offsets[row + 1])
        ],
        "links": [
            (
                pool.trace_hex(int(links.trace[link])),
                int(links.span_id[link]),
                pool.string(links.trace_state[link]),
                int(links.flags[link]),
                attributes(links.attributes.row(link)),
            )
            for link in range(links.offsets[row], links.offsets[row + 1])
        ],
    }


def good_span(**fields: Any) -> Span:
    return Span(**{"trace_id": b"T" * 16, "span_id": b"S" * 8, "name": "n", **fields})


def request_of(*given: Span, **resource: str) -> TracesData:
    attributes = [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in resource.items()]
    return TracesData(
        resource_spans=[ResourceSpans(resource=Resource(attributes=attributes), scope_spans=[ScopeSpans(spans=given)])]
    )
