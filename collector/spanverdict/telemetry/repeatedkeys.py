"""Spans that carry an attribute twice, found without looking at every span.

Few spans differ in which keys they carry. So the keys of each are hashed to one number, and of all spans with the same
number one is looked at.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.ragged import Ragged
from spanverdict.telemetry.reordered import Reordered
from spanverdict.telemetry.vectors import Bools, Int32s, UInt64s

Keys: TypeAlias = npt.NDArray[np.uint16] | Int32s

_AT_ONCE: Final = 1 << 16
"""Rows, which bounds the memory that this takes."""
_BUCKETS: Final = 1 << 16
_SHIFT: Final = np.uint64(48)
_FACTORS: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))


def with_repeated_keys(keys: Keys, lists: Ragged) -> Bools:
    """Tell which rows hold two items of the same key, (n_rows,) bool; `keys` are those of all numbers.

    >>> keys, rows = np.array([7, 8, 7]), Ragged(np.array([0, 2, 4]), np.array([0, 1, 0, 2]))
    >>> with_repeated_keys(keys, rows).tolist()
    [False, True]
    """
    if isinstance(lists, Reordered):
        return with_repeated_keys(keys, lists.source)[lists.rows]
    weights = _mixed(keys.astype(np.uint64))
    pieces = (slice(start, start + _AT_ONCE) for start in range(0, len(lists), _AT_ONCE))
    return np.concatenate([np.zeros(0, np.bool_), *(_repeating(keys, weights, lists, piece) for piece in pieces)])


def _mixed(numbers: UInt64s) -> UInt64s:
    mixed = (numbers + np.uint64(1)) * _FACTORS[0]
    mixed ^= mixed >> np.uint64(29)
    return mixed * _FACTORS[1]


def _repeating(keys: Keys, weights: UInt64s, lists: Ragged, rows: slice) -> Bools:
    offsets = lists.offsets[rows.start : rows.stop + 1]
    own = lists.items[offsets[0] : offsets[-1]]
    sums = np.zeros(len(own) + 1, np.uint64)
    np.cumsum(weights.take(own), out=sums[1:])
    starts = offsets - offsets[0]
    shapes = sums[starts[1:]] - sums[starts[:-1]]
    holder = np.full(_BUCKETS, -1, np.intp)
    bucket = (shapes >> _SHIFT).astype(np.intp)
    holder[bucket] = np.arange(len(shapes))
    first = holder.take(bucket)
    if np.count_nonzero(shapes.take(first) != shapes):
        _, one, which = np.unique(shapes, return_index=True, return_inverse=True)
        first = one[which]
    repeats = np.zeros(len(shapes), np.bool_)
    for row in ascending(first).tolist():
        found = keys.take(own[starts[row] : starts[row + 1]]).tolist()
        repeats[row] = len(set(found)) < len(found)
    found_in: Bools = repeats.take(first)
    return found_in
