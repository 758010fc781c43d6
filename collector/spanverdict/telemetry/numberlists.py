"""Lists of numbers in as few bytes as they take: one each for the numbers that come again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from spanverdict.telemetry.narrow import Column, Narrow, narrowed, plain
from spanverdict.telemetry.ragged import Ragged
from spanverdict.telemetry.vectors import Int32s, Rows

PARTS: Final = ("sizes", "frequent", "codes", "recent_sizes", "recent", "rare_sizes", "rare")
"""What lists are kept as; the sizes are those of the rows."""
RECENT, RARE = 254, 255
"""Codes of numbers that stand elsewhere, as they come; that of a frequent one is its place among these."""

_FEW: Final = 64
"""Fewer numbers have no codes: all are rare."""
_PIECE: Final = 1 << 14
"""So many numbers are looked up at a time: what they are looked up by is wide, and stays in the processor's cache."""
_SPREAD: Final = np.arange(4096) * 0.618033988749895 % 1
"""Where a sample is taken, evenly and in step with nothing."""
_NEAR: Final = 1 << 16
_WIDE: Final = 16
"""Where the numbers span more than so many times their count, they are looked up and not counted off."""


def coded(lists: Ragged, narrow: Callable[[Column], Narrow] = narrowed) -> Iterator[Narrow]:
    """Yield the parts of lists, in the order of `PARTS`, columns as `narrow` keeps them."""
    items = lists.items
    frequent = _frequent(items) if len(items) >= _FEW else items[:0]
    yield narrow(np.diff(lists.offsets).astype(np.int32))
    yield plain(frequent)
    if not len(frequent):
        nothing = plain(items[:0])
        yield from (nothing, nothing, nothing, nothing, narrow(items))
        return
    codes, size = _codes(items, frequent), lists.common_size()
    yield plain(codes)
    for code in (RECENT, RARE):
        others = np.flatnonzero(codes == code)
        yield narrow(_in_each(others, lists, size))
        yield narrow(items.take(others))


def _frequent(items: Int32s) -> Int32s:
    """Return the numbers that come most often, as far as a sample tells, ascending."""
    sample = items if len(items) <= len(_SPREAD) else items.take((_SPREAD * len(items)).astype(np.intp))
    found, counts = np.unique(sample, return_counts=True)
    again = np.flatnonzero(counts > 1)
    if len(again) > RECENT:
        again = np.sort(again[np.argsort(-counts[again], kind="stable")[:RECENT]])
    return found[again]


def _codes(items: Int32s, frequent: Int32s) -> Column:
    """Return a byte for each number: its place among the frequent ones, `RECENT` or `RARE`."""
    low, high = int(items.min()), int(items.max())
    least = max(low, high - _NEAR + 1)
    if high - low > _WIDE * len(items):
        places = np.searchsorted(frequent, items).clip(max=len(frequent) - 1)
        others = np.where(items >= least, RECENT, RARE)
        return np.where(frequent[places] == items, places, others).astype(np.uint8)
    code_of = np.full(high - low + 1, RARE, np.uint8)
    code_of[least - low :] = RECENT
    code_of[frequent - low] = np.arange(len(frequent))
    codes = np.empty(len(items), np.uint8)
    for start in range(0, len(items), _PIECE):
        here = slice(start, start + _PIECE)
        code_of.take(items[here] - np.int32(low), mode="clip", out=codes[here])  # faster, and none is outside
    return codes


def _in_each(places: Rows, lists: Ragged, size: int) -> Int32s:
    """Return how many of the places are in each row; `size` is the number that all rows have, if it is one."""
    owners = places // size if size else lists.owners().take(places)
    return np.bincount(owners, minlength=len(lists)).astype(np.int32)
