"""Rules of a drafted flow: first with conditions that anything meets, to see what is there, then with limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from spanverdict.checks.runview import RunView
from spanverdict.drafting.entries import attribute_keys
from spanverdict.drafting.limits import duration_above, share_above, share_below
from spanverdict.drafting.plan import Plan, PlannedStage
from spanverdict.telemetry.spantable import Bools, Rows
from spanverdict.telemetry.vocabulary import SpanKind

FEATURE_AGE: Final = "feature_store.feature.age"
_SLOWEST: Final = 3
"""Stages that get a rule about their time."""
_SCORES: Final = ("score", "probability", "confidence", "similarity")
_ANY_TIME: Final = "< 200000h"
_ANY_SHARE: Final = "<= 100%"


@dataclass(frozen=True, slots=True)
class DraftRule:
    """A rule without its limits."""

    id: str
    measure: str
    """As YAML, `latency: request`."""
    statistics: tuple[str, ...]
    title: str
    kind: str
    """How limits are made: `time`, `least` or `most` of a share, or the condition itself."""

    def lines(self, seen: Mapping[str, tuple[float, str]] | None) -> list[str]:
        """Return the rule as YAML, with limits by what was seen of each statistic (value, text); None for any."""
        conditions = ", ".join(f'{name}: "{self._condition(name, seen)}"' for name in self.statistics)
        shown = "" if seen is None else ", ".join(f"{name} = {seen[name][1]}" for name in self.statistics)
        remark = f"    # seen: {shown}" if shown else ""
        lines = [f"  - id: {self.id}", f"    title: {self.title}", f"    {self.measure}"]
        return [*lines, f"    expect: {{{conditions}}}{remark}"]

    def vain(self, seen: Mapping[str, tuple[float, str]]) -> bool:
        """Tell whether what was seen leaves no limit that could be missed."""
        return any(self._condition(name, seen) in (">= 0%", "<= 100%") for name in self.statistics)

    def _condition(self, name: str, seen: Mapping[str, tuple[float, str]] | None) -> str:
        match self.kind:
            case "time":
                room = Fraction(2) if name == "max" else Fraction(3, 2)
                return _ANY_TIME if seen is None else f"< {duration_above(seen[name][0], room)}"
            case "least":
                return _ANY_SHARE if seen is None else f">= {share_below(seen[name][0])}"
            case "most":
                return _ANY_SHARE if seen is None else f"<= {share_above(seen[name][0])}"
        return self.kind


def rules_for(plan: Plan, view: RunView) -> Iterator[DraftRule]:
    """Yield the rules that the traffic suggests, the most telling first."""
    yield DraftRule("end-to-end", "latency: request", ("p95", "max"), "Requests are done in time", "time")
    orphans = bool((view.members.parents.orphan & (view.request >= 0)).any())
    coverage = "{stages: all}" if orphans else "{stages: all, no_orphans: true}"
    yield DraftRule("whole-path", f"coverage: {coverage}", ("ratio",), "Every request goes the whole way", "least")
    errors = "ratio: {of: '{ span:status = error }', over: '{ span:name != nil }'}"
    yield DraftRule("errors", errors, ("ratio",), "Hardly any operation fails", "most")
    yield from _queues(plan)
    yield from _stages(plan)
    yield from _features(plan, view)
    yield from _scores(plan, view)


def _queues(plan: Plan) -> Iterator[DraftRule]:
    sent: PlannedStage | None = None
    for stage in plan.stages:
        if stage.shape.kind is SpanKind.PRODUCER:
            sent = stage
        elif stage.shape.kind is SpanKind.CONSUMER and sent is not None:
            measure = f"latency: {{from: {sent.name}.start, to: {stage.name}.start}}"
            yield DraftRule(f"wait-{stage.name}", measure, ("p95",), "Messages do not wait long", "time")


def _stages(plan: Plan) -> Iterator[DraftRule]:
    below = [stage for stage in plan.stages[1:] if stage.seen is not None]
    slowest = sorted(below, key=lambda stage: -(stage.seen.busy_ns if stage.seen else 0))[:_SLOWEST]
    for stage in below:
        if stage in slowest:
            measure = f"latency: {{stage: {stage.name}, of: each}}"
            yield DraftRule(f"time-{stage.name}", measure, ("p95",), f"Stage {stage.name} is quick", "time")


def _features(plan: Plan, view: RunView) -> Iterator[DraftRule]:
    column = view.spans.table.attribute(FEATURE_AGE)
    for stage in plan.stages:
        if (column.codes[_members(stage, view)] >= 0).any():
            measure = f"freshness: {{stage: {stage.name}, age: span.{FEATURE_AGE}, unit: s}}"
            yield DraftRule(f"fresh-{stage.name}", measure, ("p95",), "Features are fresh", "time")


def _scores(plan: Plan, view: RunView) -> Iterator[DraftRule]:
    for key in attribute_keys(view):
        if key.rpartition(".")[2] not in _SCORES:
            continue
        column = view.spans.table.attribute(key)
        for stage in plan.stages:
            used = np.unique(column.codes[_members(stage, view)])
            values = [column.values[code] for code in used.tolist() if code >= 0]
            if stage.mandatory and values and all(isinstance(v, float) and 0 <= v <= 1 for v in values):
                measure = f"output: {{stage: {stage.name}, value: span.{key}}}"
                yield DraftRule(f"range-{stage.name}", measure, ("every",), f"{key} is between 0 and 1", "0..1")


def telling(view: RunView) -> Bools:
    """Tell which members carry the age of features, or a score."""
    table = view.spans.table
    keys = [FEATURE_AGE, *(key for key in attribute_keys(view) if key.rpartition(".")[2] in _SCORES)]
    return np.asarray(np.logical_or.reduce([table.attribute(key).codes >= 0 for key in keys]))


def _members(stage: PlannedStage, view: RunView) -> Rows:
    return view.stage(stage.name).member
