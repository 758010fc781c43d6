"""Adjusted counts: the figures of the specification, what is no threshold, and what follows from the definition."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spantables import new_pool, table_of
from spanverdict.paths.sampling import ProbabilityState, Sampling, adjusted_count, probability_state, sampling_of

RANGE = 1 << 56
MOST = f"{RANGE - 1:014x}"
NOTHING = ProbabilityState()


def trace_id(randomness: int, front: int = 0xAB) -> str:
    """A trace id whose low 56 bits are `randomness`."""
    return f"{front:018x}{randomness:014x}"


def read(*states: str, randomness: int = RANGE - 1) -> Sampling:
    return sampling_of(
        table_of([{"trace": trace_id(randomness), "id": n + 1, "trace_state": s} for n, s in enumerate(states)])
    )


@pytest.mark.parametrize(
    ("threshold", "count"),
    [("0", "1.00"), ("8", "2.00"), ("c", "4.00"), ("fd70a4", "100.00"), (MOST, str(RANGE) + ".00")],
)
def test_known_thresholds_give_known_counts(threshold: str, count: str) -> None:
    """The figures that the specification gives, and the rarest span there can be."""
    found = read(f"ot=th:{threshold}")
    assert f"{found.adjusted()[0]:.2f}" == count
    assert found.known.all()
    assert found.sampled.tolist() == [threshold != "0"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "vendor=th:8",
        "ot=",
        "ot=th:",
        "ot=th:8;",
        "ot=;th:8",
        "ot=th:G",
        "ot=th:FD70A4",
        "ot=th:123456789abcdef",
        "ot=th:8;th:8",
        "ot=th:8;rv:123",
        "ot=th:8;rv:FFFFFFFFFFFFFF",
        "ot=th: 8",
        "ot=th:8,ot=th:8",
        "OT=th:8",
        "ot =th:8",
        "xot=th:8",
        f"ot=th:8;a:{'x' * 250}",
        "ot=th:٨",
    ],
)
def test_what_breaks_the_format_says_nothing(text: str) -> None:
    assert probability_state(text) == NOTHING


@pytest.mark.parametrize(
    ("text", "threshold", "randomness"),
    [
        ("ot=th:8", 1 << 55, None),
        ("ot=th:80", 1 << 55, None),
        ("ot=th:00000000000001", 1, None),
        (f"ot=rv:{MOST};th:c", 3 << 54, RANGE - 1),
        ("ot=rv:00000000000000", None, 0),
        ("a=b,\tot=th:8 ,c=d=e", 1 << 55, None),
        ("ot=p:8;th:8;x1:A.b_c-", 1 << 55, None),
    ],
)
def test_the_entry_is_read_among_others(text: str, threshold: int | None, randomness: int | None) -> None:
    """Entries of other vendors and fields of other makers are passed over."""
    assert probability_state(text) == ProbabilityState(threshold, randomness)


def test_a_span_that_would_not_have_been_kept_is_unknown() -> None:
    """The random value decides, an explicit one before the trace id; equal to the threshold is kept."""
    half = 1 << 55
    states = ("ot=th:8", f"ot=th:8;rv:{half - 1:014x}", f"ot=th:8;rv:{half:014x}", "ot=th:0", "")
    assert read(*states, randomness=half).known.tolist() == [True, False, True, True, False]
    assert read(*states, randomness=half - 1).known.tolist() == [False, False, True, True, False]


def test_a_run_is_sampled_even_where_the_threshold_cannot_be_right() -> None:
    """Something was dropped on the way, whatever the count may be."""
    found = read("ot=th:8", randomness=0)
    assert (found.sampled.tolist(), found.known.tolist(), found.counts) == ([True], [False], ())


def test_without_any_threshold_nothing_is_known_and_nothing_sampled() -> None:
    found = read("", "vendor=1")
    assert not (found.sampled | found.known).any()
    assert np.isnan(found.adjusted()).all()
    assert len(sampling_of(table_of([]))) == 0


def test_totals_are_exact() -> None:
    """A third cannot be written as a float; the counts add up as fractions."""
    found = read("ot=th:55555555555555", "ot=th:55555555555555", "ot=th:0")
    assert found.total() == 1 + 2 * Fraction(RANGE, RANGE - 0x55555555555555)
    assert found.total(np.array([False, False, True])) == 1
    taken = found.take(np.array([2, -1, 0]))
    assert (taken.known.tolist(), taken.sampled.tolist()) == ([True, False, True], [False, False, True])


@given(st.lists(st.tuples(st.integers(0, RANGE - 1), st.integers(0, RANGE - 1)), max_size=20))
def test_every_span_counts_as_its_threshold_says(made: list[tuple[int, int]]) -> None:
    """Known exactly where the random value reaches the threshold, and then by the definition."""
    pool = new_pool()
    rows = [
        {"trace": trace_id(random, front), "id": 1, "trace_state": f"ot=th:{threshold:014x}"}
        for front, (threshold, random) in enumerate(made, 1)
    ]
    found = sampling_of(table_of(rows, pool))
    expected = [Fraction(RANGE, RANGE - threshold) if random >= threshold else None for threshold, random in made]
    assert [found.counts[code] if code >= 0 else None for code in found.codes.tolist()] == expected
    known = found.take(np.flatnonzero(found.known))
    assert known.total() == sum((count for count in expected if count is not None), Fraction(0))
    assert found.sampled.tolist() == [threshold > 0 for threshold, _ in made]


@given(st.integers(0, RANGE - 1), st.booleans())
def test_trailing_zeros_and_an_explicit_random_value_change_nothing(threshold: int, explicit: bool) -> None:
    """`th:8` and `th:80000000000000` are one threshold; the value may stand in either place."""
    shorter = f"{threshold:014x}".rstrip("0") or "0"
    state = f"ot=th:{shorter};rv:{threshold:014x}" if explicit else f"ot=th:{shorter}"
    found = read(state, randomness=0 if explicit else threshold)
    assert found.counts == (adjusted_count(threshold),)


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    """A trace state comes from anybody."""
    for made in (text, f"ot={text}", f"ot=th:{text}"):
        state = probability_state(made)
        assert state.threshold is None or 0 <= state.threshold < RANGE


def test_a_large_run_with_few_states_is_read_fast() -> None:
    """A hundred thousand traces, two trace states: work a distinct value, not a span."""
    random = np.random.default_rng(1)
    pool = new_pool()
    texts = ("ot=th:8", "ot=th:c", "")
    rows = [{"trace": random.bytes(16), "id": 1, "trace_state": texts[n % 3]} for n in range(20_000)]
    table = table_of(rows, pool)
    table = table.take(np.repeat(np.arange(len(table)), 25))
    begun = time.perf_counter()
    found = sampling_of(table)
    assert time.perf_counter() - begun < 1
    assert found.counts == (2, 4)
