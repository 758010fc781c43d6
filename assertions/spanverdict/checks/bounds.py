"""Values that are only known to lie between two others, as the clocks of two hosts may differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from spanverdict.telemetry.spantable import Bools, Int64s, Rows

if TYPE_CHECKING:
    from spanverdict.checks.numbers import Float64s

NO_LOW: Final = int(np.iinfo(np.int64).min)
"""Stands for a value that nothing bounds from below …"""
NO_HIGH: Final = int(np.iinfo(np.int64).max)
"""… and from above."""
CERTAIN: Final = -1
"""The cause of a value that is not in doubt."""


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Between what each value of a measurement lies, and why. All arrays are (n,)."""

    low: Int64s | Float64s
    """`NO_LOW` where nothing bounds it."""
    high: Int64s | Float64s
    """Not less than `low`; `NO_HIGH` where nothing bounds it."""
    sent: Int64s | Float64s
    """What the times as they were sent say, which may lie outside."""
    cause: Int64s
    """What makes each uncertain, `CERTAIN` for nothing."""
    say: Callable[[int], str]
    """Puts a cause into words."""

    def part(self, kept: Rows) -> Bounds:
        """Return the bounds of some values."""
        return Bounds(self.low[kept], self.high[kept], self.sent[kept], self.cause[kept], self.say)

    def nearest(self) -> Int64s | Float64s:
        """Return the values as sent, but where these cannot be the nearest that can."""
        near: Int64s | Float64s = np.clip(self.sent, self.low, self.high)  # type: ignore[assignment] # the type stays
        return near

    @property
    def corrected(self) -> Bools:
        """Tell which values as sent cannot be."""
        return (self.sent < self.low) | (self.sent > self.high)

    def note(self) -> str:
        """Say what puts most values in doubt, and how much else does; empty when none is."""
        causes, counts = np.unique(self.cause[self.cause != CERTAIN], return_counts=True)
        if not len(causes):
            return ""
        said = self.say(int(causes[np.argmax(counts)]))
        others = len(causes) - 1
        return f"{said}, and {others} other pair{'s' if others > 1 else ''} of clocks" if others else said
