"""Attributes as protobuf allows them and hardly anybody writes them: parts in another order, longer lengths, parts that do not count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

Length: TypeAlias = Callable[[int], bytes]
ARRAY, PAIRS = 5, 6


def short(number: int) -> bytes:
    """Write a varint."""
    head = b""
    while number >= 0x80:
        head += bytes([number & 0x7F | 0x80])
        number >>= 7
    return head + bytes([number])


def long(number: int) -> bytes:
    """Write a varint in five bytes, as who leaves room for a length that is not known yet."""
    return bytes([number >> 7 * at & 0x7F | 0x80 for at in range(4)]) + bytes([number >> 28])


def part(number: int, content: bytes, length: Length = short) -> bytes:
    """Write a field that has a length."""
    return bytes([number << 3 | 2]) + length(len(content)) + content


def value_first(attribute: KeyValue, length: Length = short) -> bytes:
    """Write a `KeyValue`, and all those inside it, with the name behind the value."""
    return part(2, _value(attribute.value, length), length) + part(1, attribute.key.encode(), length)


def _value(value: AnyValue, length: Length) -> bytes:
    match value.WhichOneof("value"):
        case "array_value":
            items = [part(1, _value(item, length), length) for item in value.array_value.values]
            return part(ARRAY, b"".join(items), length)
        case "kvlist_value":
            items = [part(1, value_first(item, length), length) for item in value.kvlist_value.values]
            return part(PAIRS, b"".join(items), length)
        case "string_value":
            return part(1, value.string_value.encode(), length)
        case _:
            return value.SerializeToString()


def in_long(attribute: KeyValue) -> bytes:
    """Write a `KeyValue` in the usual order, with lengths that take more bytes than they need."""
    return part(1, attribute.key.encode(), long) + part(2, _value(attribute.value, long), long)


def number_first(attribute: KeyValue) -> bytes:
    """Write a number before the value, which does not count as the value follows it."""
    number = b"\x18\x05"
    return part(1, attribute.key.encode()) + part(2, number + attribute.value.SerializeToString())


ODD: Final[Mapping[str, Callable[[KeyValue], bytes]]] = {
    "value first": value_first,
    "value first, long lengths": lambda attribute: value_first(attribute, long),
    "long lengths": in_long,
    "a number that does not count": number_first,
}
"""Ways to write an attribute."""
