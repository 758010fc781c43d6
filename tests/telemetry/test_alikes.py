"""Items that are kept by what differs in them are the items that they were made of."""

from __future__ import annotations

import marshal
import uuid
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.load import Load, make_payload
from spantables import encode_attribute
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.telemetry import alikes, items, keyindex, likening
from spanverdict.telemetry.alikes import Alikes, alikes_of
from spanverdict.telemetry.blocks import Block
from spanverdict.telemetry.interning import Interner
from spanverdict.telemetry.items import Items
from spanverdict.telemetry.keyindex import KeyIndex
from spanverdict.telemetry.likening import likened

KEYS = st.sampled_from(["a", "request.id", "score", "", "k" * 120, "ü"])
VALUES = st.one_of(
    st.integers(0, 2**63 - 1),
    st.floats(),
    st.text("0123456789abcdef", min_size=4, max_size=4),
    st.text("0123456789ABCDEF-", min_size=3, max_size=5),
    st.text(max_size=6),
    st.binary(max_size=3),
    st.booleans(),
)
ITEMS = st.lists(
    st.one_of(
        st.builds(encode_attribute, KEYS, VALUES),
        st.binary(max_size=40),
        st.sampled_from([b"\0", b"\0" * 9, b"\n\1a\0"]),
    ),
    max_size=80,
)


@pytest.fixture
def eager() -> Iterator[None]:
    """Find kinds of few items, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alikes, "LEAST", 2)
        patch.setattr(alikes, "_FEW", 1000)
        patch.setattr(alikes, "MOST_OTHERS", 1)
        patch.setattr(items, "MANY", 5)
        for name in ("LEAST", "MOST_OTHERS"):
            patch.setattr(likening, name, getattr(alikes, name))
        yield


def rows_of(few: list[bytes], width: int) -> np.ndarray:
    sizes = np.array([*map(len, few)], np.int64)
    return Block.of(few).rows(np.cumsum(sizes) - sizes, sizes, width)


def assert_holds(found: Alikes, expected: list[bytes], data: st.DataObject) -> None:
    assert [*found] == expected
    assert [found[place] for place in range(len(found))] == expected
    assert found[:] is found
    some = data.draw(st.lists(st.integers(0, len(expected) - 1), max_size=5)) if expected else []
    assert found.take(np.array(some, np.intp)) == [expected[place] for place in some]
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(expected)), st.integers(0, len(expected)))))
    assert [*found[start:end]] == expected[start:end]
    assert [found[start:end][place] for place in range(end - start)] == expected[start:end]
    assert [*found[start:end][1:]] == expected[start:end][1:]
    assert_keys(found, expected)
    assert_keys(found[start:end], expected[start:end])


def assert_keys(found: object, expected: list[bytes]) -> None:
    assert isinstance(found, Alikes)
    samples, which = found.samples()
    assert len(which) == len(expected)
    keys = keyindex._keys_of(samples)
    assert [keys[place] for place in which.tolist()] == keyindex._keys_of(expected)


@pytest.mark.usefixtures("eager")
@settings(max_examples=150, deadline=None)
@given(ITEMS, st.data())
def test_items_among_which_some_are_alike_come_back(some: list[bytes], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(some)), max_size=3)))
    parts = [some[start:end] for start, end in pairwise([0, *cuts, len(some)])]
    found = alikes_of(
        [
            rows_of(part, 128) if data.draw(st.booleans()) and max(map(len, part)) < 128 else part
            for part in parts
            if part
        ]
    )
    if found is not None:
        assert_holds(found, some, data)


@pytest.mark.usefixtures("eager")
@settings(max_examples=150, deadline=None)
@given(ITEMS, st.data())
def test_items_whose_keys_are_known_come_back_from_routines_and_as_they_are_sent(
    some: list[bytes], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(some)), max_size=3)))
    pieces = [some[start:end] for start, end in pairwise([0, *cuts, len(some)])]
    widths = [
        data.draw(st.sampled_from([0, *(w for w in (32, 64, 128) if w > max(map(len, p), default=0))])) for p in pieces
    ]
    parts = [rows_of(piece, width) if width and piece else piece for piece, width in zip(pieces, widths, strict=True)]
    names = keyindex._keys_of(some)
    keys = np.array([sorted(set(names)).index(name) for name in names], np.int32)
    found = likened(parts, keys)
    if found is not None:
        description, rest = found.flattened()
        laid = np.concatenate([part.ravel() for part in rest])
        assert len(laid) == description[0]
        assert_holds(found, some, data)
        assert_holds(Alikes.unflattened(marshal.loads(marshal.dumps(description)), laid), some, data)


@pytest.mark.usefixtures("eager")
def test_of_items_that_are_alike_routines_keep_as_little_as_numpy_does() -> None:
    payload = make_payload(600, 10, 1)
    pool = new_pool(recent_attributes=1000)
    decode(payload, pool)
    parts = [part for _, part in pool.attributes.parts(0)]
    plain, found = alikes_of(parts), likened(parts, pool.keys.of_attributes().astype(np.int32))
    assert plain is not None
    assert found is not None
    assert [*found] == [*plain]
    assert found.nbytes <= 1.05 * plain.nbytes


@pytest.mark.usefixtures("eager")
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ITEMS, st.sampled_from(["items", "rows", "settle", "let go"])), max_size=8))
def test_settled_items_have_the_numbers_and_keys_that_they_had(steps: list[tuple[list[bytes], str]]) -> None:
    interner, expected, gone = Interner(recent=1000), list[bytes](), 0
    kept = interner.items_by_id
    assert isinstance(kept, Items)
    keys = KeyIndex(interner)
    for some, how in steps:
        if how == "rows":
            short = [item for item in some if len(item) < 64]
            kept.extend_rows(rows_of(short, 64) if short else np.zeros((0, 8), np.uint64))
            expected += short
        else:
            kept.extend(some)
            expected += some
        if how == "settle":
            kept.settle()
        keys.refresh()
        if how == "let go":
            kept.let_go()
            gone = len(expected)
        assert len(kept) == len(expected)
        assert [
            item
            for _, part in kept.parts(gone)
            for item in (part if not isinstance(part, np.ndarray) else alikes.items_of(part))
        ] == expected[gone:]
        assert kept.take(np.arange(gone, len(expected), dtype=np.int32)) == expected[gone:]
        assert [kept[number] for number in range(gone, len(expected))] == expected[gone:]
    plain = Interner()
    plain.items_by_id.extend(expected)  # type: ignore[arg-type]
    other = KeyIndex(plain)
    other.refresh()
    names, others = keys.names(), other.names()
    assert [names[k] for k in keys.of_attributes().tolist()] == [others[k] for k in other.of_attributes().tolist()]


@pytest.mark.usefixtures("eager")
def test_what_was_let_go_cannot_be_read() -> None:
    kept = Items()
    kept.extend([b"a", b"b"])
    kept.let_go()
    kept.extend([b"c"])
    assert (len(kept), kept[2]) == (3, b"c")
    with pytest.raises(LookupError):
        kept[1]


@pytest.mark.parametrize(
    ("values", "most"),
    [
        ([f"{n:016x}" for n in np.random.default_rng(1).integers(2**62, 2**63, 500).tolist()], 12),
        ([str(uuid.UUID(bytes=np.random.default_rng(n).bytes(16))) for n in range(500)], 20),
        ([str(uuid.UUID(bytes=np.random.default_rng(n).bytes(16))).upper() for n in range(500)], 20),
        (np.random.default_rng(1).random(500).tolist(), 12),
        ([f"2026-03-04T05:{n // 60 % 60:02}:{n % 60:02}.{n * 7919 % 1000:03}Z" for n in range(500)], 9),
        ([f"order-{n:07}" for n in range(500)], 6),
    ],
    ids=["hex", "uuid", "UUID", "real", "time", "order"],
)
def test_a_value_takes_what_differs_in_it(values: list[object], most: int) -> None:
    found = alikes_of([[encode_attribute("an.attribute.of.some.length", value) for value in values]])
    assert found is not None
    assert found.nbytes / len(values) < most


def test_new_values_of_a_live_pool_take_a_fourth_of_their_rows() -> None:
    load, pool = Load.build(512, 16, 1, run_id="r"), new_pool(20_000)
    for number in range(40):
        decode(load.payload(number), pool)
    kept = pool.attributes.items_by_id
    before, whole = kept.nbytes, [*kept]
    pool.weigh()
    assert kept.nbytes < before / 4
    assert [*kept] == whole


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 700), st.integers(0, 16), st.integers(0, 5)), min_size=1, max_size=4))
def test_a_pool_that_was_weighed_holds_what_it_held(payloads: list[tuple[int, int, int]]) -> None:
    weighed, left = new_pool(50), new_pool(50)
    for payload in payloads:
        here, there = (decode(make_payload(*payload), pool).table for pool in (weighed, left))
        weighed.weigh()
        assert here.attributes.items.tolist() == there.attributes.items.tolist()
        assert [*weighed.attributes.items_by_id] == [*left.attributes.items_by_id]
        for key in ("request.id", "score.value", "zone", "nothing"):
            one, other = here.attribute(key), there.attribute(key)
            assert (one.codes.tolist(), [*one.values]) == (other.codes.tolist(), [*other.values])
