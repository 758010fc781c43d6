"""May a run be judged now? The first of the triggers that fires, and when to look again.

Counting first, stitching later: spans that match a stage are counted batch by batch, and only when
there are enough of them is the run stitched to see whether every request is whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from spanverdict.evaluation.preparing import prepare, view_of
from spanverdict.rulefiles.models import Flow, Stage
from spanverdict.selectors.columns import Spans
from spanverdict.telemetry.spantable import SpanTable

NS = 1_000_000_000
QUIET_S = 0.5
"""How long no span may come after the end of a run before it is judged."""
DEFAULT_IDLE_S = 6.0
DEFAULT_AT_MOST_S = 30.0


@dataclass(slots=True)
class Progress:
    """What has come for a run, counted and not yet stitched; `seen` is by (flow, stage)."""

    spans: int = 0
    seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, flows: Sequence[Flow], table: SpanTable) -> None:
        """Count one batch. A span that links several others stands for as many requests."""
        self.spans += len(table)
        spans = Spans.of(table)
        weight = np.maximum(1, np.diff(table.links.offsets))
        for flow in flows:
            for stage in flow.stages:
                count = int(weight[stage.selector.mask(spans)].sum())
                self.seen[flow.name, stage.name] = self.seen.get((flow.name, stage.name), 0) + count

    def lacking(self, flow: Flow, expected: int) -> list[tuple[str, int]]:
        """Return the mandatory stages that cannot be whole yet, and how many requests they lack at least."""
        return [
            (stage.name, needed - seen)
            for stage in flow.stages
            if (needed := expected * stage.count.minimum) > (seen := self.seen.get((flow.name, stage.name), 0))
        ]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a run waits for; times are seconds of a monotonic clock, None where it did not happen."""

    last_seen: float | None
    ended: float | None
    expected: int | None
    flows: tuple[Flow, ...]

    def trigger(self, now: float) -> str | None:
        """Return which time has run out by now: `run end`, `idle` or `cap`; None for none."""
        for name, due in self._dues():
            if now >= due:
                return name
        return None

    def next_due(self) -> float | None:
        """Return when the first of them runs out."""
        return min((due for _, due in self._dues()), default=None)

    def _dues(self) -> list[tuple[str, float]]:
        if self.ended is not None:
            flush = max((flow.complete.flush_ns for flow in self.flows), default=0) / NS
            return [("run end", max(self.ended, self.last_seen or self.ended) + max(QUIET_S, flush))]
        if self.last_seen is None:
            return []
        if self.expected_of_any() is None:
            return [("idle", self.last_seen + self._seconds("idle_ns", DEFAULT_IDLE_S))]
        return [("cap", self.last_seen + self._seconds("at_most_ns", DEFAULT_AT_MOST_S))]

    def expected_of_any(self) -> int | None:
        """Return the number of requests that somebody expects; None when nobody said."""
        if self.expected is not None:
            return self.expected
        return max((f.complete.requests for f in self.flows if f.complete.requests is not None), default=None)

    def _seconds(self, name: str, default: float) -> float:
        return max((getattr(flow.complete, name) / NS for flow in self.flows), default=default)


def expected_of(flow: Flow, expected: int | None) -> int | None:
    """Return how many requests of a flow are expected: the run's own word comes first."""
    return expected if expected is not None else flow.complete.requests


def may_be_whole(progress: Progress, flows: Sequence[Flow], expected: int | None) -> bool:
    """Tell cheaply whether every flow knows what it expects and may have got it."""
    counts = [(flow, expected_of(flow, expected)) for flow in flows]
    return bool(counts) and all(count is not None and not progress.lacking(flow, count) for flow, count in counts)


def is_whole(table: SpanTable, flows: Sequence[Flow], expected: int | None) -> bool:
    """Tell exactly: are there as many requests as expected, each with all mandatory stages, ended?"""
    run = prepare(table)
    for flow in flows:
        count = expected_of(flow, expected)
        view, _ = view_of(flow, run, count)
        if count is None or view.n_requests < count:
            return False
        if any(not _satisfied(stage, view.stage(stage.name).count) for stage in flow.stages):
            return False
    return True


def _satisfied(stage: Stage, count: np.ndarray) -> bool:
    return bool((count >= stage.count.minimum).all())
