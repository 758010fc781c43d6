"""Spans that carry an attribute twice, found without looking at every span.

Few spans differ in which keys they carry. So the keys of each are hashed to one number, and of all spans with the same
number one is looked at.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.keyindex import KeyNumbers
from spanverdict.telemetry.ragged import Ragged
from spanverdict.telemetry.reordered import Reordered
from spanverdict.telemetry.vectors import Bools, Int32s, Int64s, UInt64s

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
        known = lists.known_keys()
        if known is None:
            return with_repeated_keys(keys, lists.source).take(lists.rows)
        return _repeating_rows(np.arange(1 + int(keys.max())), lists.source.offsets, known).take(lists.rows)
    return _repeating_rows(keys, lists.offsets, lists.items)


def _repeating_rows(keys: Keys | Int64s, offsets: Int64s, items: Int32s | KeyNumbers) -> Bools:
    """Tell which lists hold two items of the same key; items are whatever has keys, keys themselves too."""
    weights = _mixed(keys.astype(np.uint64))
    found = np.zeros(len(offsets) - 1, np.bool_)
    for start in range(0, len(found), _AT_ONCE):
        part = offsets[start : start + _AT_ONCE + 1]
        found[start : start + _AT_ONCE] = _repeating(keys, weights, part - part[0], items[part[0] : part[-1]])
    return found


def _mixed(numbers: UInt64s) -> UInt64s:
    mixed = (numbers + np.uint64(1)) * _FACTORS[0]
    mixed ^= mixed >> np.uint64(29)
    return mixed * _FACTORS[1]


def _repeating(keys: Keys | Int64s, weights: UInt64s, starts: Int64s, own: Int32s | KeyNumbers) -> Bools:
    sums = np.zeros(len(own) + 1, np.uint64)
    np.cumsum(weights.take(own), out=sums[1:])
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
