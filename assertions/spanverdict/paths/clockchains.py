"""How far two clocks differ between which nobody called, over clocks in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from spanverdict.telemetry.spantable import Bools, Int64s

MAX_CALLS: Final = 8
"""How many pairs of clocks that call each other a chain may have."""
_FAR: Final = np.int64(1 << 62)
_WIDEST: Final = 1 << 58
"""Nanoseconds of doubt about one pair, beyond which it is no part of a chain: nine years."""
_STEPS: Final = 4_000_000
"""Entries that are looked at in one go, which bounds the memory."""
_MOST_STEPS: Final = 20_000_000
"""More are not looked at: what is left is not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Chains:
    """Pairs of clocks with what is known of them, one entry a pair, and what follows for other pairs."""

    first: Int64s
    second: Int64s
    low: Int64s
    """The least to add to times by the second to have them by the first …"""
    high: Int64s
    """… and the most."""
    n_clocks: int

    def between(self, first: Int64s, second: Int64s) -> tuple[Int64s, Int64s, Bools]:
        """Return (low, high, known) along the chain that leaves least in doubt."""
        sources, place = np.unique(first, return_inverse=True)
        edges = self._edges()
        low, high = np.zeros(len(first), np.int64), np.zeros(len(first), np.int64)
        known = np.zeros(len(first), np.bool_)
        size = max(1, self.n_clocks, len(edges.source))
        chunk = max(1, _STEPS // size)
        for begin in range(0, min(len(sources), _MOST_STEPS // size), chunk):
            width, least = edges.spread(sources[begin : begin + chunk], self.n_clocks)
            here = np.flatnonzero((place >= begin) & (place < begin + chunk))
            found = width[place[here] - begin, second[here]], least[place[here] - begin, second[here]]
            known[here] = found[0] < _FAR
            low[here] = found[1]
            high[here] = np.where(known[here], found[1] + found[0], 0)
        return low, high, known

    def _edges(self) -> _Edges:
        """Return every pair in both directions, by where it leads."""
        source, target = np.concatenate([self.first, self.second]), np.concatenate([self.second, self.first])
        low = np.concatenate([self.low, -self.high])
        width = np.tile(self.high - self.low, 2)
        order = np.lexsort((source, target))
        order = order[width[order] <= _WIDEST]
        return _Edges(source[order], target[order], low[order], width[order])


@dataclass(frozen=True, slots=True, eq=False)
class _Edges:
    source: Int64s
    target: Int64s
    """Ascending."""
    low: Int64s
    width: Int64s

    def spread(self, sources: Int64s, n_clocks: int) -> tuple[Int64s, Int64s]:
        """Return (width, low) of every clock from each source, (n_sources, n_clocks), `_FAR` wide where none leads.

        One round more is one pair more along the way (Bellman and Ford).
        """
        rows = np.arange(len(sources))
        width = np.full((len(sources), n_clocks), _FAR)
        low = np.zeros((len(sources), n_clocks), np.int64)
        width[rows, sources] = 0
        heads = np.flatnonzero(np.diff(self.target, prepend=-1))
        targets, number = self.target[heads], np.arange(len(self.target))
        for _ in range(MAX_CALLS if len(heads) else 0):
            tried = np.minimum(width[:, self.source] + self.width, _FAR)
            best = np.minimum.reduceat(tried, heads, axis=1)
            is_best = tried == np.repeat(best, np.diff(np.append(heads, len(number))), axis=1)
            edge = np.minimum.reduceat(np.where(is_best, number, len(number)), heads, axis=1)
            better = best < width[:, targets]
            if not better.any():
                break
            reached = low[rows[:, None], self.source[edge]] + self.low[edge]
            low[:, targets] = np.where(better, reached, low[:, targets])
            width[:, targets] = np.where(better, best, width[:, targets])
        return width, low
