"""What the time of requests was spent on: of single ones, and of all of a run together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from spanverdict.checks.pathtimes import PathTimes, knows_nearest_path_times, nearest_path_times
from spanverdict.checks.runview import RunView
from spanverdict.evaluation.outcomes import StageShare, TimeSpent

MOST_MEMBERS: Final = 80_000
"""Spans whose critical paths are looked for to add up a run. That takes 0.15 s; of a larger run a sample is taken."""


def shares_of(times: PathTimes) -> tuple[StageShare, ...]:
    """Return what the time of all requests together was spent on, the longest first."""
    totals = times.totals()
    whole = sum(totals)
    found = [StageShare(name, spent, spent / whole) for name, spent in zip(times.names, totals, strict=True) if spent]
    return tuple(sorted(found, key=lambda share: (-share.duration_ns, share.stage)))


def shares_of_each(view: RunView, requests: Sequence[int]) -> dict[int, tuple[StageShare, ...]]:
    """Return what the time of each of some requests was spent on, the longest first; nothing where it is not known."""
    numbers = sorted(set(requests))
    found: dict[int, tuple[StageShare, ...]] = dict.fromkeys(numbers, ())
    if numbers:
        times = _times_of(view, numbers)
        for place, request in enumerate(times.request.tolist()):
            found[request] = shares_of(times.only(place))
    return found


def _times_of(view: RunView, requests: Sequence[int]) -> PathTimes:
    """Return where the time of some requests went, which ascend; if that of all is known or soon told, it is taken."""
    if _step(view) == 1 or knows_nearest_path_times(view):
        return nearest_path_times(view).of_requests(np.array(requests, np.int64))
    times = nearest_path_times(view.part(requests))
    return replace(times, request=np.array(requests, np.intp)[times.request])


def time_spent(view: RunView, most_members: int = MOST_MEMBERS) -> TimeSpent | None:
    """Return what the time of all requests together was spent on; None where that of none is known.

    Of a run with more than `most_members` spans, every so-manieth request is looked at, counted in the
    order of their trace ids, so that the same spans give the same sample.
    """
    step = _step(view, most_members)
    times = _times_of(view, range(0, view.n_requests, step)) if step > 1 else nearest_path_times(view)
    if not len(times.request):
        return None
    return TimeSpent(shares_of(times), len(times.request), view.n_requests, sampled=step > 1)


def _step(view: RunView, most_members: int = MOST_MEMBERS) -> int:
    return sample_step(int((view.request >= 0).sum()), most_members)


def sample_step(members: int, most_members: int) -> int:
    """Return how many requests one of a sample stands for.

    >>> sample_step(80_000, 80_000), sample_step(80_001, 80_000), sample_step(0, 80_000)
    (1, 2, 1)
    """
    return max(1, int(np.ceil(members / most_members)))
