"""Attributes: serialised OTLP `KeyValue`s to Python values and back."""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Final

from google.protobuf.message import DecodeError

from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.shallow_pb2 import AnyValue, Items, KeyValue, LevelAnyValue, LevelKeyValue
from spanverdict.telemetry.pool import Value

MAX_DEPTH: Final = 64
"""How many values may stand inside each other, the attribute's own included."""
_LEAST: Final = 6
_LONG: Final = 0x80
"""From here on a length takes more than one byte."""
_FIRST: Final = 0x0A
"""Before a key, and before a string."""
_SECOND: Final = 0x12
"""Before a value."""
_DOUBLE: Final = 0x21
_DOUBLE_BYTES: Final = Struct("<d")


def decode_attribute(key_value: bytes) -> tuple[str, Value]:
    """Read one serialised `KeyValue`; of a key repeated inside a list of pairs the last counts.

    An empty value is None, an array a tuple, a list of pairs a dict.

    Raises:
        Undecodable: malformed bytes, text that is not UTF-8, or nesting beyond `MAX_DEPTH`.

    >>> decode_attribute(encode_attribute("sizes", (1, 2.5, "three", None)))
    ('sizes', (1, 2.5, 'three', None))
    """
    usual = _usual(key_value)
    if usual is not None:
        return usual
    try:
        message = KeyValue.FromString(key_value)
    except DecodeError:
        return _decode_by_level(key_value, 1)
    return message.key, _value(message.value)


def _usual(key_value: bytes) -> tuple[str, Value] | None:
    """Read a short string or a double below a short key, as nearly all writers lay them out; else None.

    Much faster than protobuf, which makes an object for the pair, its value and each part.
    """
    size = len(key_value)
    if size < _LEAST or key_value[0] != _FIRST or (at := 2 + key_value[1]) > size - 4 or key_value[1] >= _LONG:
        return None
    if key_value[at] != _SECOND or key_value[at + 1] != size - at - 2 or size - at - 2 >= _LONG:
        return None
    try:
        if key_value[at + 2] == _FIRST and key_value[at + 3] == size - at - 4:
            return key_value[2:at].decode(), key_value[at + 4 :].decode()
        if key_value[at + 2] == _DOUBLE and size == at + 11:
            return key_value[2:at].decode(), _DOUBLE_BYTES.unpack_from(key_value, at + 3)[0]
    except UnicodeDecodeError:
        pass
    return None


def _value(message: AnyValue) -> Value:
    kind = message.WhichOneof("value")
    if kind is None or kind == "string_value_strindex":
        return None
    if kind == "array_value":
        return tuple([_value(item) for item in message.array_value.values])
    if kind == "kvlist_value":
        return {item.key: _value(item.value) for item in message.kvlist_value.values}
    scalar: Value = getattr(message, kind)
    return scalar


def _decode_by_level(key_value: bytes, depth: int) -> tuple[str, Value]:
    """Read a `KeyValue` that protobuf refuses whole: it is malformed, or nests deeper than protobuf goes."""
    try:
        message = LevelKeyValue.FromString(key_value)
    except DecodeError:
        raise Undecodable("an attribute is malformed or its text is not UTF-8") from None
    return message.key, _value_by_level(message.value, depth)


def _value_by_level(data: bytes, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise Undecodable(f"an attribute value is nested more than {MAX_DEPTH} deep")
    try:
        message = LevelAnyValue.FromString(data)
    except DecodeError:
        raise Undecodable("an attribute value is malformed or its text is not UTF-8") from None
    kind = message.WhichOneof("value")
    if kind is None or kind == "string_value_strindex":
        return None
    if kind == "array_value":
        return tuple([_value_by_level(item, depth + 1) for item in message.array_value.items])
    if kind == "kvlist_value":
        return dict(_decode_by_level(item, depth + 1) for item in message.kvlist_value.items)
    scalar: Value = getattr(message, kind)
    return scalar


def encode_attribute(key: str, value: Value) -> bytes:
    """Write a `KeyValue`: the inverse of `decode_attribute`.

    Raises:
        ValueError: an integer beyond 64 bits, or text that UTF-8 cannot hold.
    """
    return LevelKeyValue(key=key, value=encode_value(value)).SerializeToString()


def encode_value(value: Value) -> bytes:
    r"""Write an `AnyValue`.

    >>> encode_value(True), encode_value(None), encode_value("a")
    (b'\x10\x01', b'', b'\n\x01a')
    """
    return _level(value).SerializeToString()


def _level(value: Value) -> LevelAnyValue:
    match value:
        case None:
            return LevelAnyValue()
        case str():
            return LevelAnyValue(string_value=value)
        case bool():
            return LevelAnyValue(bool_value=value)
        case int():
            return LevelAnyValue(int_value=value)
        case float():
            return LevelAnyValue(double_value=value)
        case bytes():
            return LevelAnyValue(bytes_value=value)
        case Mapping():
            return LevelAnyValue(kvlist_value=Items(items=[encode_attribute(key, item) for key, item in value.items()]))
        case _:
            return LevelAnyValue(array_value=Items(items=[encode_value(item) for item in value]))
