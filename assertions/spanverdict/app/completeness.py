"""May a run be judged now? The first of the triggers that fires, and when to look again.

Counting first, stitching later: spans that match a stage are counted as they come, and only when
there are enough of them is the run stitched to see whether every request is whole.

Structure (every request whole, every parent and link found) ends a run only where its flows ask for
that: between two requests every run looks whole. Besides, it shortens the wait for one that was
declared ended and is judged just once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from spanverdict.app.endspan import end_spans
from spanverdict.evaluation.preparing import PreparedRun, looked_at
from spanverdict.rulefiles.models import Flow, Stage
from spanverdict.selectors.columns import Spans
from spanverdict.telemetry.spantable import Bools, Int64s, SpanTable

NS: Final = 1_000_000_000
QUIET_S: Final = 0.5
"""How long no span may come after the end of a run before it is judged."""
DEFAULT_IDLE_S: Final = 6.0
DEFAULT_AT_MOST_S: Final = 30.0
_LOOSE_ENDS: Final = frozenset({"missing_parent", "dangling_link"})
"""Defects of spans that wait for others."""


class StageTally:
    """Counts the spans that end a run, and those of every stage; one that links several stands for as many requests."""

    def __init__(self, flows: Sequence[Flow]) -> None:
        self._stages = [(flow.name, stage) for flow in flows for stage in flow.stages]

    def __len__(self) -> int:
        return 1 + len(self._stages)

    def __call__(self, table: SpanTable) -> Sequence[Int64s | Bools]:
        """Return what each span counts as an end and for each stage, (n_spans,)."""
        spans = Spans.of(table)
        masks = [stage.selector.mask(spans) for _, stage in self._stages]
        n_links = np.diff(table.links.offsets) if len(table.links.trace) else np.zeros(1, np.int64)
        if n_links.max(initial=0) <= 1:
            return [end_spans(table), *masks]
        return [end_spans(table), *(np.where(mask, np.maximum(1, n_links), 0) for mask in masks)]

    def progress(self, counts: Int64s) -> Progress:
        """Put names to what a window counted."""
        spans, ends, *seen = counts.tolist()
        names = [(flow, stage.name) for flow, stage in self._stages]
        return Progress(spans, dict(zip(names, seen, strict=True)), ends)


@dataclass(frozen=True, slots=True)
class Progress:
    """What has come for a run, counted and not yet stitched; resends count again. `seen` is by (flow, stage)."""

    spans: int = 0
    seen: Mapping[tuple[str, str], int] = field(default_factory=dict)
    ends: int = 0
    """Spans that say that the run, or one that it may share traces with, has ended."""

    def started(self, flow: Flow) -> bool:
        """Tell whether the first stage of a flow was seen, which makes the run one of the flow's."""
        return self.seen.get((flow.name, flow.stages[0].name), 0) > 0

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

    active: float | None
    """When something last came or was said."""
    ended: float | None
    expected: int | None
    flows: tuple[Flow, ...]
    patient: bool = False
    """Whether the end of the run says nothing about exporters that hold spans back."""
    loose: bool = False
    """Whether it was seen that something is still to come."""

    def trigger(self, now: float) -> str | None:
        """Return which time has run out by now: `run end`, `structure`, `idle` or `cap`; None for none.

        Whether the structure is whole is for the caller to see.
        """
        due = self._due()
        return due[0] if due is not None and now >= due[1] else None

    def next_due(self) -> float | None:
        """Return when it runs out."""
        due = self._due()
        return due[1] if due is not None else None

    def _due(self) -> tuple[str, float] | None:
        if self.ended is not None:
            return ("run end", max(self.ended, self.active or self.ended) + self._quiet())
        if self.active is None:
            return None
        if self._expects():
            return ("cap", self.active + self._seconds("at_most_ns", DEFAULT_AT_MOST_S))
        structure = self._structure()
        if structure is not None:
            return ("structure", self.active + structure)
        return ("idle", self.active + self._seconds("idle_ns", DEFAULT_IDLE_S))

    def _structure(self) -> float | None:
        """Return how long to wait for a run whose requests look whole; None where a flow does not rely on that."""
        waits = [flow.complete.structure_ns for flow in self.flows]
        if self.loose or not waits or None in waits:
            return None
        return max(QUIET_S, *(wait / NS for wait in waits if wait is not None))

    def _quiet(self) -> float:
        flush = self._seconds("flush_ns", 0.0)
        return max(QUIET_S, flush, self._seconds("idle_ns", DEFAULT_IDLE_S) if self.patient else 0.0)

    def _expects(self) -> bool:
        """Tell whether anybody said how many requests there will be."""
        return self.expected is not None or any(flow.complete.requests is not None for flow in self.flows)

    def _seconds(self, name: str, default: float) -> float:
        return max((getattr(flow.complete, name) / NS for flow in self.flows), default=default)


def expected_of(flow: Flow, expected: int | None) -> int | None:
    """Return how many requests of a flow are expected: the run's own word comes first."""
    return expected if expected is not None else flow.complete.requests


def may_be_whole(progress: Progress, flows: Sequence[Flow], expected: int | None) -> bool:
    """Tell cheaply whether every flow knows what it expects and may have got it."""
    counts = [(flow, expected_of(flow, expected)) for flow in flows]
    return bool(counts) and all(count is not None and not progress.lacking(flow, count) for flow, count in counts)


def is_whole(run: PreparedRun, flows: Sequence[Flow], expected: int | None) -> bool:
    """Tell exactly: are there as many requests as expected, each with all mandatory stages, ended?"""
    counts = [(flow, expected_of(flow, expected)) for flow in flows]
    return all(count is not None and _has_whole_requests(flow, run, count, count) for flow, count in counts)


def has_loose_ends(run: PreparedRun, flows: Sequence[Flow], expected: int | None) -> bool:
    """Tell whether something is evidently still on its way: a parent, a linked span, a stage, a request."""
    if not flows or any(defect.name in _LOOSE_ENDS for defect in run.defects):
        return True
    counts = [(flow, expected_of(flow, expected)) for flow in flows]
    return not all(_has_whole_requests(flow, run, count, count or 1) for flow, count in counts)


def _has_whole_requests(flow: Flow, run: PreparedRun, expected: int | None, at_least: int) -> bool:
    view = looked_at(flow, run, expected)
    return view.n_requests >= at_least and all(_satisfied(stage, view.stage(stage.name).count) for stage in flow.stages)


def _satisfied(stage: Stage, count: Int64s) -> bool:
    return bool((count >= stage.count.minimum).all())
