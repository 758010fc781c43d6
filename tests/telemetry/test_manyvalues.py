"""Values read many at a time are those that are read one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.otlp.decode import new_pool
from spanverdict.otlp.values import decode_attribute, encode_attribute
from spanverdict.telemetry import manyvalues
from spanverdict.telemetry.attributecolumn import ragged_column
from spanverdict.telemetry.blocks import Block, Int64s, Places, laid
from spanverdict.telemetry.items import Items
from spanverdict.telemetry.manyvalues import ManyNumbers, Texts, first_equals, many_values, numbers_in, types_in
from spanverdict.telemetry.pool import Pool, Value
from spanverdict.telemetry.ragged import Ragged

TEXTS = st.text(max_size=40)
FLOATS = st.floats(allow_nan=False)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
VALUES = st.one_of(TEXTS, FLOATS, INTEGERS, st.booleans(), st.none(), st.lists(INTEGERS, max_size=3).map(tuple))


def laid_out(items: Sequence[bytes]) -> tuple[Block, Places, Int64s]:
    data, starts, sizes = laid(items)
    return Block.of([data]), starts, sizes


def read(values: Sequence[Value], key: str = "key") -> Texts | ManyNumbers | None:
    return many_values(*laid_out([encode_attribute(key, value) for value in values]))


@given(st.one_of(st.lists(TEXTS, min_size=1), st.lists(FLOATS, min_size=1), st.lists(INTEGERS, min_size=1)))
def test_values_of_one_type_are_as_they_were_written(values: list[Value]) -> None:
    found = read(values)
    if found is None:
        assert any(isinstance(value, str) and len(value.encode()) > 100 for value in values)
        return
    assert list(found) == values
    assert [found[number] for number in range(len(found))] == values
    assert found[1:] == tuple(values[1:])
    assert types_in(found) == {type(values[0])}
    assert list(map(type, found)) == [type(values[0])] * len(values)


def test_not_a_number_and_infinity_are_read_too() -> None:
    found = read([math.nan, math.inf, -math.inf, -0.0])
    assert found is not None
    assert math.isnan(found[0])
    assert found[1:] == (math.inf, -math.inf, -0.0)
    assert math.copysign(1, found[3]) == -1


@given(st.lists(VALUES, min_size=1), st.text(max_size=5))
def test_whatever_is_read_is_right_and_the_rest_is_left_to_others(values: list[Value], key: str) -> None:
    found = read(values, key)
    assert found is None or list(found) == [decode_attribute(encode_attribute(key, value))[1] for value in values]


@pytest.mark.parametrize(
    "unusual",
    [
        b"\x12\x03\x0a\x01b\x0a\x01k",
        b"\x0a\x01k\x12\x03\x0a\x01b\x12\x03\x0a\x01c",
        b"\x0a\x01k",
        b"\x0a\x01k\x12\x00",
        b"\x0a\x01k\x12\x0c\x18" + b"\x80" * 10 + b"\x01",
        b"\x0a\x01k\x12\x04\x18\x01\x18\x02",
    ],
    ids=["value-first", "value-twice", "no-value", "empty", "overlong", "two-integers"],
)
def test_what_is_laid_out_otherwise_is_left_to_others(unusual: bytes) -> None:
    usual = encode_attribute("k", 7 if b"\x18" in unusual else "b")
    assert many_values(*laid_out([usual, unusual])) is None
    assert many_values(*laid_out([unusual, usual])) is None


def test_an_integer_longer_than_need_be_is_the_same_integer() -> None:
    found = many_values(*laid_out([b"\x0a\x01k\x12\x04\x18\x85\x80\x00"]))
    assert found is not None
    assert list(found) == [5]


@given(
    st.lists(st.sampled_from([b"", b"a", b"b", b"a" * 31, b"a" * 32, b"b" * 64, b"c" * 127, b"d" * 128, b"e" * 300]))
)
def test_equal_items_have_the_same_first_one(items: list[bytes]) -> None:
    assert first_equals(*laid_out(items)).tolist() == [items.index(item) for item in items]


def test_items_whose_hashes_meet_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manyvalues, "_FACTORS", np.zeros(16, np.uint64))
    items = [bytes([number % 7]) * (number % 5) for number in range(100)]
    assert first_equals(*laid_out(items)).tolist() == [items.index(item) for item in items]


@given(st.data())
def test_items_lie_in_a_block_however_they_are_kept(data: st.DataObject) -> None:
    kept = Items()
    for size in (1100, 40, 30):
        texts = [encode_attribute(f"key.{number % 3}", f"{number * 7:0{3 + number % 4}x}") for number in range(size)]
        kept.extend(texts)
        if data.draw(st.booleans()):
            block, starts, sizes = laid_out(texts)
            kept.extend_rows(block.rows(starts, sizes, 32))
        if data.draw(st.booleans()):
            kept.settle()
    numbers = np.array(sorted(data.draw(st.sets(st.integers(0, len(kept) - 1)))), np.int32)
    found, starts, sizes = kept.laid_out(numbers)
    assert Block.of([found]).cut(starts, sizes) == [kept[number] for number in numbers.tolist()] == kept.take(numbers)


def column_of(pool: Pool, values: Sequence[Value], rows: int = 1) -> tuple[list[Value], list[int]]:
    """Intern values in several goes, as batches do, and read them back."""
    numbers = [pool.attributes.number_all([encode_attribute("k", value)])[0] for value in values]
    column = ragged_column(pool, Ragged(np.arange(len(numbers) * rows + 1), np.array(numbers * rows, np.int32)), "k")
    return [column[row] for row in range(len(numbers))], column.codes.tolist()


@pytest.mark.parametrize("recent", [0, 50])
@pytest.mark.parametrize("kind", [str, float, int])
def test_a_column_of_many_values_holds_each_once(recent: int, kind: type) -> None:
    values: list[Value] = [kind(number % 400) for number in range(1000)]
    found, codes = column_of(new_pool(recent), values)
    assert found == values
    assert len(set(codes)) == 400
    assert len({(code, value) for code, value in zip(codes, values, strict=True)}) == 400


def test_numbers_are_given_as_they_are_only_where_all_are() -> None:
    assert numbers_in((1.0, 2.5)).tolist() == [1.0, 2.5]  # type: ignore[union-attr]
    assert numbers_in((1.0, 2)) is None
    assert numbers_in(()) is None
