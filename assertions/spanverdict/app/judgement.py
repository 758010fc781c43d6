"""A run that was judged, before anything is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from spanverdict.app.docket import Docket
from spanverdict.app.evidence import Evidence
from spanverdict.app.liverun import LiveRun
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import Event, RunFinished, RunInfo, RunStarted
from spanverdict.evaluation.past import NOTHING_BEFORE, Past
from spanverdict.evaluation.preparing import prepare
from spanverdict.otlp.decode import new_pool
from spanverdict.paths.membership import Membership
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.records import Said
from spanverdict.telemetry.spantable import SpanTable

PastOf: TypeAlias = Callable[[RunInfo, Sequence[Flow]], Past]
"""Finds what a run is compared with; may raise `StoreError`."""


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """A run that was judged: everything that a verdict is made of."""

    run: RunInfo
    flows: tuple[Flow, ...]
    trigger: str
    events: tuple[Event, ...]
    judged_through: int
    past: Past = NOTHING_BEFORE
    """What it was compared with."""
    said: Said | None = None
    """What was known to be declared of the run; None for all that is."""

    @property
    def depends_on_others(self) -> bool:
        """Tell whether earlier verdicts make a difference: on this run, or on those that it was compared with."""
        return self.run.revision > 1 or bool(self.past.baselines or self.past.runs)

    def as_revision(self, revision: int) -> Judgement:
        """Return the same judgement as another revision."""
        run = replace(self.run, revision=revision)
        events = (
            replace(e, run=replace(e.run, revision=revision)) if isinstance(e, RunStarted) else e for e in self.events
        )
        return replace(self, run=run, events=tuple(events))

    def with_untagged(self, untagged: int) -> Judgement:
        """Return the same judgement with another number of spans that no run claims."""
        events = (
            replace(e, associated=replace(e.associated, untagged=untagged))
            if isinstance(e, RunStarted) and e.associated is not None
            else e
            for e in self.events
        )
        return replace(self, events=tuple(events))

    def with_changes(self, changes: Sequence[str]) -> Judgement:
        """Return the same judgement with what is different from the revision before."""
        events = (replace(e, changes=tuple(changes)) if isinstance(e, RunFinished) else e for e in self.events)
        return replace(self, events=tuple(events))


def judgement_on(run: LiveRun, trigger: str, through: int, docket: Docket, past_of: PastOf | None = None) -> Judgement:
    """Judge a run by all that came for it up to a batch; nothing is kept of that yet."""
    found = docket.evidence(run)
    if found is None:
        found = Evidence(prepare(SpanTable.empty(new_pool()), Membership(np.zeros(0, np.int64))))
    prepared, spans, aside = found.run, found.run.spans, docket.findings.aside
    flows = aside(len(spans), partial(docket.judging, run, spans))
    info = RunInfo(run.id, dict(run.labels), run.expected, run.revision + 1)
    ended = replace(info, ended_unix_nano=int(spans.table.end_time_unix_nano.max(initial=0)))
    past = NOTHING_BEFORE if past_of is None else past_of(ended, flows)

    def judged() -> tuple[Event, ...]:
        return tuple(
            evaluate(flows, prepared, info, trigger=trigger, defects=found.defects, past=past, keep_samples=True)
        )

    return Judgement(info, flows, trigger, aside(len(spans), judged), through, past, run.said)
