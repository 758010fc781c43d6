"""Limits with head-room: above what was seen, and round enough for people."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Final

from spanverdict.diagnostics.durations import format_exact

_STEPS: Final = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)
_LEAST_NS: Final = 1_000_000
_HEAD_ROOM: Final = Fraction(3, 2)


def duration_above(ns: float, head_room: Fraction = _HEAD_ROOM) -> str:
    """Return a duration with head-room above what was seen, a millisecond at least.

    >>> duration_above(112_300_000), duration_above(3_100_000_000), duration_above(7)
    ('200ms', '5s', '1ms')
    """
    return format_exact(_rounded_up(max(Fraction(ns) * head_room, Fraction(_LEAST_NS))))


def _rounded_up(ns: Fraction) -> int:
    scale = 1
    while scale * _STEPS[-1] < ns:
        scale *= 10
    return next(step * scale for step in _STEPS if step * scale >= ns)


def share_below(share: float) -> str:
    """Return a share that what was seen clearly reaches.

    >>> share_below(1.0), share_below(0.965), share_below(0.004)
    ('99%', '95%', '0%')
    """
    return f"{max(0, floor(share * 100) - 1)}%"


def share_above(share: float) -> str:
    """Return a share that what was seen stays clearly below.

    >>> share_above(0.0), share_above(0.034), share_above(0.99)
    ('1%', '6%', '100%')
    """
    return f"{min(100, max(1, floor(Fraction(share) * 100 * _HEAD_ROOM) + 1))}%"
