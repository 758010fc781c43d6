"""How alike texts are, held against the textbook's table of distances."""

from __future__ import annotations

import doctest
import importlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.checks.likeness import MOST_COMPARED, are_similar, edit_distance, similarity

TEXTS = st.text(alphabet="abc é日", max_size=40)


def by_the_table(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


@given(TEXTS, TEXTS)
def test_the_distance_is_that_of_the_table(one: str, other: str) -> None:
    assert edit_distance(one, other, 100) == by_the_table(one, other)


@given(TEXTS, TEXTS, st.integers(0, 12))
def test_beyond_the_most_only_that_it_is_beyond_is_told(one: str, other: str, most: int) -> None:
    exact = by_the_table(one, other)
    assert edit_distance(one, other, most) == (exact if exact <= most else most + 1)


@given(TEXTS, TEXTS, st.fractions(0, 1, max_denominator=20))
def test_similar_is_what_has_the_similarity(one: str, other: str, needed: Fraction) -> None:
    assert are_similar(one, other, needed) == ((similarity(one, other) or 0) >= needed)
    assert similarity(one, other) == similarity(other, one)


@pytest.mark.parametrize("size", [63, 64, 65, 1000])
def test_texts_of_any_length_are_compared(size: int) -> None:
    assert edit_distance("a" * size, "b" * size, size) == size
    assert edit_distance("ab" * size, "ba" * size, size) == 2


def test_texts_without_end_are_only_alike_when_equal() -> None:
    """A bound on what one comparison may cost."""
    long = "a" * (MOST_COMPARED + 1)
    assert are_similar(long, long, Fraction(1))
    assert not are_similar(long, long[:-1] + "b", Fraction(1, 2))
    assert similarity(long, "a") is None


@pytest.mark.parametrize("name", ["likeness", "alike"])
def test_the_examples_in_the_docstrings_are_true(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"spanverdict.checks.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
