"""May a run be judged now, and if not, when to look again: what was counted of it first, and only then its spans."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final

from spanverdict.app.completeness import has_loose_ends, is_whole, may_be_whole
from spanverdict.app.endspan import end_spans
from spanverdict.app.evidence import Evidence
from spanverdict.app.liverun import LiveRun
from spanverdict.app.runsathand import RunsAtHand
from spanverdict.rulefiles.models import Flow

PACE: Final = 4.0
"""Counting and stitching ahead of a verdict take one part of the time in this many and one."""


class Readiness:
    """Looks at runs at hand, one at a time."""

    def __init__(self, at_hand: RunsAtHand, stopwatch: Callable[[], float]) -> None:
        self._at_hand = at_hand
        self._stopwatch = stopwatch

    def due(self, run: LiveRun) -> float | None:
        """Return when to look at a run; None for not before something happens."""
        if not run.fresh:
            return None
        if not run.loaded or self._may_have_ended(run):
            return -math.inf
        flows = self._at_hand.flows_of(run)
        due = run.waiting(flows).next_due()
        if self._may_be_whole(run, flows):
            return run.check_again if due is None else min(run.check_again, due)
        return due

    def trigger(self, run: LiveRun, now: float) -> str | None:
        """Return why a run may be judged now; None when it may not. All of its spans are here."""
        if self._may_have_ended(run) and self._has_ended(run):
            run.ended = now if run.active is None else run.active
        flows = self._at_hand.flows_of(run)
        if self._may_be_whole(run, flows) and now >= run.check_again and self._is_whole(run, flows, now):
            return "manifest"
        trigger = run.waiting(flows).trigger(now)
        if trigger == "run end" and self._at_hand.config.only is not None and not run.patient:
            run.patient = self._has_loose_ends(run, flows)
            trigger = run.waiting(flows).trigger(now)
        if trigger == "structure":
            run.loose = self._has_loose_ends(run, flows)
            trigger = run.waiting(flows).trigger(now)
        return trigger

    def _may_have_ended(self, run: LiveRun) -> bool:
        """Tell whether a span came that may say so; where one run alone is received, its command says it."""
        return self._at_hand.config.only is None and run.ended is None and run.progress.ends > run.ends_seen

    def _has_ended(self, run: LiveRun) -> bool:
        """Tell whether a span of the run says that it has ended."""
        run.ends_seen = run.progress.ends
        found = self._at_hand.evidence(run)
        return found is not None and bool(end_spans(found.run.spans.table).any())

    def _has_loose_ends(self, run: LiveRun, flows: tuple[Flow, ...]) -> bool:
        found = self._at_hand.evidence(run)
        return found is None or self._worked_out(found, partial(has_loose_ends, found.run, flows, run.expected))

    def _worked_out(self, found: Evidence, work: Callable[[], bool]) -> bool:
        return self._at_hand.findings.aside(len(found.run.spans), work)

    def _may_be_whole(self, run: LiveRun, flows: tuple[Flow, ...]) -> bool:
        """Tell whether it makes sense to stitch a run: there may be enough of it, and more than the last time."""
        return not run.checked and may_be_whole(run.progress, flows, run.expected)

    def _is_whole(self, run: LiveRun, flows: tuple[Flow, ...], now: float) -> bool:
        """Stitch a run to see whether it is whole; not too often while that takes long."""
        run.checked = True
        begun = self._stopwatch()
        found = self._at_hand.evidence(run)
        whole = found is not None and self._worked_out(found, partial(is_whole, found.run, flows, run.expected))
        run.check_again = now + PACE * (self._stopwatch() - begun)
        return whole
