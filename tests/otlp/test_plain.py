from __future__ import annotations

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from otlp.messages import TEXTS, any_values
from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.plain import look_at
from spanverdict.otlp.values import decode_attribute
from spanverdict.telemetry.blocks import Block, by_width, items_of


def judged(items: list[bytes]) -> dict[bytes, bool]:
    sizes = np.array([len(item) for item in items], np.int64)
    starts = np.cumsum([0, *sizes])[:-1]
    block, found = Block.of(items), {}
    for width, which in by_width(sizes):
        rows = block.rows(starts[which], sizes[which], width)
        found |= dict(zip(items_of(rows), look_at(rows).plain.tolist(), strict=True))
    return found


def is_readable(item: bytes) -> bool:
    try:
        decode_attribute(item)
    except Undecodable:
        return False
    return True


KEY_VALUES = st.builds(lambda key, value: KeyValue(key=key, value=value).SerializeToString(), TEXTS, any_values())


@given(st.lists(KEY_VALUES, min_size=1, max_size=10), st.integers(0, 2**32))
@settings(max_examples=250, deadline=None)
def test_what_is_plain_is_readable_whatever_happened_to_its_bytes(items: list[bytes], seed: int) -> None:
    rng = random.Random(seed)
    changed = [bytearray(item) for item in items for _ in range(8)]
    for item in changed:
        if item:
            item[rng.randrange(len(item))] = rng.choice((rng.randrange(256), 0x80, 0x0A, 0x12, 0x18, 0x21))
    for item, is_plain in judged([*items, *map(bytes, changed)]).items():
        assert is_readable(item) or not is_plain


def key_value(key: str, **value: object) -> bytes:
    return KeyValue(key=key, value=AnyValue(**value)).SerializeToString()


def test_usual_attributes_are_plain() -> None:
    items = [key_value("k" * size, string_value="v" * length) for size in (1, 20, 60) for length in (0, 1, 20, 50)]
    items += [key_value("key", bool_value=flag) for flag in (False, True)]
    items += [key_value("key", double_value=number) for number in (0.0, -1.5, 1e300)]
    items += [key_value("key", int_value=number) for number in (0, 1, 127, 128, 2**20, 2**55)]
    assert judged(items) == dict.fromkeys(items, True)


def test_what_takes_a_closer_look_is_not_plain() -> None:
    items = [
        key_value("kéy", string_value="v"),
        key_value("key", string_value="ü"),
        key_value("", string_value="v"),
        key_value("key", int_value=-1),
        key_value("key", array_value=ArrayValue(values=[AnyValue(int_value=1)])),
        key_value("key"),
        key_value("key", int_value=1) + b"\0",
        b"",
        b"\x0a",
        b"\x0a\x7f",
        b"\x0a\x01k",
        b"\x0a\x01k\x12\x02\x18\x80",
        b"\x0a\x01k\x12\x03\x18\x01\x80",
        b"\x0a\x01k\x12\x02\x10\x80",
        b"\x0a\x01k\x12\x01\x18",
        b"\x0a\x01\x80\x12\x02\x10\x01",
    ]
    assert judged(items) == dict.fromkeys(items, False)


def shown(items: list[bytes]) -> bytes:
    sizes = np.array([len(item) for item in items], np.int64)
    block = Block.of(items)
    return look_at(block.rows(np.cumsum([0, *sizes])[:-1], sizes, 64)).searchable().tobytes()


@given(st.lists(KEY_VALUES.filter(lambda item: len(item) < 64), min_size=1, max_size=10), st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_all_texts_of_attributes_are_shown_whatever_else_is(items: list[bytes], seed: int) -> None:
    random.Random(seed).shuffle(items)
    texts = shown(items).split(b"\0")
    for item in items:
        key_value = KeyValue.FromString(item)
        wanted = {key_value.key, key_value.value.string_value}
        assert all(any(text.encode() in shown for shown in texts) for text in wanted if "\0" not in text)


def test_of_numbers_under_one_key_only_the_first_key_is_shown() -> None:
    numbers = [key_value("speed", double_value=number / 7) for number in range(300)]
    ages = [key_value("age", int_value=number) for number in range(1, 300, 7)]
    texts = [key_value("word", string_value="one"), key_value("word", string_value="two")]
    shown_texts = [text for text in shown([*numbers, *ages, *texts]).split(b"\0") if text]
    assert shown_texts == [numbers[0][:7], ages[0][:5], *texts]


def test_a_text_that_hides_behind_a_number_is_shown() -> None:
    value = AnyValue(int_value=5).SerializeToString() + AnyValue(string_value="secret").SerializeToString()
    item = KeyValue(key="key").SerializeToString() + b"\x12" + bytes([len(value)]) + value
    assert KeyValue.FromString(item).value.string_value == "secret"
    assert b"secret" in shown([key_value("key", int_value=5), item])
