"""The path of all requests of a flow together: how often each stage and each way between stages was taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spanverdict.checks.clockdoubt import clock_notes
from spanverdict.checks.clockshift import nearest
from spanverdict.checks.pathtimes import CriticalPaths, critical_paths_of
from spanverdict.checks.runview import RunView
from spanverdict.evaluation.outcomes import StageShare
from spanverdict.evaluation.timespent import shares_of
from spanverdict.paths.critical_path import parents_and_causes
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.spantable import Bools, Int64s, Rows


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took, in ns; None where it never happened."""

    p50: int | None
    p95: int | None
    most: int | None

    @staticmethod
    def of(values: Int64s) -> Spread:
        """Return nearest-rank percentiles.

        >>> Spread.of(np.array([30, 10, 20]))
        Spread(p50=20, p95=30, most=30)
        """
        if not len(values):
            return Spread(None, None, None)
        ascending = np.sort(values)
        p50, p95 = (int(ascending[-(-share * len(values) // 100) - 1]) for share in (50, 95))
        return Spread(p50, p95, int(ascending[-1]))


@dataclass(frozen=True, slots=True)
class StageUse:
    """One stage over all requests."""

    stage: str
    requests: int
    """How many have it."""
    spans: int
    time: Spread
    """From its first start to its last end in a request."""
    path_share: float
    """Of the time of all requests, what was spent on it along critical paths."""


@dataclass(frozen=True, slots=True)
class EdgeUse:
    """One way from a stage to the next over all requests."""

    source: str
    target: str
    queued: bool
    """Nobody waited for the target: a message, or another trace, led there."""
    requests: int
    """How many took it."""
    spans: int
    time: Spread
    """Waits, where `queued`; else from the start of the source to the start of the target."""


@dataclass(frozen=True, slots=True)
class FlowPath:
    """The path of a flow."""

    flow: str
    requests: int
    expected: int | None
    timed: int
    """Requests with a beginning and an end."""
    time: Spread
    """Of whole requests."""
    stages: tuple[StageUse, ...]
    """In path order."""
    edges: tuple[EdgeUse, ...]
    """In path order of source and target."""
    shares: tuple[StageShare, ...]
    """What all requests together spent their time on, longest first."""
    clocks: tuple[str, ...] = ()
    """How far the clocks of hosts differ, in sentences. Times that cannot be as sent are the nearest that can."""


def flow_path(flow: str, view: RunView) -> FlowPath:
    """Add up the paths of all requests."""
    clocks, view = clock_notes(view), nearest(view)
    paths = critical_paths_of(view)
    times = paths.times()
    shares = times.shares()
    stages = tuple(_stage_use(view, name, shares[name]) for name in view.stages)
    return FlowPath(
        flow,
        view.n_requests,
        view.expected,
        len(times.request),
        Spread.of(times.whole()),
        stages,
        tuple(_edge_uses(view, paths)),
        shares_of(times),
        clocks,
    )


def _stage_use(view: RunView, name: str, share: float) -> StageUse:
    times = view.stage(name)
    here = times.present
    return StageUse(name, int(here.sum()), len(times.member), Spread.of((times.end - times.start)[here]), share)


def _edge_uses(view: RunView, paths: CriticalPaths) -> list[EdgeUse]:
    ways = _ways(view, paths)
    n_stages = len(view.stages)
    kind = (paths.stage[ways.source] * n_stages + paths.stage[ways.target]) * 2 + ways.queued
    found = []
    for number in ascending(kind).tolist():
        here = np.flatnonzero(kind == number)
        (source, target), queued = divmod(number // 2, n_stages), number % 2 == 1
        request = paths.members.request[ways.target[here]]
        taken = EdgeUse(
            paths.names[source],
            paths.names[target],
            queued,
            len(ascending(request)),
            len(here),
            Spread.of(ways.time[here]),
        )
        found.append(taken)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Ways:
    """Each span of a stage, and the nearest span of a stage that led to it."""

    source: Rows
    target: Rows
    queued: Bools
    time: Int64s


def _ways(view: RunView, paths: CriticalPaths) -> _Ways:
    """Find what stage led to each span of a stage; inside one stage there is no way."""
    members, stage = paths.members, paths.stage
    parent, cause = parents_and_causes(members, np.searchsorted(paths.rows, view.first_member))
    wait = np.where(cause >= 0, np.maximum(members.start - members.end[cause], 0), 0)
    queued = (cause != parent) | (wait > 0)
    while len(rest := np.flatnonzero((cause >= 0) & (stage[cause] < 0))):
        upper = cause[rest]
        wait[rest], queued[rest] = wait[rest] + wait[upper], queued[rest] | queued[upper]
        cause[rest] = cause[upper]
    use = (stage >= 0) & (cause >= 0)
    use[use] &= (stage[use] != stage[cause[use]]) | queued[use]
    target = np.flatnonzero(use)
    source = cause[target]
    called = members.start[target] - members.start[source]
    return _Ways(source, target, queued[target], np.where(queued[target], wait[target], called))
