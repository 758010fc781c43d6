"""Binary OTLP to OTLP/JSON, one line a request, as the Collector's file exporter writes."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.message import DecodeError

from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.shallow_pb2 import (
    Event,
    LevelAnyValue,
    LevelKeyValue,
    Link,
    Resource,
    ResourceSpans,
    Scope,
    ScopeSpans,
    Span,
    Status,
    TracesData,
)
from spanverdict.otlp.values import MAX_DEPTH


def protobuf_to_json(payload: bytes) -> str:
    """Turn a binary TracesData or ExportTraceServiceRequest into one line of OTLP/JSON.

    Fields that hold their default are left out; 64-bit integers are strings. Nothing is left out or
    replaced to make it fit.

    Raises:
        Undecodable: some part is malformed, not UTF-8, or nested too deep for JSON's readers.
    """
    try:
        request = TracesData.FromString(payload)
        spans = [_resource_spans(item) for item in request.resource_spans]
    except DecodeError:
        raise Undecodable("a part of the request is not a readable message") from None
    except UnicodeDecodeError:
        raise Undecodable("a text of the request is not UTF-8") from None
    return json.dumps({"resourceSpans": spans}, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


_Json = dict[str, Any]


def _resource_spans(message: ResourceSpans) -> _Json:
    resource = Resource.FromString(b"".join(message.resource))
    return {
        "resource": _filled(
            attributes=_attributes(resource.attributes),
            droppedAttributesCount=resource.dropped_attributes_count,
        ),
        "scopeSpans": [_scope_spans(item) for item in message.scope_spans],
        **_filled(schemaUrl=message.schema_url.decode()),
    }


def _scope_spans(message: ScopeSpans) -> _Json:
    scope = Scope.FromString(b"".join(message.scope))
    return {
        "scope": _filled(
            name=scope.name.decode(),
            version=scope.version.decode(),
            attributes=_attributes(scope.attributes),
            droppedAttributesCount=scope.dropped_attributes_count,
        ),
        "spans": [_span(Span.FromString(item)) for item in message.spans],
        **_filled(schemaUrl=message.schema_url.decode()),
    }


def _span(span: Span) -> _Json:
    status = Status.FromString(b"".join(span.status))
    return {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        **_filled(traceState=span.trace_state.decode(), parentSpanId=span.parent_span_id.hex(), flags=span.flags),
        "name": span.name.decode(),
        **_filled(kind=span.kind),
        "startTimeUnixNano": str(span.start_time_unix_nano),
        "endTimeUnixNano": str(span.end_time_unix_nano),
        **_filled(
            attributes=_attributes(span.attributes),
            droppedAttributesCount=span.dropped_attributes_count,
            events=[_event(Event.FromString(item)) for item in span.events],
            droppedEventsCount=span.dropped_events_count,
            links=[_link(Link.FromString(item)) for item in span.links],
            droppedLinksCount=span.dropped_links_count,
        ),
        "status": _filled(message=status.message.decode(), code=status.code),
    }


def _event(event: Event) -> _Json:
    return {
        "timeUnixNano": str(event.time_unix_nano),
        **_filled(
            name=event.name.decode(),
            attributes=_attributes(event.attributes),
            droppedAttributesCount=event.dropped_attributes_count,
        ),
    }


def _link(link: Link) -> _Json:
    return {
        "traceId": link.trace_id.hex(),
        "spanId": link.span_id.hex(),
        **_filled(
            traceState=link.trace_state.decode(),
            attributes=_attributes(link.attributes),
            droppedAttributesCount=link.dropped_attributes_count,
            flags=link.flags,
        ),
    }


def _filled(**fields: object) -> _Json:
    return {name: item for name, item in fields.items() if item}


def _attributes(items: Iterable[bytes], depth: int = 1) -> list[_Json]:
    return [_attribute(LevelKeyValue.FromString(item), depth) for item in items]


def _attribute(attribute: LevelKeyValue, depth: int) -> _Json:
    return {"key": attribute.key, "value": _value(attribute.value, depth)}


def _value(data: bytes, depth: int) -> _Json:
    if depth > MAX_DEPTH:
        raise Undecodable(f"an attribute value is nested more than {MAX_DEPTH} deep")
    value = LevelAnyValue.FromString(data)
    match value.WhichOneof("value"):
        case "string_value":
            return {"stringValue": value.string_value}
        case "bool_value":
            return {"boolValue": value.bool_value}
        case "int_value":
            return {"intValue": str(value.int_value)}
        case "double_value":
            return {"doubleValue": _double(value.double_value)}
        case "bytes_value":
            return {"bytesValue": base64.b64encode(value.bytes_value).decode()}
        case "array_value":
            return {"arrayValue": {"values": [_value(item, depth + 1) for item in value.array_value.items]}}
        case "kvlist_value":
            return {"kvlistValue": {"values": _attributes(value.kvlist_value.items, depth + 1)}}
        case _:
            return {}


def _double(number: float) -> float | str:
    return number if math.isfinite(number) else _NAMES.get(number, "NaN")


_NAMES: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}
