"""Intervals for shares, against scipy's, and how often they cover the true share."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from spanverdict.evaluation.shares import EXACT_BELOW, FEW, exact_ends, share_ends, wilson_ends

LEVELS = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999])
COUNTS = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS, LEVELS)
def test_both_intervals_are_scipys(counts: tuple[int, int], level: float) -> None:
    test = stats.binomtest(*counts)
    assert wilson_ends(*counts, level) == pytest.approx(tuple(test.proportion_ci(level, "wilson")), abs=1e-9)
    assert exact_ends(*counts, level) == pytest.approx(tuple(test.proportion_ci(level, "exact")), abs=1e-9)


@given(COUNTS, LEVELS)
def test_the_exact_one_is_taken_below_forty_and_for_few_of_a_kind(counts: tuple[int, int], level: float) -> None:
    true, n = counts
    exact = n < EXACT_BELOW or true < FEW or n - true < FEW
    assert share_ends(true, n, level) == (exact_ends if exact else wilson_ends)(true, n, level)


@given(COUNTS)
def test_more_confidence_is_a_wider_interval_around_what_was_observed(counts: tuple[int, int]) -> None:
    ends = [share_ends(*counts, level) for level in (0.5, 0.8, 0.9, 0.95, 0.99)]
    assert all(wide[0] <= low and high <= wide[1] for (low, high), wide in itertools.pairwise(ends))
    assert all(low <= counts[0] / counts[1] <= high for low, high in ends)


@given(st.integers(0, 40), st.integers(2, 10))
def test_more_samples_of_the_same_share_are_a_narrower_interval(true: int, times: int) -> None:
    low, high = share_ends(true, 40, 0.95)
    narrow = share_ends(true * times, 40 * times, 0.95)
    assert narrow[1] - narrow[0] < high - low


@given(COUNTS)
def test_true_and_false_are_alike(counts: tuple[int, int]) -> None:
    true, n = counts
    low, high = share_ends(true, n, 0.95)
    assert share_ends(n - true, n, 0.95) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def coverage(n: int, level: float, share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how likely the interval of n samples holds each true share, summed over all that can be observed."""
    ends = np.array([share_ends(true, n, level) for true in range(n + 1)])
    likely = stats.binom.pmf(np.arange(n + 1)[:, None], n, share[None])
    inside = (ends[:, :1] <= share) & (share <= ends[:, 1:])
    found: npt.NDArray[np.float64] = (likely * inside).sum(axis=0)
    return found


@pytest.mark.parametrize("n", [1, 2, 5, 10, 25, 39])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_below_forty_samples_every_share_is_covered_as_often_as_the_level_says(n: int, level: float) -> None:
    assert coverage(n, level, np.linspace(0.001, 0.999, 999)).min() >= level


@pytest.mark.parametrize("n", [40, 100, 200, 1000])
@pytest.mark.parametrize(("level", "worst"), [(0.8, 0.73), (0.95, 0.92), (0.99, 0.965)])
def test_from_forty_on_shares_are_covered_so_often_on_the_whole_and_never_much_less(
    n: int, level: float, worst: float
) -> None:
    found = coverage(n, level, np.linspace(0.0005, 0.9995, 2000))
    assert found.mean() >= level - 0.0005
    assert found.min() >= worst


def test_without_the_exact_interval_for_few_of_a_kind_shares_near_one_would_be_left_out_far_too_often() -> None:
    """Proves the reason for `FEW`: one false in 100 is no evidence against 99.9 %."""
    assert wilson_ends(99, 100, 0.95)[1] < 0.999
    assert share_ends(99, 100, 0.95)[1] > 0.999
    assert 1 - 0.999**100 > 0.09
