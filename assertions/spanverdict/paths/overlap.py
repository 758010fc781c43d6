"""Where most of several intervals meet."""

from __future__ import annotations

import numpy as np

from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.spantable import Int64s


def meeting(low: Int64s, high: Int64s, strays: int) -> tuple[int, int] | None:
    """Return from where to where all closed intervals overlap; where they do not, all but `strays` of them.

    Then from the first such place to the last. None when so many meet nowhere.

    >>> meeting(np.array([0, 2, 3]), np.array([9, 8, 7]), 0)
    (3, 7)
    >>> meeting(np.array([0, 2, 20]), np.array([9, 8, 30]), 1), meeting(np.array([0, 20]), np.array([9, 30]), 0)
    ((2, 8), None)
    """
    first, last = int(low.max()), int(high.min())
    if first <= last:
        return first, last
    count = len(low)
    places = np.concatenate([low, high])
    order = order_of(places, np.repeat([0, 1], count))
    place, ends = places[order], order >= count
    inside = np.cumsum(np.where(ends, -1, 1)) + ends
    enough = np.flatnonzero(inside >= count - strays)
    return (int(place[enough[0]]), int(place[enough[-1]])) if len(enough) else None


def most_of(low: Int64s, high: Int64s, strays: int) -> tuple[int, int]:
    """Return from where to where the intervals reach, without the `strays` that reach farthest on each side."""
    return int(np.sort(low)[strays]), int(np.sort(high)[len(high) - 1 - strays])
