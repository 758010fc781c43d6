"""What has the shape of a sound attribute is sound, and everything else is looked at as before."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from otlp.messages import TEXTS, any_values
from spanverdict.otlp import judging
from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.judging import judge_attributes
from spanverdict.otlp.shapes import shape_of
from spanverdict.otlp.values import decode_attribute
from spanverdict.telemetry import interning
from spanverdict.telemetry.blocks import Block
from spanverdict.telemetry.interning import Interner

WIDTH = 64
KEYS = st.sampled_from(["k", "key", "a.long.key", "schlüssel"])
VALUES = st.one_of(
    st.builds(AnyValue, string_value=st.text("abc", max_size=20)),
    st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
    st.builds(AnyValue, double_value=st.floats()),
    st.builds(AnyValue, bool_value=st.booleans()),
    any_values(),
)
ATTRIBUTES = st.builds(KeyValue, key=KEYS | TEXTS, value=VALUES).map(KeyValue.SerializeToString)


@pytest.fixture(scope="module", autouse=True)
def few_are_judged_together_too() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interning, "FEW", 0)
        patch.setattr(judging, "_FEW", 1)
        patch.setattr(judging, "_MOST_SHAPES", 2)
        yield


def rows_of(items: list[bytes]) -> np.ndarray:
    sizes = np.array([len(item) for item in items], np.int64)
    return Block.of(items).rows(sizes.cumsum() - sizes, sizes, WIDTH)


def is_readable(item: bytes) -> bool:
    try:
        decode_attribute(item)
    except Undecodable:
        return False
    return True


def changed(item: bytes, rng: random.Random) -> bytes:
    """Differ in a byte or two; or in the place of everything behind one."""
    data = bytearray(item)
    for _ in range(rng.randrange(1, 3)):
        if data:
            data[rng.randrange(len(data))] = rng.choice((rng.randrange(256), 0, 0x80, 0x0A, 0x12, 0x18, 0x21))
    if data and not rng.randrange(4):
        del data[rng.randrange(len(data))]
    return bytes(data)


@given(ATTRIBUTES.filter(lambda item: len(item) < WIDTH), st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_what_has_the_shape_of_a_sound_attribute_is_sound(item: bytes, seed: int) -> None:
    rng = random.Random(seed)
    like = [item, *(changed(item, rng) for _ in range(30))]
    shape = shape_of(rows_of([item]))
    if shape is None:
        return
    fits = shape.fit(rows_of(like)).tolist()
    assert fits[0]
    assert all(is_readable(other) for other, fit in zip(like, fits, strict=True) if fit)
    assert all(len(other) == len(item) for other, fit in zip(like, fits, strict=True) if fit)


def key_value(key: str, **value: object) -> bytes:
    return KeyValue(key=key, value=AnyValue(**value)).SerializeToString()


@pytest.mark.parametrize(
    ("one", "alike"),
    [
        (key_value("k", string_value="one"), key_value("k", string_value="two")),
        (key_value("k", double_value=1.5), key_value("k", double_value=float("nan"))),
        (key_value("k", int_value=300), key_value("k", int_value=16_000)),
        (key_value("k", int_value=2**50), key_value("k", int_value=2**55)),
        (key_value("k", bool_value=True), key_value("k", bool_value=False)),
        (key_value("k", string_value="v" * 56), key_value("k", string_value="w" * 56)),
    ],
    ids=["texts", "real numbers", "whole numbers", "long whole numbers", "flags", "texts that fill a row"],
)
def test_values_of_one_kind_and_size_under_one_key_have_one_shape(one: bytes, alike: bytes) -> None:
    shape = shape_of(rows_of([one]))
    assert shape is not None
    assert shape.fit(rows_of([one, alike])).all()
    assert shape.is_text == (b"\x0a" in one[1:])


@pytest.mark.parametrize(
    "other",
    [
        key_value("K", string_value="one"),
        key_value("k", string_value="four"),
        key_value("k", string_value="on"),
        key_value("k", bytes_value=b"one"),
        key_value("k", string_value="one") + b"\0",
        key_value("k", string_value="one").replace(b"o", b"\xff"),
    ],
    ids=["key", "size", "shorter", "kind", "more behind", "no ASCII"],
)
def test_what_differs_in_more_than_the_value_has_another_shape(other: bytes) -> None:
    shape = shape_of(rows_of([key_value("k", string_value="one")]))
    assert shape is not None
    assert not shape.fit(rows_of([other])).any()


@given(st.lists(ATTRIBUTES, min_size=1, max_size=8), st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_many_attributes_are_judged_as_one_by_one_and_all_texts_are_shown(items: list[bytes], seed: int) -> None:
    rng = random.Random(seed)
    sent = [changed(item, rng) if rng.randrange(3) else item for item in rng.choices(items, k=60)]
    attributes, shown = Interner(1000), []
    sizes = np.array([len(item) for item in sent], np.int64)
    attributes.number_within(Block.of(sent), sizes.cumsum() - sizes, sizes)
    judge_attributes(attributes, lambda text: shown.append(bytes(text)))
    known = [*attributes.items_by_id]
    assert attributes.unreadable == {number for number, item in enumerate(known) if not is_readable(item)}
    for item in filter(is_readable, sent):
        for text in filter(lambda part: isinstance(part, str), decode_attribute(item)):
            assert any(text.encode() in seen for seen in shown)


def test_of_numbers_of_one_shape_one_key_is_shown_and_of_texts_each() -> None:
    attributes, shown = Interner(1000), []
    sent = [key_value("speed", double_value=number / 7) for number in range(99)]
    sent += [key_value("word", string_value=f"word-{number}") for number in range(10, 99)]
    sizes = np.array([len(item) for item in sent], np.int64)
    attributes.number_within(Block.of(sent), sizes.cumsum() - sizes, sizes)
    judge_attributes(attributes, lambda text: shown.append(bytes(text)))
    everything = b"".join(shown)
    assert everything.count(b"speed") == 1
    assert all(f"word-{number}".encode() in everything for number in range(10, 99))
