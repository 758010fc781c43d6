"""Items numbered where they stand get the numbers of equal bytes, and the numbers stand for those bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanverdict.telemetry import interning, recall, recollecting
from spanverdict.telemetry.blocks import PADDING, WIDTHS, Block, by_width, equal_rows, items_of, kept, sizes_of
from spanverdict.telemetry.interning import Interner
from spanverdict.telemetry.items import Items
from spanverdict.telemetry.recollecting import Recollection

EDGES = sorted({size + step for size in (0, 8, *WIDTHS) for step in (-2, -1, 0, 1)} - {-1, -2})
ITEMS = st.one_of(
    st.binary(max_size=3),
    st.builds(lambda fill, size, end: (fill * size)[:size] + end, st.binary(min_size=1, max_size=2), st.sampled_from(EDGES),
              st.sampled_from([b"", b"\0", b"\0\0", b"\x01", b"\xff"])),
    st.integers(0, 40).map(lambda number: b"attribute-%d" % number),
)  # fmt: skip
BATCHES = st.lists(st.lists(ITEMS, max_size=30), max_size=5)


def laid_out(items: Sequence[bytes], between: bytes = b"x") -> tuple[Block, np.ndarray, np.ndarray]:
    sizes = np.array([len(item) for item in items], np.int64)
    starts = np.cumsum([0, *(sizes + len(between))])[:-1] + len(between)
    return Block.writable([between + item for item in items]), starts, sizes


def numbered(interner: Interner, items: Sequence[bytes], recollecting: type[Recollection] | None) -> np.ndarray:
    block, starts, sizes = laid_out(items)
    if recollecting is None:
        return interner.number_within(block, starts, sizes)
    return interner.number_recollected(block, starts.astype(np.int32), sizes.astype(np.int32), recollecting)


@pytest.fixture(params=[15, 2, 1], ids=lambda bits: f"{1 << bits}-slots")
def slots(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, np.errstate(over="ignore"):  # as hashes do
        patch.setattr(interning, "FEW", 0)
        patch.setattr(recall, "SLOT_BITS", dict.fromkeys(WIDTHS, request.param))
        patch.setattr(recollecting, "RING_BITS", dict.fromkeys(WIDTHS, request.param - 1))
        for routine in recollecting.ROUTINES:
            patch.setattr(routine, "machine", None)
        yield


COMPILED = pytest.mark.parametrize("recollecting", [None, Recollection], ids=["numpy", "routines"])
"""How items are looked up; routines run as they were written."""


@COMPILED
@pytest.mark.usefixtures("slots")
@given(BATCHES)
@settings(max_examples=150, deadline=None)
def test_an_interner_that_remembers_all_numbers_equal_items_alike_wherever_they_stand(
    recollecting: type[Recollection] | None,
    batches: list[list[bytes]],
) -> None:
    interner = Interner()
    seen: dict[bytes, int] = {}
    for batch in batches * 2:
        for numbers in (
            numbered(interner, batch, recollecting).tolist(),
            interner.number_all(batch).tolist(),
        ):
            assert [seen.setdefault(item, number) for item, number in zip(batch, numbers, strict=True)] == numbers
    assert interner.items_by_id == sorted(seen, key=seen.__getitem__)
    assert sorted(seen.values()) == list(range(len(interner)))


@COMPILED
@pytest.mark.usefixtures("slots")
@given(BATCHES, st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_numbers_of_an_interner_of_recent_items_stand_for_the_items(
    recollecting: type[Recollection] | None, batches: list[list[bytes]], recent: int
) -> None:
    interner = Interner(recent)
    expected: list[tuple[int, bytes]] = []
    for batch in batches * 2:
        for numbers in (numbered(interner, batch, recollecting), interner.number_all(batch)):
            expected += zip(numbers.tolist(), batch, strict=True)
    items = interner.items_by_id
    assert [items[number] for number, _ in expected] == [item for _, item in expected]
    used = np.unique(np.array([number for number, _ in expected], np.int32))
    assert interner.taken(used) == [items[number] for number in used.tolist()] == items[:]
    assert len(items) == len(used)


def test_recent_items_that_come_again_soon_keep_their_numbers() -> None:
    interner = Interner(recent=10)
    # Two items may meet in one slot, as the factors of the hash are drawn for each process: numbers in a row do by the
    # hundred where these are unlucky, digests nearly never.
    items = [b"attribute-" + sha256(b"%d" % number).digest()[:8] for number in range(interning.FEW)]
    first = interner.number_within(*laid_out(items * 3))[: len(items)]
    kept = interner.number_within(*laid_out(items)) == first
    assert kept.mean() > 0.9
    assert len(interner) < 1.2 * len(items)


def test_items_that_come_in_turns_are_known_soon() -> None:
    interner = Interner(recent=10)
    items = [b"key-%d" % number for number in range(1000)]
    with np.errstate(over="ignore"):
        for _ in range(10):
            numbered(interner, items, Recollection)
        known = len(interner)
        numbered(interner, items, Recollection)
    assert len(interner) - known < 30


@pytest.mark.parametrize("size", [20, 50, 100])
def test_what_never_comes_again_takes_the_place_of_nothing_that_did(size: int) -> None:
    interner, usual = Interner(recent=10), [b"usual".ljust(size)]
    others = [b"%d".ljust(size) % number for number in range(40)]
    with np.errstate(over="ignore"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(recollecting, "_SLOT_SHIFT", np.uint64(63))
        for routine in recollecting.ROUTINES:
            patch.setattr(routine, "machine", None)
        first = numbered(interner, usual * 2, Recollection)
        patch.setattr(recollecting, "_SELDOM", len(others) - 1 | 63)
        numbered(interner, others, Recollection)
        assert numbered(interner, usual, Recollection) == first[:1]
    assert len(interner) == 1 + len(others)


def test_items_that_never_come_again_cost_no_python_object_each() -> None:
    interner = Interner(recent=10)
    for batch in range(5):
        interner.number_within(*laid_out([b"request-%d-%d" % (batch, number) for number in range(1000)]))
    assert len(interner) == 5000
    assert len(interner._numbers) == 1
    assert interner.items_by_id[4321] == b"request-4-321"


def test_the_last_item_of_a_block_may_end_at_its_last_byte() -> None:
    block, starts, sizes = laid_out([b"a" * 127])
    assert len(block.data) == 128 + PADDING
    assert items_of(block.rows(starts, sizes, 128)) == [b"a" * 127]


@given(st.lists(ITEMS, min_size=1))
def test_rows_hold_items_of_every_size_and_nothing_else(items: list[bytes]) -> None:
    block, starts, sizes = laid_out(items, between=b"\xff")
    assert block.cut(starts, sizes) == items
    found = {}
    for width, which in by_width(sizes):
        rows = block.rows(starts[which], sizes[which], width)
        assert sizes_of(rows).tolist() == sizes[which].tolist()
        assert rows.any(axis=1).all()
        heads = kept(rows, np.minimum(sizes[which], 3)).view(np.uint8)
        assert [head.tobytes() for head in heads] == [items[at][:3].ljust(width, b"\0") for at in which]
        found |= dict(zip(which.tolist(), items_of(rows), strict=True))
    assert found == {place: item for place, item in enumerate(items) if len(item) < max(WIDTHS)}


@given(st.integers(0, 2**32), st.sampled_from([4, 8, 16]))
def test_rows_are_equal_where_all_of_their_words_are(seed: int, n_words: int) -> None:
    rng = np.random.Generator(np.random.SFC64(seed))
    some, others = (
        rng.integers(0, 2, (20, n_words)).astype(np.uint64) << rng.integers(0, 64, dtype=np.uint64) for _ in "ab"
    )
    others[::3] = some[::3]
    assert equal_rows(some, others).tolist() == (some == others).all(axis=1).tolist()


@given(st.lists(st.tuples(st.booleans(), st.lists(st.binary(max_size=5), max_size=40)), max_size=8), st.data())
def test_items_in_parts_are_one_sequence(parts: list[tuple[bool, list[bytes]]], data: st.DataObject) -> None:
    items, expected = Items(), []
    for as_rows, part in parts:
        if as_rows and part:
            items.extend_rows(
                Block.of(part).rows(np.cumsum([0, *map(len, part)])[:-1], np.array([*map(len, part)]), 32)
            )
        else:
            items.extend(part)
        expected += part
    assert len(items) == len(expected)
    assert list(items) == items[:] == expected
    start, stop, step = (data.draw(st.none() | st.integers(-9, 60)) for _ in range(3))
    assert items[start : stop : step or None] == expected[start : stop : step or None]
    assert [items[number] for number in range(-len(expected), len(expected))] == expected * 2
    with pytest.raises(IndexError):
        items[len(expected)]
    numbers = sorted(data.draw(st.lists(st.integers(0, max(len(expected) - 1, 0)), max_size=len(expected))))
    assert items.take(np.array(numbers, np.int64)) == [expected[number] for number in numbers]
    begin = data.draw(st.integers(0, len(expected)))
    yielded = [(number, part) for number, part in items.parts(begin)]
    assert [
        item for _, part in yielded for item in (items_of(part) if isinstance(part, np.ndarray) else part)
    ] == expected[begin:]
    assert [number for number, _ in yielded] == list(begin + np.cumsum([0, *(len(part) for _, part in yielded)])[:-1])
