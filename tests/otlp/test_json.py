"""OTLP/JSON in and out: items 25 to 31 of OTLP's requirements, and the way there and back."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from otlp.messages import expected_rows, good_span, request_of, requests, table_rows
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.json import json_to_protobuf, protobuf_to_json
from spanverdict.otlp.values import encode_attribute


def span_json(**fields: Any) -> dict[str, Any]:
    return {"traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174", "name": "n", **fields}


def request_json(*spans: dict[str, Any]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}).encode()


def read_span(**fields: Any) -> Span:
    payload = json_to_protobuf(request_json(span_json(**fields))).payload
    return TracesData.FromString(payload).resource_spans[0].scope_spans[0].spans[0]


def read_value(**value: Any) -> AnyValue:
    return read_span(attributes=[{"key": "k", "value": value}]).attributes[0].value


def refused(**fields: Any) -> str:
    with pytest.raises(Undecodable) as error:
        read_span(**fields)
    return str(error.value)


@given(requests())
@settings(max_examples=150, deadline=None)
def test_to_json_and_back_is_the_same_request(message: TracesData) -> None:
    text = protobuf_to_json(message.SerializeToString())
    assert "\n" not in text
    back = json_to_protobuf(text.encode(), allow_nul=True)
    assert back.warnings == ()
    read = decode(back.payload, new_pool())
    assert table_rows(read.table) == expected_rows(message)
    assert read.rejected == decode(message.SerializeToString(), new_pool()).rejected


def test_the_whole_of_a_request_is_read() -> None:
    text = b"""{"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}],
        "droppedAttributesCount": 1}, "schemaUrl": "https://example.test/r", "scopeSpans": [{"scope": {"name": "lib",
        "version": "2", "attributes": [{"key": "a", "value": {"boolValue": true}}], "droppedAttributesCount": 2},
        "schemaUrl": "https://example.test/s", "spans": [{
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "parentSpanId": "eee19b7ec3c1b173",
        "traceState": "a=b", "flags": 257, "name": "I'm a server span", "kind": 2, "startTimeUnixNano":
        "1544712660000000000", "endTimeUnixNano": 1544712661000000000, "attributes": [{"key": "my.span.attr", "value":
        {"stringValue": "some value"}}], "droppedAttributesCount": 3, "droppedEventsCount": 4, "droppedLinksCount": 5,
        "events": [{"timeUnixNano": "7", "name": "e", "attributes": [], "droppedAttributesCount": 6}],
        "links": [{"traceId": "5b8efff798038103d269b633813fc60d", "spanId": "eee19b7ec3c1b175", "traceState": "c=d",
        "flags": 1, "attributes": [{"key": "l", "value": {"intValue": "1"}}], "droppedAttributesCount": 7}],
        "status": {"code": 2, "message": "oh"}}]}]}]}"""
    expected = TracesData()
    resource_spans = expected.resource_spans.add(schema_url="https://example.test/r")
    resource_spans.resource.attributes.add(key="service.name", value=AnyValue(string_value="s"))
    resource_spans.resource.dropped_attributes_count = 1
    scope_spans = resource_spans.scope_spans.add(schema_url="https://example.test/s")
    scope_spans.scope.MergeFrom(type(scope_spans.scope)(name="lib", version="2", dropped_attributes_count=2))
    scope_spans.scope.attributes.add(key="a", value=AnyValue(bool_value=True))
    span = scope_spans.spans.add(
        trace_id=bytes.fromhex("5b8efff798038103d269b633813fc60c"),
        span_id=bytes.fromhex("eee19b7ec3c1b174"),
        parent_span_id=bytes.fromhex("eee19b7ec3c1b173"),
        trace_state="a=b",
        flags=257,
        name="I'm a server span",
        kind=2,
        start_time_unix_nano=1544712660000000000,
        end_time_unix_nano=1544712661000000000,
        dropped_attributes_count=3,
        dropped_events_count=4,
        dropped_links_count=5,
    )
    span.attributes.add(key="my.span.attr", value=AnyValue(string_value="some value"))
    span.events.add(time_unix_nano=7, name="e", dropped_attributes_count=6)
    link = span.links.add(
        trace_id=bytes.fromhex("5b8efff798038103d269b633813fc60d"),
        span_id=bytes.fromhex("eee19b7ec3c1b175"),
        trace_state="c=d",
        flags=1,
        dropped_attributes_count=7,
    )
    link.attributes.add(key="l", value=AnyValue(int_value=1))
    span.status.code, span.status.message = 2, "oh"
    assert TracesData.FromString(json_to_protobuf(text).payload) == expected


@pytest.mark.parametrize("text", [b"{}", b' { "resourceSpans" : [] } ', b'{"resourceSpans": null}', b'{"other": 1}'])
def test_an_empty_request_is_an_empty_payload(text: bytes) -> None:
    assert json_to_protobuf(text).payload == b""


# 25


@pytest.mark.parametrize("text", ["5b8efff798038103d269b633813fc60c", "5B8EFFF798038103D269B633813FC60C"])
def test_item_25_ids_are_hex_in_either_case_also_in_links(text: str) -> None:
    span = read_span(
        traceId=text, spanId=text[:16], parentSpanId=text[:16], links=[{"traceId": text, "spanId": text[:16]}]
    )
    whole, half = bytes.fromhex(text), bytes.fromhex(text[:16])
    assert (span.trace_id, span.span_id, span.parent_span_id) == (whole, half, half)
    assert (span.links[0].trace_id, span.links[0].span_id) == (whole, half)


@pytest.mark.parametrize("text", ["W47/95gDgQPSabYzgT/GDA==", "5b 8e", "0x5b", "\uff10\uff10", 17])
@pytest.mark.parametrize("field", ["traceId", "spanId", "parentSpanId"])
def test_item_25_ids_that_are_not_hex_are_refused_by_name(field: str, text: Any) -> None:
    assert f"resourceSpans[0].scopeSpans[0].spans[0].{field} must be" in refused(**{field: text})


@pytest.mark.parametrize("digits", [0, 1, 2, 15, 17, 30, 31, 33, 34, 64])
def test_item_25_an_id_of_a_wrong_length_rejects_its_span_alone(digits: int) -> None:
    text = request_json(span_json(traceId="a" * digits), span_json(name="good"))
    found = decode(json_to_protobuf(text).payload, new_pool())
    assert [row["name"] for row in table_rows(found.table)] == ["good"]
    assert found.rejected == 1


# 26


@pytest.mark.parametrize(("kind", "number"), [(0, 0), (5, 5), (6, 6), (2.0, 2)])
def test_item_26_enums_are_integers(kind: Any, number: int) -> None:
    assert read_span(kind=kind).kind == number


@pytest.mark.parametrize("kind", ["SPAN_KIND_SERVER", "2", "SERVER", True, 2.5, 2**31, []])
def test_item_26_anything_else_is_refused(kind: Any) -> None:
    assert "spans[0].kind must be" in refused(kind=kind)


def test_item_26_enum_names_are_accepted_with_one_warning_when_lenient() -> None:
    one = span_json(kind="SPAN_KIND_CONSUMER", status={"code": "STATUS_CODE_ERROR"})
    converted = json_to_protobuf(request_json(one, one), lenient_enums=True)
    span = TracesData.FromString(converted.payload).resource_spans[0].scope_spans[0].spans[1]
    assert (span.kind, span.status.code) == (5, 2)
    assert len(converted.warnings) == 1
    assert "enum names" in converted.warnings[0]
    with pytest.raises(Undecodable, match=r"status\.code must be an integer"):
        json_to_protobuf(request_json(span_json(status={"code": "STATUS_CODE_GREAT"})), lenient_enums=True)


# 27, 28


def test_item_27_unknown_fields_are_skipped_at_every_level() -> None:
    new = {"isNew": {"deep": [1, {"er": None}]}}
    attribute = {"key": "k", "value": {"stringValue": "v", **new}, **new}
    status, event, link = {"code": 1, **new}, {"name": "e", **new}, {"traceState": "t", **new}
    document = {
        "resourceSpans": [
            {
                "resource": {"attributes": [attribute], **new},
                "scopeSpans": [
                    {
                        "scope": {"name": "s", **new},
                        "spans": [
                            span_json(attributes=[attribute], status=status, events=[event], links=[link], **new)
                        ],
                        **new,
                    }
                ],
                **new,
            }
        ],
        **new,
    }
    payload = json_to_protobuf(json.dumps(document).encode()).payload
    found = TracesData.FromString(payload)
    assert b"deep" not in payload
    span = found.resource_spans[0].scope_spans[0].spans[0]
    assert span.attributes[0] == KeyValue(key="k", value=AnyValue(string_value="v"))
    assert (span.status.code, span.events[0].name, span.links[0].trace_state) == (1, "e", "t")


def test_item_28_snake_case_keys_are_unknown() -> None:
    span = read_span(
        trace_state="a=b", start_time_unix_nano="5", attributes=[{"key": "k", "value": {"string_value": "v"}}]
    )
    assert (span.trace_state, span.start_time_unix_nano) == ("", 0)
    assert span.attributes[0].value.WhichOneof("value") is None


# 29, 30


@pytest.mark.parametrize("number", [0, 7, -(2**63), 2**63 - 1])
def test_item_29_64_bit_integers_are_strings_or_numbers(number: int) -> None:
    assert read_value(intValue=number) == read_value(intValue=str(number)) == AnyValue(int_value=number)


@pytest.mark.parametrize("number", [0, 1, 2**64 - 1])
def test_item_29_times_are_unsigned(number: int) -> None:
    assert read_span(startTimeUnixNano=str(number)).start_time_unix_nano == number
    assert read_span(endTimeUnixNano=number).end_time_unix_nano == number


@pytest.mark.parametrize(
    "number", ["", " 1", "1.5", "1e3", "0x1", "\u0661", 1.5, True, {}, 2**63, -(2**63) - 1, str(2**63), "9" * 30]
)
def test_item_29_what_is_no_64_bit_integer_is_refused(number: Any) -> None:
    with pytest.raises(Undecodable, match=r"attributes\[0\].value.intValue must be"):
        read_value(intValue=number)


@pytest.mark.parametrize("number", [-1, 2**64, "-1"])
def test_item_29_times_out_of_range_are_refused(number: Any) -> None:
    assert "startTimeUnixNano must be between" in refused(startTimeUnixNano=number)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1.5, 1.5), (2, 2.0), ("1.5", 1.5), ("-2e3", -2000.0), ("Infinity", math.inf), ("-Infinity", -math.inf), (0, 0.0)],
)
def test_item_30_doubles_are_numbers_or_strings(number: Any, expected: float) -> None:
    assert read_value(doubleValue=number) == AnyValue(double_value=expected)


def test_item_30_nan_is_a_string() -> None:
    assert math.isnan(read_value(doubleValue="NaN").double_value)


@pytest.mark.parametrize("number", ["nan", "inf", "1_0", " 1", "", True, [], 10**400, "1e999"])
def test_item_30_what_is_no_double_is_refused(number: Any) -> None:
    with pytest.raises(Undecodable, match="doubleValue"):
        read_value(doubleValue=number)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        ("+/8=", b"\xfb\xff"),
        ("-_8=", b"\xfb\xff"),
        ("+/8", b"\xfb\xff"),
        ("-_8", b"\xfb\xff"),
        ("AAEC", b"\0\1\2"),
    ],
)
def test_item_30_bytes_are_base64_of_either_alphabet_padded_or_not(text: str, data: bytes) -> None:
    assert read_value(bytesValue=text) == AnyValue(bytes_value=data)


@pytest.mark.parametrize("text", ["*", "A", "AA A", "A=A=", "\u00e4\u00e4\u00e4\u00e4", 5])
def test_item_30_what_is_not_base64_is_refused(text: Any) -> None:
    with pytest.raises(Undecodable, match="bytesValue must be"):
        read_value(bytesValue=text)


# 31


def test_item_31_null_is_the_default() -> None:
    fields = (
        "traceState",
        "parentSpanId",
        "kind",
        "startTimeUnixNano",
        "attributes",
        "events",
        "links",
        "status",
        "flags",
    )
    assert read_span(**dict.fromkeys(fields)) == read_span()
    assert read_value(stringValue=None) == AnyValue()
    assert read_span(attributes=[{"key": "k", "value": None}]).attributes[0] == KeyValue(key="k")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "line 1 column 1"),
        (b"{", "line 1 column 2"),
        (b'{"a": 1}\n x', "line 2 column 2: something follows"),
        (b"{} {}", "line 1 column 4: something follows"),
        (b'{"a": 1, "b": {"c": 1, "c": 1}}', "'c' stands twice"),
        (b'{"a": "\x00"}', "line 1 column 8: invalid control character"),
        (b'{"a": 1\x00}', "line 1 column 8"),
        (b'{"a": 1}\x00', "line 1 column 9"),
        (b'{"a": "x\\u0000"}', "line 1 column 9: U+0000"),
        (b'{"a": "\\ud800"}', "line 1 column 8: half"),
        (b'{"a": "\\udc00"}', "line 1 column 8: half"),
        (b'{"a":\n "\\ud800 \\udc00"}', "line 2 column 3: half"),
        (b'{"a": "\\ud800\\ud800\\udc00"}', "line 1 column 8: half"),
        (b'{"a": "\xff"}', "byte 8 is not UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "byte 8 is not UTF-8"),
        (b"\xef\xbb\xbf{}", "line 1 column 1"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "cannot be read"),
        (b"[" * 100_000, "nested too deep"),
        (b"[]", "the request must be an object"),
        (b"null", "the request must be an object"),
        (b'{"resourceSpans": {}}', "resourceSpans must be an array"),
        (b'{"resourceSpans": [1]}', "resourceSpans[0] must be an object"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 1}]}]}]}', "spans[0].name must be a string"),
    ],
)
def test_item_31_what_is_not_the_json_that_otlp_wants_is_refused_with_its_place(text: bytes, why: str) -> None:
    with pytest.raises(Undecodable) as error:
        json_to_protobuf(text)
    assert why in str(error.value)


def test_escapes_that_only_look_like_nul_or_surrogates_are_text() -> None:
    text = rb'{"resourceSpans": [{"schemaUrl": "\\u0000 \\ud800 \ud83d\ude00 \u00e4 \""}]}'
    found = TracesData.FromString(json_to_protobuf(text).payload)
    assert found.resource_spans[0].schema_url == '\\u0000 \\ud800 \U0001f600 \u00e4 "'


@pytest.mark.parametrize("wrong", [1, 0, "true"])
def test_what_is_neither_true_nor_false_is_no_bool(wrong: Any) -> None:
    with pytest.raises(Undecodable, match="boolValue must be true or false"):
        read_value(boolValue=wrong)


def test_the_escape_for_nul_is_text_where_allowed() -> None:
    text = rb'{"resourceSpans": [{"schemaUrl": "a\u0000"}]}'
    assert TracesData.FromString(json_to_protobuf(text, allow_nul=True).payload).resource_spans[0].schema_url == "a\0"


def test_a_value_of_two_kinds_is_refused() -> None:
    with pytest.raises(Undecodable, match=r"value has more than one value"):
        read_value(stringValue="a", intValue=1)


@pytest.mark.parametrize("depth", [64, 65, 66, 150])
def test_a_value_nested_too_deep_rejects_its_span_alone(depth: int) -> None:
    value: dict[str, Any] = {"boolValue": True}
    for _ in range(depth - 1):
        value = {"arrayValue": {"values": [value]}}
    text = request_json(span_json(attributes=[{"key": "k", "value": value}]), span_json(name="good"))
    assert decode(json_to_protobuf(text).payload, new_pool()).rejected == (depth > 64)


# Out


def test_a_span_is_written_as_the_collectors_file_exporter_does() -> None:
    span = good_span(kind=2, start_time_unix_nano=5, attributes=[KeyValue(key="i", value=AnyValue(int_value=2**60))])
    written = json.loads(protobuf_to_json(request_of(span, service="s").SerializeToString()))
    assert written == {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service", "value": {"stringValue": "s"}}]},
                "scopeSpans": [
                    {
                        "scope": {},
                        "spans": [
                            {
                                "traceId": "54" * 16,
                                "spanId": "53" * 8,
                                "name": "n",
                                "kind": 2,
                                "startTimeUnixNano": "5",
                                "endTimeUnixNano": "0",
                                "attributes": [{"key": "i", "value": {"intValue": str(2**60)}}],
                                "status": {},
                            }
                        ],
                    }
                ],
            }
        ]
    }


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff",
        b"\x0a\x03\x1a\x01\xff",
        request_of(good_span()).SerializeToString().replace(b"\x2a\x01n", b"\x2a\x01\xff"),
        request_of(good_span()).SerializeToString().replace(b"\x2a\x01n", b"\x4a\x01\xff"),
    ],
)
def test_what_json_cannot_say_is_undecodable(payload: bytes) -> None:
    with pytest.raises(Undecodable):
        protobuf_to_json(payload)


def test_values_nested_beyond_the_limit_are_not_written() -> None:
    value: Any = None
    for _ in range(65):
        value = (value,)
    attribute = encode_attribute("k", value)
    payload = b"\x12" + bytes([len(attribute) & 0x7F | 0x80, len(attribute) >> 7])
    span = b"\x4a" + payload[1:] + attribute
    for tag in (b"\x12", b"\x12", b"\x0a"):
        span = tag + bytes([len(span) & 0x7F | 0x80, len(span) >> 7]) + span
    with pytest.raises(Undecodable, match="nested"):
        protobuf_to_json(span)
