from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from otlp.messages import TEXTS, any_values, comparable, expected_value
from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.values import MAX_DEPTH, decode_attribute, encode_attribute

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | TEXTS | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(TEXTS, any_values())
def test_every_kind_of_value_reads_as_protobuf_reads_it(key: str, value: AnyValue) -> None:
    found_key, found = decode_attribute(KeyValue(key=key, value=value).SerializeToString())
    assert (found_key, comparable(found)) == (key, expected_value(value))


@given(TEXTS, VALUES)
def test_encoding_and_decoding_are_inverse(key: str, value: object) -> None:
    found_key, found = decode_attribute(encode_attribute(key, value))
    assert (found_key, comparable(found)) == (key, comparable(value))


@given(TEXTS, VALUES)
def test_what_is_encoded_is_what_protobuf_reads(key: str, value: object) -> None:
    message = KeyValue.FromString(encode_attribute(key, value))
    assert (message.key, expected_value(message.value)) == (key, comparable(value))


def test_nan_and_the_sign_of_zero_survive() -> None:
    assert math.isnan(decode_attribute(encode_attribute("k", math.nan))[1])
    assert math.copysign(1, decode_attribute(encode_attribute("k", -0.0))[1]) == -1


def test_of_a_repeated_key_in_a_list_of_pairs_the_last_counts() -> None:
    pairs = [KeyValue(key="k", value=AnyValue(int_value=number)) for number in (1, 2)]
    assert decode_attribute(KeyValue(value=AnyValue(kvlist_value={"values": pairs})).SerializeToString()) == (
        "",
        {"k": 2},
    )


def test_values_nest_to_the_limit_and_no_deeper() -> None:
    value = "leaf"
    for _ in range(MAX_DEPTH - 1):
        value = (value,)
    assert decode_attribute(encode_attribute("k", value)) == ("k", value)
    with pytest.raises(Undecodable, match="nested more than 64"):
        decode_attribute(encode_attribute("k", (value,)))


def test_deep_lists_of_pairs_are_read_level_by_level() -> None:
    value: object = 1
    for _ in range(MAX_DEPTH - 1):
        value = {"k": value}
    assert decode_attribute(encode_attribute("k", value)) == ("k", value)


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05ab", b"\x0a\x01\xff", b"\x12\x03\x0a\x01\xff", b"\x12\x01\x0a"])
def test_malformed_attributes_are_undecodable(data: bytes) -> None:
    with pytest.raises(Undecodable, match="malformed"):
        decode_attribute(data)


def test_an_integer_beyond_64_bits_cannot_be_written() -> None:
    with pytest.raises(ValueError, match=r"out of range|too large|Value"):
        encode_attribute("k", 2**63)
