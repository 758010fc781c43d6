"""Builds small span tables from plain dictionaries, without any wire format in between.

    table = table_of(
        [
            dict(trace="a", id=1, name="root", kind="server", start=0, end=100, attributes={"http.route": "/"}),
            dict(trace="a", id=2, parent=1, resource={"service.name": "scorer"}, status="error"),
            dict(trace="b", id=3, links=[dict(trace="a", id=1)], events=[dict(name="retry", time=5)]),
        ]
    )

Every key but `trace` and `id` may be left out. Trace ids are 32 hex digits or any short name, which
is hashed; span ids are integers or 16 hex digits. An `int` attribute is an OTLP int, a `float` a
double, lists and tuples arrays, mappings key-value lists, None an empty value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from spanverdict.telemetry.pool import Pool, Value
from spanverdict.telemetry.ragged import ragged
from spanverdict.telemetry.spantable import Events, Links, Ragged, SpanTable
from spanverdict.telemetry.vocabulary import SpanKind, StatusCode

Row = Mapping[str, Any]
DEFAULT_DURATION = 10


def encode_value(value: Any) -> AnyValue:
    match value:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case Mapping():
            pairs = [KeyValue(key=key, value=encode_value(item)) for key, item in value.items()]
            return AnyValue(kvlist_value=KeyValueList(values=pairs))
        case _:
            return AnyValue(array_value=ArrayValue(values=[encode_value(item) for item in value]))


def decode_value(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return tuple(decode_value(item) for item in value.array_value.values)
    if kind == "kvlist_value":
        return {pair.key: decode_value(pair.value) for pair in value.kvlist_value.values}
    plain: Value = getattr(value, kind)
    return plain


def decode_attribute(data: bytes) -> tuple[str, Value]:
    pair = KeyValue.FromString(data)
    return pair.key, decode_value(pair.value)


def encode_attribute(key: str, value: Any) -> bytes:
    return KeyValue(key=key, value=encode_value(value)).SerializeToString(deterministic=True)


def trace_bytes(name: str | bytes) -> bytes:
    """Return a 16-byte trace id; the same name always gives the same id."""
    if isinstance(name, bytes):
        return name
    if len(name) == 32:
        return bytes.fromhex(name)
    return hashlib.md5(name.encode(), usedforsecurity=False).digest()


def span_number(name: str | int) -> int:
    return int(name, 16) if isinstance(name, str) else name


def new_pool() -> Pool:
    return Pool(decode_attribute)


def attribute_ids(pool: Pool, attributes: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> tuple[int, ...]:
    """Intern attributes; a list of pairs may repeat a key."""
    pairs = attributes.items() if isinstance(attributes, Mapping) else attributes
    return tuple(pool.attributes[encode_attribute(key, value)] for key, value in pairs)


def _resource(pool: Pool, attributes: Mapping[str, Any]) -> int:
    pairs = [KeyValue(key=key, value=encode_value(value)) for key, value in attributes.items()]
    number = pool.resources[Resource(attributes=pairs).SerializeToString(deterministic=True)]
    if number == len(pool.resource_attributes):
        pool.resource_attributes.append(attribute_ids(pool, attributes))
    return number


def _scope(pool: Pool, scope: Mapping[str, Any]) -> int:
    attributes = scope.get("attributes", {})
    name, version = scope.get("name", ""), scope.get("version", "")
    pairs = [KeyValue(key=key, value=encode_value(value)) for key, value in attributes.items()]
    message = InstrumentationScope(name=name, version=version, attributes=pairs)
    number = pool.scopes[message.SerializeToString(deterministic=True)]
    if number == len(pool.scope_attributes):
        pool.scope_attributes.append(attribute_ids(pool, attributes))
        pool.scope_names.append((pool.strings[name.encode()], pool.strings[version.encode()]))
    return number


def _kind(row: Row) -> int:
    kind = row.get("kind", SpanKind.INTERNAL)
    return int(SpanKind[kind.upper()] if isinstance(kind, str) else kind)


def _status(row: Row) -> int:
    status = row.get("status", StatusCode.UNSET)
    return int(StatusCode[status.upper()] if isinstance(status, str) else status)


def _end(row: Row) -> int:
    return int(row.get("end", row.get("start", 0) + row.get("duration", DEFAULT_DURATION)))


def _offsets(lists: Sequence[Sequence[Row]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.cumsum([0, *map(len, lists)]).astype(np.int64)


def _attributes(pool: Pool, rows: Iterable[Row]) -> Ragged:
    return ragged([attribute_ids(pool, row.get("attributes", {})) for row in rows])


def _events(pool: Pool, rows: Sequence[Row]) -> Events:
    lists = [row.get("events", ()) for row in rows]
    events = [event for each in lists for event in each]
    return Events(
        offsets=_offsets(lists),
        time_unix_nano=np.array([event.get("time", 0) for event in events], np.int64),
        name=np.array([pool.strings[event.get("name", "").encode()] for event in events], np.int32),
        attributes=_attributes(pool, events),
    )


def _links(pool: Pool, rows: Sequence[Row]) -> Links:
    lists = [row.get("links", ()) for row in rows]
    links = [link for each in lists for link in each]
    return Links(
        offsets=_offsets(lists),
        trace=np.array([pool.traces[trace_bytes(link["trace"])] for link in links], np.int32),
        span_id=np.array([span_number(link["id"]) for link in links], np.uint64),
        trace_state=np.array([pool.strings[link.get("trace_state", "").encode()] for link in links], np.int32),
        flags=np.array([link.get("flags", 0) for link in links], np.uint32),
        attributes=_attributes(pool, links),
    )


def table_of(rows: Sequence[Row], pool: Pool | None = None) -> SpanTable:
    """Build a table with one span a row, in the order given."""
    pool = pool or new_pool()

    def strings(key: str, default: str = "") -> np.ndarray[Any, np.dtype[np.int32]]:
        return np.array([pool.strings[row.get(key, default).encode()] for row in rows], np.int32)

    def counts(key: str) -> np.ndarray[Any, np.dtype[np.uint32]]:
        return np.array([row.get(key, 0) for row in rows], np.uint32)

    return SpanTable(
        pool=pool,
        trace=np.array([pool.traces[trace_bytes(row["trace"])] for row in rows], np.int32),
        span_id=np.array([span_number(row["id"]) for row in rows], np.uint64),
        parent_span_id=np.array([span_number(row.get("parent", 0)) for row in rows], np.uint64),
        resource=np.array([_resource(pool, row.get("resource", {})) for row in rows], np.int32),
        scope=np.array([_scope(pool, row.get("scope", {})) for row in rows], np.int32),
        name=strings("name", "span"),
        kind=np.array([_kind(row) for row in rows], np.int8),
        status_code=np.array([_status(row) for row in rows], np.int8),
        status_message=strings("status_message"),
        trace_state=strings("trace_state"),
        flags=counts("flags"),
        start_time_unix_nano=np.array([row.get("start", 0) for row in rows], np.int64),
        end_time_unix_nano=np.array([_end(row) for row in rows], np.int64),
        dropped_attributes=counts("dropped_attributes"),
        dropped_events=counts("dropped_events"),
        dropped_links=counts("dropped_links"),
        attributes=_attributes(pool, rows),
        events=_events(pool, rows),
        links=_links(pool, rows),
    )
