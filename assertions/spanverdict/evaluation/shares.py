"""Intervals of confidence for a share: where the true one lies when so many of so many samples were true."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypeAlias

from spanverdict.evaluation.distributions import beta_cdf, normal_quantile

Ends: TypeAlias = tuple[float, float]

EXACT_BELOW: Final = 40
"""Samples below which the exact interval is taken."""
FEW: Final = 4
"""Samples of one kind below which it is taken too.

Wilson's leaves out a share close to 0 or 1 up to six times as often as its level says: of one false in 100 it would
conclude that the share is not 99.9 %, which it then is in ten of a hundred such runs. Brown, Cai and DasGupta (2001)
correct it for one, two and three of a kind.
"""
_HALVINGS: Final = 60


def share_ends(true: float, n: float, level: float) -> Ends:
    """Return the interval for a share; `true` and `n` need not be whole, as for weighted samples.

    >>> [round(end, 4) for end in share_ends(195, 200, 0.95)]
    [0.9428, 0.9893]
    """
    exact = n < EXACT_BELOW or min(true, n - true) < FEW
    return exact_ends(true, n, level) if exact else wilson_ends(true, n, level)


def wilson_ends(true: float, n: float, level: float) -> Ends:
    """Return the score interval of E. B. Wilson (1927)."""
    z = normal_quantile(0.5 + level / 2)
    share = true / n
    centre = share + z * z / (2 * n)
    reach = z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    scale = 1 + z * z / n
    low = 0.0 if true <= 0 else max(0.0, (centre - reach) / scale)
    return low, 1.0 if true >= n else min(1.0, (centre + reach) / scale)


def exact_ends(true: float, n: float, level: float) -> Ends:
    """Return the interval of C. J. Clopper and E. S. Pearson (1934), which covers at least as often as it says."""
    tail = (1 - level) / 2
    low = 0.0 if true <= 0 else _crossing(lambda share: beta_cdf(true, n - true + 1, share) > tail)
    high = 1.0 if true >= n else _crossing(lambda share: beta_cdf(true + 1, n - true, share) > 1 - tail)
    return low, high


def _crossing(beyond: Callable[[float], bool]) -> float:
    """Return the share from which on something holds."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return (low + high) / 2
