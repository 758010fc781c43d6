"""What a verdict says of the clocks of its run."""

from __future__ import annotations

from typing import Final

from spanverdict.evaluation.outcomes import ClockPair
from spanverdict.paths.clocks import Clocks

MAX_PAIRS: Final = 100


def clock_pairs(clocks: Clocks) -> tuple[ClockPair, ...]:
    """Return the pairs of clocks that called each other, at most `MAX_PAIRS`, those with most calls first."""
    offsets, names, own = clocks.offsets, clocks.hosts.names, clocks.own
    columns = (offsets.first, offsets.second, offsets.low, offsets.high, offsets.calls, offsets.steady)
    found = []
    for first, second, low, high, calls, steady in zip(*(column.tolist() for column in columns), strict=True):
        basis = ("calls" if steady else "drift") if own[first] and own[second] else "shared"
        found.append(ClockPair(names[first], names[second], -high, -low, calls, basis))
    return tuple(sorted(found, key=lambda pair: (-pair.calls, pair.first, pair.second))[:MAX_PAIRS])
