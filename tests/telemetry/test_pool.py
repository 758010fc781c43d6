from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from spanverdict.telemetry import interning, keyindex
from spanverdict.telemetry.blocks import Block
from spanverdict.telemetry.interning import LIST_END, Interner
from spanverdict.telemetry.pool import Pool


def key_value(key: str, value: str = "v") -> bytes:
    return KeyValue(key=key, value=AnyValue(string_value=value)).SerializeToString()


def decode_attribute(item: bytes) -> tuple[str, str]:
    message = KeyValue.FromString(item)
    return message.key, message.value.string_value


@given(st.lists(st.lists(st.binary(max_size=2) | st.just(LIST_END), max_size=12)))
def test_items_are_numbered_in_order_of_first_sight_one_by_one_or_together(batches: list[list[bytes]]) -> None:
    together, apart = Interner(), Interner()
    for batch in batches:
        assert together.number_all(batch).tolist() == [apart[item] for item in batch]
        assert together.items_by_id == apart.items_by_id
    distinct = list(dict.fromkeys(item for batch in batches for item in batch if item != LIST_END))
    assert together.items_by_id == distinct
    assert len(together) == len(distinct)
    assert [together.find(item) for item in distinct] == list(range(len(distinct)))


def test_numbers_are_an_int32_array_also_of_nothing() -> None:
    numbers = Interner().number_all([])
    assert (numbers.dtype, len(numbers)) == (np.int32, 0)


def test_finding_adds_nothing() -> None:
    interner = Interner()
    assert interner.find(b"a") == -1
    assert len(interner) == 0
    assert interner[b"b"] == 0


def test_an_interruption_while_numbering_leaves_numbers_and_items_in_step() -> None:
    interner = Interner()

    class Interrupted(list):
        def __iter__(self):
            yield b"a"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interner.number_all(Interrupted([b"a", b"b"]))
    assert interner.items_by_id == [b"a"]
    assert interner.number_all([b"b", b"a"]).tolist() == [1, 0]
    assert interner.items_by_id == [b"a", b"b"]


@given(
    st.lists(st.lists(st.integers(0, 30).map(lambda n: b"%d" % n) | st.just(LIST_END), max_size=12)), st.integers(1, 9)
)
def test_an_interner_of_recent_items_numbers_equal_items_alike_or_anew(batches: list[list[bytes]], recent: int) -> None:
    interner = Interner(recent)
    for batch in batches:
        numbers = interner.number_all(batch).tolist()
        assert [LIST_END if n < 0 else interner.items_by_id[n] for n in numbers] == batch
        assert len(set(numbers)) == len(set(batch))
    assert len(interner) <= sum(map(len, batches))


def test_an_interner_of_recent_items_remembers_no_more_than_the_last_batches() -> None:
    interner = Interner(recent=100)
    for start in range(0, 5000, 50):
        interner.number_all([b"%d" % number for number in range(start, start + 50)])
        assert len(interner._numbers) <= 150
    assert len(interner) == 5000
    assert interner[b"0"] == 5000


def test_equal_attributes_with_several_numbers_are_made_one() -> None:
    pool = Pool(decode_attribute, recent_attributes=2)
    items = [key_value("k", text) for text in "abcab"]
    numbers = np.array([pool.attributes.number_all([item])[0] for item in items])
    assert numbers[0] != numbers[3]
    first = pool.first_equals(numbers)
    assert [pool.attributes.items_by_id[number] for number in first] == items
    assert first.tolist() == [numbers[0], numbers[1], numbers[2], numbers[0], numbers[1]]


def test_a_pool_tells_what_its_numbers_stand_for() -> None:
    pool = Pool(decode_attribute)
    assert pool.string(pool.strings["ü".encode()]) == "ü"
    assert pool.string(pool.strings[b"\xff"]) == "\ufffd"
    assert pool.trace_hex(pool.traces[bytes(range(16))]) == "000102030405060708090a0b0c0d0e0f"
    assert pool.attribute(pool.attributes[key_value("k", "x")]) == ("k", "x")


ODD = {
    "the key after the value": (b"\x12\x03\x0a\x01v\x0a\x01k", "k"),
    "a number before the key": (b"\x18\x96\x01\x0a\x01k", "k"),
    "fixed-size fields before the key": (b"\x21" + bytes(8) + b"\x2d" + bytes(4) + b"\x0a\x01k", "k"),
    "no key": (b"\x12\x03\x0a\x01v", ""),
    "nothing": (b"", ""),
    "an empty key": (b"\x0a\x00\x12\x00", ""),
    "a key of more than 127 bytes": (key_value("k" * 300), "k" * 300),
    "a tag without anything": (b"\x0a", ""),
}


@pytest.mark.parametrize("name", ODD)
def test_keys_are_found_in_any_order_of_fields(name: str) -> None:
    item, key = ODD[name]
    pool = Pool(decode_attribute)
    numbers = [pool.attributes[key_value("usual")], pool.attributes[item]]
    keys = pool.keys
    assert keys.id_of(key) == keys.of_attributes()[numbers[1]]
    assert keys.names() == ("usual", key)


@pytest.mark.parametrize("odd", [[], [item for item, _ in ODD.values()]], ids=["usual", "odd"])
def test_keys_of_attributes_that_are_kept_as_rows_are_found(odd: list[bytes]) -> None:
    pool = Pool(decode_attribute, recent_attributes=10)
    items = [key_value(f"k{number % 7}" * (1 + number % 20), str(number)) for number in range(400)] + odd
    sizes = np.array([len(item) for item in items])
    numbers = pool.attributes.number_within(Block.of(items), np.cumsum([0, *sizes])[:-1], sizes)
    assert any(isinstance(part, np.ndarray) for _, part in pool.attributes.parts(0))
    keys = pool.keys
    found = [keys.names()[key] for key in keys.of_attributes()[numbers]]
    assert (
        found
        == [f"k{number % 7}" * (1 + number % 20) for number in range(400)]
        + [key for _, key in ODD.values()][: len(odd)]
    )


KEYS = st.sampled_from(
    [b"a", b"ab", b"ab\0\0", b"request.id", b"request.idx", b"six.by", b"seven.b", b"eight.by", b"x" * 27]
)
ITEMS = st.builds(
    lambda tag, size, key, value: (tag + bytes([len(key) if size is None else size]) + key + value)[:127],
    st.sampled_from([b"\n"] * 9 + [b"\x12", b""]),
    st.one_of(st.none(), st.none(), st.none(), st.integers(0, 255)),
    st.one_of(KEYS, KEYS, KEYS, st.binary(max_size=30)),
    st.binary(max_size=5),
)


@given(st.lists(ITEMS, min_size=interning.FEW, max_size=interning.FEW + 60))
@settings(max_examples=60, deadline=None)
def test_keys_of_many_attributes_are_those_of_each_alone(items: list[bytes]) -> None:
    pool = Pool(decode_attribute, recent_attributes=10)
    sizes = np.array([len(item) for item in items])
    numbers = pool.attributes.number_within(Block.of(items), np.cumsum([0, *sizes])[:-1], sizes)
    names = pool.keys.names()
    found = [names[key] for key in pool.keys.of_attributes()[numbers]]
    assert found == [key.decode("utf-8", "replace") for key in keyindex._keys_of(items)]


def test_more_keys_than_two_bytes_can_number_are_told_apart() -> None:
    pool = Pool(decode_attribute)
    early = pool.attributes[key_value("early")]
    assert pool.keys.of_attributes().itemsize == 2
    numbers = pool.attributes.number_all([key_value(f"k{number}") for number in range(70_000)])
    keys = pool.keys
    assert keys.of_attributes()[numbers].tolist() == list(range(1, 70_001))
    assert keys.of_attributes()[early] == keys.id_of("early") == 0


@given(st.binary(max_size=40))
def test_reading_keys_of_any_bytes_ends(item: bytes) -> None:
    keyindex._scan_key(item)


def test_reading_the_key_of_endless_varints_is_quick() -> None:
    assert keyindex._scan_key(b"\xff" * 1_000_000) == b""


def test_the_key_index_grows_with_the_pool_and_old_arrays_stay_right() -> None:
    pool = Pool(decode_attribute)
    first = pool.attributes[key_value("a")]
    early = pool.keys.of_attributes()
    for number in range(5000):
        pool.attributes[key_value(f"k{number % 7}", str(number))]
        if number % 1111 == 0:
            assert pool.keys.of_attributes()[-1] == pool.keys.id_of(f"k{number % 7}")
    keys = pool.keys
    assert early[first] == keys.id_of("a") == 0
    assert len(keys.of_attributes()) == 5001
    assert [keys.of_attributes()[number + 1] for number in range(20)] == [keys.id_of(f"k{n % 7}") for n in range(20)]
    assert keys.id_of("absent") == -1
    assert keys.id_of("\ud800") == -1


def test_many_threads_may_refresh_the_key_index_while_attributes_are_added() -> None:
    pool = Pool(decode_attribute)
    wrong: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            found = pool.keys.of_attributes()
            wrong.extend(np.flatnonzero(found != np.arange(len(found)) % 5).tolist())

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for start in range(0, 20_000, 500):
        pool.attributes.number_all([key_value(f"k{number % 5}", str(number)) for number in range(start, start + 500)])
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert len(pool.keys.of_attributes()) == 20_000
