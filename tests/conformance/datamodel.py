"""Items 32 to 41: what spans may hold."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from conformance.item import ALL, BINARY, Item, Level, require, require_success
from conformance.lab import Case
from receiver.sinks import trace_request

UNKNOWN_FIELD = b"\xfa\x7f\x01x"
NAMES = ["span 1", "span 2", "span 3", "span 4"]


def _request() -> ExportTraceServiceRequest:
    request = trace_request(len(NAMES))
    for span, name in zip(_spans(request), NAMES, strict=True):
        span.name = name
    return request


def _spans(request: ExportTraceServiceRequest) -> list[Span]:
    return list(request.resource_spans[0].scope_spans[0].spans)


def _taken(case: Case, change: Callable[[Span], object], what: str) -> None:
    """Require that a request is taken whole of which one span is changed."""
    request = _request()
    change(_spans(request)[1])
    case.lab.begin()
    require_success(case.connect().export(request), f"a span with {what}")
    require(case.kept() in (None, NAMES), f"a span with {what} was not kept")


def invalid_ids(case: Case) -> None:
    """Spans with missing, short or zero ids are rejected one by one, and the others kept."""
    for field, values in (("trace_id", (b"", bytes(15), bytes(16))), ("span_id", (b"", bytes(7), bytes(8)))):
        for value in values:
            request = _request()
            setattr(_spans(request)[1], field, value)
            case.lab.begin()
            answer = case.connect().export(request)
            what = f"a {field} of {len(value)} zero bytes"
            require(answer.ok, f"for {what} the whole request was refused with {answer.code}")
            require(answer.rejected == 1, f"a span with {what} was taken")
            require(case.kept() in (None, [*NAMES[:1], *NAMES[2:]]), f"beside {what} not all others were kept")


def names_that_are_no_text(case: Case) -> None:
    """A span whose name is not UTF-8 is rejected alone, and the others kept."""
    body = _request().SerializeToString().replace(b"span 2", b"span\xff2")
    answer = case.connect().send(body)
    require(answer.ok, f"the whole request was refused with {answer.code}")
    require(answer.rejected == 1, "it was taken")
    require(case.kept() in (None, [*NAMES[:1], *NAMES[2:]]), "not all others were kept")


def roots(case: Case) -> None:
    """A span without a parent is a root."""
    _taken(case, lambda span: setattr(span, "parent_span_id", b""), "no parent")
    _taken(case, lambda span: setattr(span, "parent_span_id", b"p" * 8), "a parent")


def flags(case: Case) -> None:
    """Flags may have bits that have no meaning yet."""
    for bits in (0x1, 0x100, 0x300, 0x8000_0000, 0xFFFF_FFFF):
        _taken(case, lambda span, bits=bits: setattr(span, "flags", bits), f"flags {bits:#x}")


VALUES = {
    "an empty value": AnyValue(),
    "bytes": AnyValue(bytes_value=b"\0\xff"),
    "an array of several kinds": AnyValue(
        array_value=ArrayValue(values=[AnyValue(string_value="x"), AnyValue(int_value=1), AnyValue()])
    ),
    "an empty array": AnyValue(array_value=ArrayValue()),
    "a map": AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="k", value=AnyValue(double_value=0.5))])),
    "a map in an array": AnyValue(array_value=ArrayValue(values=[AnyValue(kvlist_value=KeyValueList())])),
}


def attribute_values(case: Case) -> None:
    """Attributes may be empty, bytes, arrays of several kinds, and maps."""
    for what, value in VALUES.items():
        _taken(case, lambda span, value=value: span.attributes.add(key="k").value.CopyFrom(value), what)


def kinds(case: Case) -> None:
    """A span without a kind is taken."""
    _taken(case, lambda span: setattr(span, "kind", 0), "no kind")


def unknown_fields(case: Case) -> None:
    """Unknown fields are ignored in requests, spans and attributes."""
    request = _request()
    span = _spans(request)[1]
    span.attributes.add(key="k").MergeFromString(UNKNOWN_FIELD)
    span.MergeFromString(UNKNOWN_FIELD)
    request.MergeFromString(UNKNOWN_FIELD)
    require_success(case.connect().send(request.SerializeToString()), "a request of a later version")
    require(case.kept() in (None, NAMES), "not all spans were kept")


def ends_before_starts(case: Case) -> None:
    """A span that ends before it starts is kept."""
    _taken(case, lambda span: setattr(span, "end_time_unix_nano", 0), "an end before its start")


def resends(case: Case) -> None:
    """A request that is sent again is taken again."""
    wire = case.connect()
    for _ in range(3):
        require_success(wire.export(_request()), "a request that was sent before")


def keys_twice(case: Case) -> None:
    """A span with an attribute key that stands twice is kept."""

    def twice(span: Span) -> None:
        span.attributes.add(key="k").value.int_value = 1
        span.attributes.add(key="k").value.string_value = "x"

    _taken(case, twice, "a key that stands twice")


def dropped_counts(case: Case) -> None:
    """Counts of what the client dropped are taken."""
    for field in ("dropped_attributes_count", "dropped_events_count", "dropped_links_count"):
        _taken(case, lambda span, field=field: setattr(span, field, 2**32 - 1), field)
    lost = {"dropped_attributes_count": 2**32 - 1}
    _taken(case, lambda span: span.events.add(name="e", **lost), "an event that lost attributes")
    _taken(case, lambda span: span.links.add(trace_id=b"t" * 16, span_id=b"s" * 8, **lost), "a link that lost some")
    request = _request()
    request.resource_spans[0].resource.dropped_attributes_count = 2**32 - 1
    request.resource_spans[0].scope_spans[0].scope.dropped_attributes_count = 2**32 - 1
    case.lab.begin()
    require_success(case.connect().export(request), "a resource and a scope that lost attributes")
    require(case.kept() in (None, NAMES), "spans of a resource that lost attributes were not kept")


ITEMS = (
    Item("32", Level.SHOULD, ALL, invalid_ids),
    Item("32", Level.OURS, BINARY, names_that_are_no_text),
    Item("33", Level.MUST, ALL, roots),
    Item("34", Level.MUST, ALL, flags),
    Item("35", Level.MUST, ALL, attribute_values),
    Item("36", Level.MAY, ALL, kinds),
    Item("37", Level.MUST, BINARY, unknown_fields),
    Item("38", Level.SHOULD, ALL, ends_before_starts),
    Item("39", Level.SHOULD, ALL, resends),
    Item("40", Level.SHOULD, ALL, keys_twice),
    Item("41", Level.SHOULD, ALL, dropped_counts),
)
