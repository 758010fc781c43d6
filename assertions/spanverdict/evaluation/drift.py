"""How far two samples are from having one distribution, and how far such samples are when they have.

Numbers are given as ladders (see `ranking`), categories as counts. What samples of unchanged values reach by chance in
one of twenty comparisons is the *floor*: below it a statistic says nothing. It shrinks with 1/n + 1/m, the *scatter* of
samples of n and m values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.evaluation.differences import SEED
from spanverdict.evaluation.distributions import chi_square_tail, normal_quantile
from spanverdict.evaluation.ranking import Ladder

Float64s: TypeAlias = npt.NDArray[np.float64]
Counts: TypeAlias = npt.NDArray[np.int64]

CHANCE: Final = 0.05
"""How often unchanged values exceed the floor."""
KOLMOGOROV: Final = 1.358
"""What the scaled Kolmogorov-Smirnov statistic exceeds so often (N. Smirnov, 1948)."""
BINS: Final = 10
"""Of equal share of the baseline, for the population stability index."""
EMPTY: Final = 0.5
"""Added to the count of every bin, so that an empty one is rare and not impossible."""
FEWEST_EXPECTED: Final = 5
"""Categories of which fewer are expected are taken together (W. G. Cochran, 1954)."""
NOTEWORTHY: Final = 0.1
"""A change of this total variation is what a chi-square test has to be able to find, …"""
POWER: Final = 0.8
"""… so often."""
_DRAWS: Final = 2_000
_MOST_DRAWN: Final = 400_000
"""Draws times categories."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One statistic of drift."""

    value: float
    """A distance; of chi-square how likely it is without drift."""
    floor: float
    """What unchanged values reach by chance; 0 where the statistic is a probability."""
    most: str
    """Where most of it is, in words."""


def kolmogorov_smirnov(run: Ladder, baseline: Ladder, scatter: float) -> Drift:
    """Return the largest distance between the two distributions, 0..1."""
    points = np.unique(np.concatenate([run.values, baseline.values]))
    here, there = _reached(run, points), _reached(baseline, points)
    at = int(np.argmax(np.abs(here - there)))
    most = f"{_percent(here[at])} are {points[at]:.6g} or less, of the baseline {_percent(there[at])}"
    return Drift(float(abs(here[at] - there[at])), KOLMOGOROV * math.sqrt(scatter), most)


def stability_index(run: Ladder, baseline: Ladder, sizes: tuple[float, float]) -> Drift:
    """Return the population stability index: the divergence, both ways, of shares in bins.

    The bins are tenths of the baseline, those below and above all of it two more. The floor is that of a chi-square
    variable (B. Yurdakul, 2018).
    """
    edges = np.unique(baseline.at(np.arange(1, BINS + 1) / BINS * baseline.reach[-1]))
    edges = np.unique(np.append(baseline.values[:1], edges))
    shares = [_in_bins(each, edges) for each in (run, baseline)]
    here, there = (_never_empty(each, size) for each, size in zip(shares, sizes, strict=True))
    terms = (here - there) * np.log(here / there)
    at = int(np.argmax(terms))
    most = f"{_percent(shares[0][at])} are {_bin_text(edges, at)}, of the baseline {_percent(shares[1][at])}"
    scatter = 1 / sizes[0] + 1 / sizes[1]
    return Drift(float(terms.sum()), _chi_square_quantile(CHANCE, max(1, len(edges) - 1)) * scatter, most)


def shift(run: Ladder, baseline: Ladder, scatter: float) -> Drift:
    """Return how much likelier than not a value of one is larger than one of the other, 0..1.

    It is twice the distance from a half of what Mann and Whitney's U is to all pairs (N. Cliff, 1993).
    """
    below = _reached(baseline, run.values, side="left") + _reached(baseline, run.values)
    larger = float(np.sum(np.diff(run.reach, prepend=0) * below) / 2 / run.reach[-1])
    most = f"a value is larger than one of the baseline in {_percent(larger)}"
    return Drift(abs(2 * larger - 1), normal_quantile(1 - CHANCE / 2) * math.sqrt(scatter / 3), most)


def total_variation(run: Counts, baseline: Counts, names: tuple[str, ...]) -> Drift:
    """Return which part of the values would have to change category, 0..1; the floor is simulated from a fixed seed."""
    here, there = run / run.sum(), baseline / baseline.sum()
    draws = max(100, min(_DRAWS, _MOST_DRAWN // len(names)))
    random = np.random.RandomState(SEED)
    pooled = (run + baseline) / (run.sum() + baseline.sum())
    drawn = [random.multinomial(int(counts.sum()), pooled, draws) / counts.sum() for counts in (run, baseline)]
    by_chance = np.sort(np.abs(drawn[0] - drawn[1]).sum(axis=1) / 2)
    value = float(np.abs(here - there).sum() / 2)
    return Drift(value, float(by_chance[math.ceil((1 - CHANCE) * draws) - 1]), _most(here, there, names))


def chi_square(run: Counts, baseline: Counts, names: tuple[str, ...]) -> Drift:
    """Return how likely counts so unlike each other are without drift (K. Pearson, 1900).

    Categories with small expected counts are taken together.
    """
    most = _most(run / run.sum(), baseline / baseline.sum(), names)
    table = pooled_rare(run, baseline)
    if table.shape[1] < 2:  # noqa: PLR2004 - one category is no distribution
        return Drift(1.0, 0.0, most)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    value = float(((table - expected) ** 2 / expected).sum())
    return Drift(chi_square_tail(value, table.shape[1] - 1), 0.0, most)


def pooled_rare(run: Counts, baseline: Counts) -> Counts:
    """Return both counts (2, k) with all categories in one of which too few are expected in the smaller sample.

    Should these be too few together, the rarest of the others joins them.
    """
    table = np.stack([run, baseline])
    expected = table.sum(axis=0) * (table.sum(axis=1).min() / table.sum())
    order = np.argsort(-expected, kind="stable")
    common = int((expected >= FEWEST_EXPECTED).sum())
    if 0 < common < len(order) and expected[order[common:]].sum() < FEWEST_EXPECTED:
        common -= 1
    kept, rare = table[:, order[:common]], table[:, order[common:]]
    return np.column_stack([kept, rare.sum(axis=1)]) if rare.shape[1] else kept


def scatter_to_find(chance: float, freedom: int) -> float:
    """Return the scatter from which down a chi-square test at this level finds what is noteworthy in most runs.

    A change of total variation d makes a chi-square of at least 4 d² / scatter.
    """
    limit = _chi_square_quantile(chance, freedom)
    reach = normal_quantile(POWER)

    def found(excess: float) -> bool:
        return excess + freedom - limit >= reach * math.sqrt(2 * (freedom + 2 * excess))

    return 4 * NOTEWORTHY**2 / _crossing(found)


def _chi_square_quantile(chance: float, freedom: int) -> float:
    """Return what a chi-square variable exceeds with so much chance."""
    return _crossing(lambda value: chi_square_tail(value, freedom) <= chance)


def _crossing(beyond: Callable[[float], bool]) -> float:
    """Return the number from which on something holds."""
    low, high = 0.0, 1.0
    while not beyond(high):
        low, high = high, high * 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return high


def _reached(ladder: Ladder, points: Float64s, side: str = "right") -> Float64s:
    """Return which part of the known values lies at or below each point, or below it."""
    place = np.searchsorted(ladder.values, points, side=side)  # type: ignore[call-overload] # of the two that there are
    found: Float64s = np.concatenate([[0.0], ladder.reach / ladder.reach[-1]])[place]
    return found


def _in_bins(ladder: Ladder, edges: Float64s) -> Float64s:
    """Return the share of every bin: below all edges, up to each, and above."""
    up_to = np.concatenate([[0.0], _reached(ladder, edges[:1], "left"), _reached(ladder, edges), [1.0]])
    found: Float64s = np.diff(up_to)
    return found


def _never_empty(shares: Float64s, size: float) -> Float64s:
    counts = shares * size + EMPTY
    found: Float64s = counts / counts.sum()
    return found


def _bin_text(edges: Float64s, at: int) -> str:
    if at == 0:
        return f"below {edges[0]:.6g}"
    if at > len(edges):
        return f"above {edges[-1]:.6g}"
    return f"{edges[0]:.6g}" if at == 1 else f"above {edges[at - 2]:.6g} up to {edges[at - 1]:.6g}"


def _most(here: Float64s, there: Float64s, names: tuple[str, ...]) -> str:
    at = int(np.argmax(np.abs(here - there)))
    return f"{_percent(here[at])} are {names[at]}, of the baseline {_percent(there[at])}"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
