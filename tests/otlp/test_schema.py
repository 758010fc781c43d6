"""The shallow schema: made from its source, and wire compatible with OTLP's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

import spanverdict.otlp.shallow_pb2 as shallow

SOURCE = Path(shallow.__file__).with_name("shallow.proto")

# Both sides of each pair lay on the wire in the same way.
WIRE_TYPES = {
    "varint": {"int32", "int64", "uint32", "uint64", "bool", "enum"},
    "eight bytes": {"fixed64", "sfixed64", "double"},
    "four bytes": {"fixed32", "sfixed32", "float"},
    "length-delimited": {"string", "bytes", "message"},
}

COUNTERPARTS = {
    "TracesData": trace_pb2.TracesData,
    "ResourceSpans": trace_pb2.ResourceSpans,
    "ScopeSpans": trace_pb2.ScopeSpans,
    "SpanColumns": trace_pb2.Span,
    "Span": trace_pb2.Span,
    "Event": trace_pb2.Span.Event,
    "Link": trace_pb2.Span.Link,
    "Status": trace_pb2.Status,
    "Resource": resource_pb2.Resource,
    "Scope": common_pb2.InstrumentationScope,
    "KeyValueList": common_pb2.KeyValueList,
    "KeyValue": common_pb2.KeyValue,
    "AnyValue": common_pb2.AnyValue,
    "ArrayValue": common_pb2.ArrayValue,
    "LevelKeyValue": common_pb2.KeyValue,
    "LevelAnyValue": common_pb2.AnyValue,
}


def wire_type(field) -> str:
    types = {
        number: name.removeprefix("TYPE_").lower()
        for name, number in vars(type(field)).items()
        if name.startswith("TYPE_")
    }
    return next(wire for wire, names in WIRE_TYPES.items() if types[field.type] in names)


def test_the_checked_in_code_is_what_the_source_says(tmp_path: Path) -> None:
    out = tmp_path / "descriptors"
    root = SOURCE.parents[2]
    assert protoc.main(["protoc", f"-I{root}", f"--descriptor_set_out={out}", str(SOURCE.relative_to(root))]) == 0
    compiled = FileDescriptorSet.FromString(out.read_bytes()).file[0]
    checked_in = FileDescriptorProto.FromString(shallow.DESCRIPTOR.serialized_pb)
    for file in (compiled, checked_in):
        for message in file.message_type:
            for field in message.field:
                field.ClearField("json_name")
    assert checked_in == compiled


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_each_field_has_the_number_name_and_wire_type_of_otlps(name: str) -> None:
    otlp = {field.number: field for field in COUNTERPARTS[name].DESCRIPTOR.fields}
    fields = getattr(shallow, name).DESCRIPTOR.fields
    assert fields
    for field in fields:
        assert field.name == otlp[field.number].name
        assert wire_type(field) == wire_type(otlp[field.number])


def test_spans_and_columns_have_every_field_of_an_otlp_span() -> None:
    names = {field.name for field in trace_pb2.Span.DESCRIPTOR.fields}
    assert {field.name for field in shallow.Span.DESCRIPTOR.fields} == names
    assert {field.name for field in shallow.SpanColumns.DESCRIPTOR.fields} == names


def test_the_package_does_not_clash_with_opentelemetrys() -> None:
    assert shallow.DESCRIPTOR.package == "spanverdict.otlp.shallow"
    assert shallow.DESCRIPTOR.name == "spanverdict/otlp/shallow.proto"
