"""Distributions written out for intervals of confidence, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from spanverdict.evaluation.distributions import (
    beta_cdf,
    binomial_cdf,
    binomial_quantile,
    chi_square_tail,
    normal_quantile,
    t_quantile,
)

SHARES = st.floats(0.001, 0.999)


def test_the_beta_distribution_is_scipys() -> None:
    """Proves it where it matters, within some deviations of the mean, and anywhere."""
    rng = np.random.default_rng(1)
    a, b = 10 ** rng.uniform(-1, 5, (2, 3000))
    near = a / (a + b) + rng.normal(size=3000) * np.sqrt(a * b / (a + b + 1)) / (a + b)
    x = np.where(rng.random(3000) < 0.7, np.clip(near, 0, 1), rng.random(3000))
    found = [beta_cdf(*each) for each in zip(a.tolist(), b.tolist(), x.tolist(), strict=True)]
    np.testing.assert_allclose(found, stats.beta.cdf(x, a, b), atol=1e-9)


def test_the_chi_square_distribution_is_scipys() -> None:
    rng = np.random.default_rng(2)
    freedom = 10 ** rng.uniform(-0.3, 4, 3000)
    value = freedom * 10 ** rng.uniform(-1, 1, 3000)
    found = [chi_square_tail(*each) for each in zip(value.tolist(), freedom.tolist(), strict=True)]
    np.testing.assert_allclose(found, stats.chi2.sf(value, freedom), atol=1e-10)
    assert chi_square_tail(0, 3) == 1


@pytest.mark.parametrize("share", [0.5, 0.75, 0.9, 0.975, 0.995, 0.9995])
def test_quantiles_of_student_and_of_the_normal_distribution_are_scipys(share: float) -> None:
    freedom = np.arange(20, 400)
    np.testing.assert_allclose([t_quantile(share, f) for f in freedom], stats.t.ppf(share, freedom), atol=5e-5)
    assert normal_quantile(share) == pytest.approx(stats.norm.ppf(share))


@given(st.integers(1, 100_000), SHARES, SHARES)
def test_the_binomial_distribution_and_its_quantiles_are_scipys(n: int, share: float, wanted: float) -> None:
    k = binomial_quantile(wanted, n, share)
    assert binomial_cdf(k, n, share) == pytest.approx(stats.binom.cdf(k, n, share), abs=1e-9)
    assert stats.binom.cdf(k, n, share) > wanted - 1e-9
    assert stats.binom.cdf(k - 1, n, share) < wanted + 1e-9


def test_the_binomial_distribution_has_ends() -> None:
    assert [binomial_cdf(k, 3, 0.5) for k in (-1, 3, 4)] == [0, 1, 1]
    assert binomial_quantile(0.999999, 1, 0.5) == 1
    assert binomial_quantile(0.000001, 5, 0.999) == 3
