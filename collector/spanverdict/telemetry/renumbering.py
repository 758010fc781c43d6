"""Numbers of one pool as those of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from spanverdict.telemetry.distinct import distinct
from spanverdict.telemetry.interning import Interner
from spanverdict.telemetry.ragged import Ragged
from spanverdict.telemetry.vectors import Int32s


def moved(numbers: Int32s, move: Callable[[list[int]], Sequence[int] | Int32s]) -> Int32s:
    """Renumber through the distinct numbers that are used."""
    if not len(numbers):
        return numbers
    used, positions = distinct(numbers)
    return np.asarray(move(used.tolist()), np.int32)[positions]


def moved_items(numbers: Int32s, source: Interner, target: Interner) -> Int32s:
    """Number items of `source` in `target`, adding those that it does not know."""
    if not len(numbers):
        return numbers
    used, positions = distinct(numbers)
    return target.number_all(source.taken(used))[positions]


def moved_lists(lists: Ragged, source: Interner, target: Interner) -> Ragged:
    """Do so for the items of lists."""
    return Ragged(lists.offsets, moved_items(lists.items, source, target))
