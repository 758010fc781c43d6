"""The forest against a naive one that walks from span to span, and its speed on trees of extreme shape."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slow_forest import Naive
from spantables import new_pool, table_of
from spanverdict.paths.forest import _MIX, _MIX_GROUP, MAX_HOPS, Forest, SpanIndex, grow, mixed
from spanverdict.telemetry.spantable import SpanTable


@st.composite
def forests(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[int], list[tuple[int, int]]]:
    """Rows with few ids, so that duplicates, self-parents, cycles and missing parents all come up."""
    count = draw(st.integers(0, 14))
    few = st.integers(1, 9)
    rows = [
        {"trace": "t", "id": draw(few), "parent": draw(st.integers(0, 10)), "start": draw(st.integers(0, 5))}
        for _ in range(count)
    ]
    group = [draw(st.integers(0, 2)) for _ in range(count)]
    places = st.integers(0, max(count - 1, 0))
    links = draw(st.lists(st.tuples(places, places), max_size=8)) if count else []
    return rows, group, links


def grown(rows: list[dict[str, Any]], group: list[int], links: list[tuple[int, int]]) -> Forest:
    pairs = (np.array([a for a, _ in links], np.intp), np.array([b for _, b in links], np.intp))
    return grow(table_of(rows), np.array(group, np.int64), pairs)


@settings(deadline=None)
@given(forests())
def test_places_are_those_of_a_naive_walk(made: tuple[list[dict[str, Any]], list[int], list[tuple[int, int]]]) -> None:
    """Parents, defects, depth, root, order and size of random forests with every kind of defect."""
    rows, group, links = made
    forest, naive = grown(*made), Naive(rows, group, links)
    paths = [naive.path(number) for number in range(len(rows))]
    assert forest.parent.tolist() == naive.parent
    assert forest.orphan.tolist() == naive.orphan
    assert forest.cyclic.tolist() == naive.cyclic
    assert forest.depth.tolist() == [len(path) for path in paths]
    assert np.argsort(forest.preorder).tolist() == naive.preorder()
    assert forest.size.tolist() == [1 + sum(n in path for path in paths) for n in range(len(rows))]


@settings(deadline=None)
@given(forests(), st.sets(st.integers(0, 13)))
def test_masks_are_those_of_a_naive_walk(
    made: tuple[list[dict[str, Any]], list[int], list[tuple[int, int]]], chosen: set[int]
) -> None:
    """Each relation, over parent edges and link edges with cycles and repeats."""
    forest, naive = grown(*made), Naive(*made)
    chosen = {number for number in chosen if number < len(forest)}
    of = np.zeros(len(forest), np.bool_)
    of[sorted(chosen)] = True
    before = of.copy()
    for mask, expected in (
        (forest.children(of), naive.children(chosen)),
        (forest.parents(of), naive.parents(chosen)),
        (forest.siblings(of), naive.siblings(chosen)),
        (forest.descendants(of), naive.below(chosen)),
        (forest.ancestors(of), naive.above(chosen)),
    ):
        assert mask.dtype == np.bool_
        assert set(np.flatnonzero(mask).tolist()) == expected
    assert np.array_equal(of, before)


@settings(deadline=None)
@given(forests(), st.randoms(use_true_random=False))
def test_the_order_of_rows_makes_no_difference(
    made: tuple[list[dict[str, Any]], list[int], list[tuple[int, int]]], random: Any
) -> None:
    """A forest of spans with ids of their own is the same whichever row came first."""
    rows, group, _ = made
    rows = [{**row, "id": number + 1} for number, row in enumerate(rows)]
    order = list(range(len(rows)))
    random.shuffle(order)
    forest, other = grown(rows, group, []), grown([rows[n] for n in order], [group[n] for n in order], [])
    assert forest.preorder[order].tolist() == other.preorder.tolist()
    assert forest.size[order].tolist() == other.size.tolist()


@settings(deadline=None)
@given(forests())
def test_nested_set_numbers_enclose_exactly_the_descendants(
    made: tuple[list[dict[str, Any]], list[int], list[tuple[int, int]]],
) -> None:
    """Numbers run from 1 in each group without a gap, and one interval lies in another only below it."""
    forest = grown(made[0], made[1], [])
    left, right = forest.nested_set()
    for number in set(made[1]):
        inside = np.array(made[1]) == number
        assert sorted([*left[inside], *right[inside]]) == list(range(1, 2 * inside.sum() + 1))
    for a in range(len(forest)):
        below = (left > left[a]) & (right < right[a]) & (forest.group == forest.group[a])
        assert np.array_equal(below, forest.descendants(np.arange(len(forest)) == a))


def test_nested_set_of_a_known_tree() -> None:
    """The textbook numbering of one small trace."""
    rows = [
        {"trace": "t", "id": 1, "start": 0},
        {"trace": "t", "id": 2, "parent": 1, "start": 1},
        {"trace": "t", "id": 3, "parent": 2, "start": 2},
        {"trace": "t", "id": 4, "parent": 1, "start": 3},
    ]
    left, right = grow(table_of(rows)).nested_set()
    assert left.tolist() == [1, 2, 3, 6]
    assert right.tolist() == [8, 5, 4, 7]


def test_groups_below_zero_and_far_apart_are_kept_apart() -> None:
    """-1 for "no request" and sparse numbers are groups like any other."""
    rows = [{"trace": "t", "id": 1}, {"trace": "t", "id": 2, "parent": 1}] * 3
    forest = grow(table_of(rows), np.array([-1, -1, 10**12, 10**12, 7, 8]))
    assert forest.parent.tolist() == [-1, 0, -1, 2, -1, -1]
    assert forest.orphan.tolist() == [False] * 5 + [True]
    assert forest.nested_set()[0].tolist() == [1, 2, 1, 2, 1, 1]


def test_an_empty_table_has_an_empty_forest() -> None:
    forest = grow(table_of([]))
    assert len(forest) == 0
    assert len(forest.descendants(np.zeros(0, np.bool_))) == 0
    assert len(forest.nested_set()[0]) == 0


def test_a_path_follows_at_most_so_many_links() -> None:
    """A chain of links longer than the limit is followed up to the limit."""
    rows = [{"trace": str(n), "id": n + 1} for n in range(MAX_HOPS + 6)]
    links = [(n, n + 1) for n in range(MAX_HOPS + 5)]
    forest = grown(rows, [0] * len(rows), links)
    first = np.arange(len(rows)) == 0
    assert forest.descendants(first).sum() == MAX_HOPS
    assert forest.ancestors(first[::-1]).sum() == MAX_HOPS


def test_ids_that_mix_to_the_same_key_are_told_apart() -> None:
    """The index is right even where its hash collides."""
    group = np.array([1, 2], np.int64)
    wanted = int(mixed(group[:1], np.array([5], np.uint64))[0])
    spread = 2 * int(_MIX) % 2**64
    twin = (wanted - spread) * pow(int(_MIX_GROUP), -1, 2**64) % 2**64 ^ (spread >> 29)
    table = table_of([{"trace": "t", "id": 5}, {"trace": "t", "id": twin}])
    keys = mixed(group, table.span_id)
    assert keys[0] == keys[1], "the two ids were made to collide"
    index = SpanIndex.of(table, group)
    assert index.find(group, table.span_id).tolist() == [0, 1]
    assert index.find(group[::-1], table.span_id).tolist() == [-1, -1]


def bare_table(parent: np.ndarray[Any, Any], start: np.ndarray[Any, Any]) -> SpanTable:
    count = len(parent)
    return replace(
        SpanTable.empty(new_pool()),
        trace=np.zeros(count, np.int32),
        span_id=np.arange(1, count + 1, dtype=np.uint64),
        parent_span_id=parent.astype(np.uint64),
        start_time_unix_nano=start.astype(np.int64),
    )


def chain(count: int, depth: int) -> np.ndarray[Any, Any]:
    parent = np.arange(count)
    parent[::depth] = 0
    return parent


def star(count: int, fan: int) -> np.ndarray[Any, Any]:
    return np.where(np.arange(count) < fan, 1, fan) * (np.arange(count) > 0)


def cycle(count: int) -> np.ndarray[Any, Any]:
    return np.roll(np.arange(1, count + 1), 1)


@pytest.mark.parametrize(
    ("shape", "depth"),
    [(chain(100_000, 10_000), 9_999), (star(100_000, 50_000), 2), (cycle(100_000), 99_999)],
    ids=["10,000 deep", "50,000 wide", "one cycle"],
)
def test_extreme_shapes_take_well_under_two_seconds(shape: np.ndarray[Any, Any], depth: int) -> None:
    """100,000 spans in the worst shapes: grown, and every relation asked once."""
    table = bare_table(shape, np.arange(len(shape)))
    begun = time.perf_counter()
    forest = grow(table)
    of = np.arange(len(forest)) % 7 == 0
    assert forest.descendants(of).any()
    assert forest.ancestors(of).any()
    for relation in (forest.children, forest.parents, forest.siblings):
        assert relation(of).sum() < len(forest)
    forest.nested_set()
    assert time.perf_counter() - begun < 2
    assert forest.depth.max() == depth
