"""OTLP/JSON to binary OTLP; the way back is in `jsonexport`.

OTLP/JSON is proto3's JSON mapping with differences (ids in hex, enums as integers only, camelCase
keys only), so protobuf's own JSON reader does not fit: it would take ids for base64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.jsonexport import protobuf_to_json
from spanverdict.otlp.jsonscalars import (
    Wrong,
    read_bool,
    read_bytes,
    read_double,
    read_id,
    read_int32,
    read_int64,
    read_text,
    read_uint32,
    read_uint64,
)
from spanverdict.otlp.jsontext import parse_json
from spanverdict.otlp.shallow_pb2 import (
    Event,
    Items,
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
from spanverdict.telemetry.vocabulary import SpanKind, StatusCode

__all__ = ["Converted", "convert", "json_to_protobuf", "protobuf_to_json"]


@dataclass(frozen=True, slots=True)
class Converted:
    """An OTLP/JSON request as binary OTLP."""

    payload: bytes
    warnings: tuple[str, ...]
    """What was accepted although it is not allowed, once a kind."""


def json_to_protobuf(text: bytes, *, lenient_enums: bool = False, allow_nul: bool = False) -> Converted:
    """Turn an OTLP/JSON ExportTraceServiceRequest into the binary one.

    Strict: keys in lowerCamelCase (others are unknown and skipped), ids in hex, enums as integers.
    An id of a wrong length is kept, so that decoding rejects its span alone. `lenient_enums` accepts
    enum names, with a warning; `allow_nul` the escape for U+0000.

    Raises:
        Undecodable: not OTLP/JSON, with the place where it is known.
    """
    return convert(parse_json(text, allow_nul=allow_nul), lenient_enums=lenient_enums)


def convert(document: object, *, lenient_enums: bool = False) -> Converted:
    """Turn a parsed OTLP/JSON request into the binary one, as `json_to_protobuf` does."""
    reading = _Reading(lenient_enums)
    try:
        payload: bytes = _read_request(document, reading).SerializeToString()
    except Wrong as wrong:
        raise Undecodable(str(wrong)) from None
    return Converted(payload, tuple(reading.warnings))


@dataclass(slots=True)
class _Reading:
    """What one conversion allows, and what it met."""

    lenient_enums: bool
    warnings: list[str] = field(default_factory=list)
    depth: int = 0
    """How many attribute values stand around the one that is read."""


_Reader: TypeAlias = Callable[[Any, _Reading], Any]
_Fields: TypeAlias = Mapping[str, tuple[str, _Reader]]


def _scalar(read: Callable[[object], object]) -> _Reader:
    return lambda item, _: read(item)


def _list(read: _Reader) -> _Reader:
    def read_items(items: object, reading: _Reading) -> list[Any]:
        if not isinstance(items, list):
            raise Wrong("must be an array")
        found = []
        for place, item in enumerate(items):
            try:
                found.append(read({} if item is None else item, reading))
            except Wrong as wrong:
                raise wrong.inside(f"[{place}]") from None
        return found

    return read_items


def _message(kind: Callable[..., Any], fields: _Fields) -> _Reader:
    """Return a reader of objects with these fields; others are skipped, and null is the default."""

    def read_fields(item: object, reading: _Reading) -> Any:
        if not isinstance(item, dict):
            raise Wrong("must be an object")
        found = {}
        for key, (name, read) in fields.items():
            value = item.get(key)
            if value is not None:
                try:
                    found[name] = read(value, reading)
                except Wrong as wrong:
                    raise wrong.inside(f".{key}") from None
        return kind(**found)

    return read_fields


def _serialised(read: _Reader) -> _Reader:
    return lambda item, reading: read(item, reading).SerializeToString()


def _once(read: _Reader) -> _Reader:
    """For fields that the shallow schema calls repeated though they come once."""
    return lambda item, reading: [read(item, reading).SerializeToString()]


def _enum(names: Mapping[str, int]) -> _Reader:
    def read_number(item: object, reading: _Reading) -> int:
        if isinstance(item, str):
            if reading.lenient_enums and item in names:
                warning = "enum names are not allowed in OTLP/JSON, send integers"
                if warning not in reading.warnings:
                    reading.warnings.append(warning)
                return names[item]
            raise Wrong("must be an integer: enum names are not allowed in OTLP/JSON")
        return read_int32(item)

    return read_number


def _read_any_value(item: object, reading: _Reading) -> LevelAnyValue:
    if isinstance(item, dict) and sum(item.get(key) is not None for key in _ANY_VALUE) > 1:
        raise Wrong("has more than one value")
    if reading.depth > MAX_DEPTH:
        return LevelAnyValue()  # too deep already: decoding will reject the span, whatever else is in there
    reading.depth += 1
    try:
        value: LevelAnyValue = _message(LevelAnyValue, _ANY_VALUE)(item, reading)
    finally:
        reading.depth -= 1
    return value


_KEY_VALUE: Final[_Fields] = {
    "key": ("key", _scalar(read_text)),
    "value": ("value", _serialised(_read_any_value)),
}
_ATTRIBUTES: Final = _list(_serialised(_message(LevelKeyValue, _KEY_VALUE)))
_ANY_VALUE: Final[_Fields] = {
    "stringValue": ("string_value", _scalar(read_text)),
    "boolValue": ("bool_value", _scalar(read_bool)),
    "intValue": ("int_value", _scalar(read_int64)),
    "doubleValue": ("double_value", _scalar(read_double)),
    "arrayValue": ("array_value", _message(Items, {"values": ("items", _list(_serialised(_read_any_value)))})),
    "kvlistValue": ("kvlist_value", _message(Items, {"values": ("items", _ATTRIBUTES)})),
    "bytesValue": ("bytes_value", _scalar(read_bytes)),
}
_TEXT: Final = _scalar(lambda item: read_text(item).encode())
_ID: Final = _scalar(read_id)
_TIME: Final = _scalar(read_uint64)
_COUNT: Final = _scalar(read_uint32)

_EVENT: Final[_Fields] = {
    "timeUnixNano": ("time_unix_nano", _TIME),
    "name": ("name", _TEXT),
    "attributes": ("attributes", _ATTRIBUTES),
    "droppedAttributesCount": ("dropped_attributes_count", _COUNT),
}
_LINK: Final[_Fields] = {
    "traceId": ("trace_id", _ID),
    "spanId": ("span_id", _ID),
    "traceState": ("trace_state", _TEXT),
    "attributes": ("attributes", _ATTRIBUTES),
    "droppedAttributesCount": ("dropped_attributes_count", _COUNT),
    "flags": ("flags", _COUNT),
}
_STATUS: Final[_Fields] = {
    "message": ("message", _TEXT),
    "code": ("code", _enum({f"STATUS_CODE_{code.name}": code for code in StatusCode})),
}
_SPAN: Final[_Fields] = {
    "traceId": ("trace_id", _ID),
    "spanId": ("span_id", _ID),
    "traceState": ("trace_state", _TEXT),
    "parentSpanId": ("parent_span_id", _ID),
    "name": ("name", _TEXT),
    "kind": ("kind", _enum({f"SPAN_KIND_{kind.name}": kind for kind in SpanKind})),
    "startTimeUnixNano": ("start_time_unix_nano", _TIME),
    "endTimeUnixNano": ("end_time_unix_nano", _TIME),
    "attributes": ("attributes", _ATTRIBUTES),
    "droppedAttributesCount": ("dropped_attributes_count", _COUNT),
    "events": ("events", _list(_serialised(_message(Event, _EVENT)))),
    "droppedEventsCount": ("dropped_events_count", _COUNT),
    "links": ("links", _list(_serialised(_message(Link, _LINK)))),
    "droppedLinksCount": ("dropped_links_count", _COUNT),
    "status": ("status", _once(_message(Status, _STATUS))),
    "flags": ("flags", _COUNT),
}
_SCOPE: Final[_Fields] = {
    "name": ("name", _TEXT),
    "version": ("version", _TEXT),
    "attributes": ("attributes", _ATTRIBUTES),
    "droppedAttributesCount": ("dropped_attributes_count", _COUNT),
}
_SCOPE_SPANS: Final[_Fields] = {
    "scope": ("scope", _once(_message(Scope, _SCOPE))),
    "spans": ("spans", _list(_serialised(_message(Span, _SPAN)))),
    "schemaUrl": ("schema_url", _TEXT),
}
_RESOURCE: Final[_Fields] = {
    "attributes": ("attributes", _ATTRIBUTES),
    "droppedAttributesCount": ("dropped_attributes_count", _COUNT),
}
_RESOURCE_SPANS: Final[_Fields] = {
    "resource": ("resource", _once(_message(Resource, _RESOURCE))),
    "scopeSpans": ("scope_spans", _list(_message(ScopeSpans, _SCOPE_SPANS))),
    "schemaUrl": ("schema_url", _TEXT),
}
_read_request: Final = _message(
    TracesData, {"resourceSpans": ("resource_spans", _list(_message(ResourceSpans, _RESOURCE_SPANS)))}
)
