"""The runs that are followed, with their spans: what came for them, what was said of them, what is let go of them.

Nothing here says when a run is judged: that is the docket's.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from spanverdict.app.associating import readers_of, tags_of
from spanverdict.app.completeness import StageTally
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.evidence import Evidence, Findings
from spanverdict.app.liverun import LiveRun
from spanverdict.app.recollection import Archive
from spanverdict.paths.window import Forgotten, Window
from spanverdict.rulefiles.models import Flow
from spanverdict.selectors.columns import Spans
from spanverdict.storage.errors import StoreError
from spanverdict.storage.records import RunRecord
from spanverdict.telemetry.spantable import SpanTable

_SQUEEZE_EVERY_S: Final = 1.0
"""While there is too much, it is looked so often for what can be let go."""

_log = logging.getLogger(__name__)


class RunsAtHand:
    """Knows runs and their spans from their first word or span until they are let go."""

    def __init__(self, config: DocketConfig, archive: Archive) -> None:
        self.config = config
        self.runs: dict[str, LiveRun] = {}
        self.forgotten_untagged = 0
        """Spans that were let go before any run claimed them."""
        self.turned_away = 0
        """How often spans came for runs that are not followed, as there are too many already."""
        self.coming: set[str] = set()
        """Runs that are not known here yet, and of which spans were let in on their way here; see `Admission`."""
        self.let_go = 0
        """Runs whose spans were let go before their time; they are read again from the journal when more comes."""
        self.findings = Findings()
        self._archive = archive
        self._tally = StageTally(config.flows)
        self._window = Window(
            keys=readers_of(config.flows), window_run=config.only, tally=self._tally, tags=tags_of(config.flows)
        )
        self._touched: dict[str, LiveRun] = {}
        """Runs that got spans since these were counted."""
        self._unnoted: dict[str, LiveRun] = {}
        """Runs of which the store does not know all batches."""
        self._waiting: set[str] = set()
        """Runs that a verdict is still to come for, and new ones until they are counted."""
        self._tidy_at = 0.0
        self._squeeze_at = 0.0

    @property
    def untagged(self) -> int:
        """How many spans at hand no run claims."""
        return self._window.untagged

    @property
    def nbytes(self) -> int:
        """How much memory the spans at hand take, about."""
        return self._window.nbytes

    @property
    def open_runs(self) -> int:
        """How many runs wait for a verdict, or are new; from any thread."""
        return len(self._waiting)

    def has_room(self) -> bool:
        """Tell whether more may come: not too many spans wait for a verdict; from any thread."""
        return self._window.nbytes < 2 * self.config.keep_bytes

    def take_in(self, batches: Sequence[int], table: SpanTable, now: float) -> None:
        """Take in the spans of batches whose ids follow each other, from the journal or just received.

        That may happen while something is worked out aside; all else has to wait for that.
        """
        self.findings.something_came()
        for name in sorted(self._window.add(batches[0], table, now, batches[-1])):
            if self.config.only not in (None, name) or self._turns_away(name):
                continue
            first = self._window.first_batch_of(name) or batches[0]
            self._reach(self._of(name, now), first, batches[-1], now)

    def hear(self, record: RunRecord, traces: Sequence[bytes], now: float) -> None:
        """Take over what was declared of a run, its end included."""
        self.findings.something_came()
        run = self._of(record.id, now)
        run.heard(record, now)
        if traces:
            self._window.register(run.id, traces, now)
            if run.revision:
                run.restate(now)
            if first := self._window.first_batch_of(run.id):
                self._reach(run, first, self._window.last_batch_of(run.id), now)
            self._restate_beside(run, now)
        self._touched[run.id] = run

    def follow(self, run_id: str, now: float) -> None:
        """Take up a run from before."""
        self._of(run_id, now)

    def complete(self, run_id: str) -> None:
        """Take note that all batches of a run from before were taken in again; may raise `StoreError`."""
        run = self.runs[run_id]
        run.torn = self._is_torn(run)
        run.loaded = True
        if run.fresh and run.said.traces:
            self._restate_beside(run, run.met)  # nobody may have lived to do so when they were declared

    def follow_flows(self, flows: tuple[Flow, ...], now: float) -> None:
        """Judge by these flows from now on; verdicts that were given stay until more comes for their runs."""
        self.findings.forget()
        self.config = replace(self.config, flows=flows)
        self._tally = StageTally(flows)
        self._window = self._window.counted_anew(now, keys=readers_of(flows), tally=self._tally, tags=tags_of(flows))
        self._window.count()
        self._find_anew(now)
        self._touched.update(self.runs)

    def unnoted(self) -> list[LiveRun]:
        """Return the runs that came by batches which the store has not been told of."""
        return list(self._unnoted.values())

    def noted(self, runs: Sequence[LiveRun]) -> None:
        """Take note that the store was told."""
        for run in runs:
            run.noted = (run.first_batch, run.last_batch)
            self._unnoted.pop(run.id, None)

    def through(self, run: LiveRun) -> int:
        """Return the last batch that what is found out about a run takes in."""
        return self.findings.through(run)

    def evidence(self, run: LiveRun) -> Evidence | None:
        """Return the spans of a run and how they were found; None when there are none."""
        untagged = self._window.untagged if self.config.only is None else 0
        return self.findings.evidence(run, self._window.candidates, untagged)

    def flows_of(self, run: LiveRun) -> tuple[Flow, ...]:
        """Return the flows that a run was declared with, else those that it has begun as far as is known."""
        flows = self.config.flows
        if self.config.only is not None:
            return flows
        if run.declared_flows:
            return tuple(flow for flow in flows if flow.name in run.declared_flows)
        return tuple(flow for flow in flows if run.progress.started(flow))

    def judging(self, run: LiveRun, spans: Spans) -> tuple[Flow, ...]:
        """Return the flows that judge a run of these spans: the declared ones, else those whose first stage matched."""
        if run.declared_flows or self.config.only is not None:
            return self.flows_of(run)
        return tuple(flow for flow in self.config.flows if flow.stages[0].selector.mask(spans).any())

    def others(self) -> frozenset[str]:
        """Return the runs that spans named besides the one that is followed."""
        return self._window.runs - {self.config.only}

    def tidy(self, now: float) -> None:
        """Let go what is old, or too much, and not needed for a verdict that is still to come."""
        if self.config.only is not None or now < (self._squeeze_at if self._is_large() else self._tidy_at):
            return
        self._tidy_at, self._squeeze_at = now + self.config.keep_s / 60, now + _SQUEEZE_EVERY_S
        self.findings.forget()
        keep = {run.id for run in self.runs.values() if run.fresh or not run.revision}
        keep.update(self._touched, self._unnoted)
        before = now - self.config.keep_s
        self._let_go(self._window.forget(before, keep))
        if self._is_large():
            gone = self._window.shrink(self.config.keep_bytes * 7 // 8, keep, self.config.max_runs * 5 // 8)
            self._let_go(gone)
            self.let_go += len(gone.runs)
        here = self._window.runs
        until = now if self._is_large() else before  # what the store knows of a run is recalled when more comes
        old = [run.id for run in self.runs.values() if run.id not in here and not run.fresh and run.met < until]
        for name in old:
            del self.runs[name]

    def _let_go(self, gone: Forgotten) -> None:
        self.forgotten_untagged += gone.untagged
        if gone.untagged:
            _log.warning("%d spans that no run claimed were let go", gone.untagged)
        for name in gone.runs:
            self.runs.pop(name, None)
            self._waiting.discard(name)

    def _is_large(self) -> bool:
        return self._window.nbytes > self.config.keep_bytes or len(self.runs) > self.config.max_runs * 3 // 4

    def _find_anew(self, now: float) -> None:
        """Take note of runs that other flows find among the spans at hand, and where they find more of open ones."""
        for name in sorted(self._window.runs):
            known = self.runs.get(name)
            first = self._window.first_batch_of(name)
            if first is None or (known is None and self._turns_away(name)):
                continue
            if known is None or known.fresh or not known.revision:
                run = self._of(name, now)
                self._reach(run, first, self._window.last_batch_of(name), now if known is None else run.active)

    def _reach(self, run: LiveRun, first: int, last: int, now: float | None) -> None:
        """Take note that spans of a run came by the batches `first … last`."""
        run.touch(first, last, now)
        self._touched[run.id] = run
        if run.noted != (run.first_batch, run.last_batch):
            self._unnoted[run.id] = run

    def _restate_beside(self, run: LiveRun, now: float) -> None:
        """Take note that verdicts on other runs may not know that traces were declared to be this one's."""
        for name in sorted(self._window.runs_beside(run.id)):
            other = self.runs.get(name)
            if other is not None and other.revision:
                other.restate(now)
                self._touched[name] = self._unnoted[name] = other

    def _turns_away(self, name: str) -> bool:
        """Tell whether a run is new and there is no place for it; its spans are let go when memory runs short."""
        if name in self.runs or len(self.runs) < self.config.max_runs:
            return False
        self.coming.discard(name)
        if not self.turned_away:
            _log.error("there are more than %d runs; spans of new ones are kept, but not judged", self.config.max_runs)
        self.turned_away += 1
        return True

    def _of(self, name: str, now: float) -> LiveRun:
        run = self.runs.get(name)
        if run is None:
            run = self.runs[name] = LiveRun(name, met=now, patient=self.config.patient)
            self._waiting.add(name)
            self.coming.discard(name)
        if not run.recalled:
            self._recall(run, now)
        return run

    def _recall(self, run: LiveRun, now: float) -> bool:
        """Bring back what is known of a run; False when that is not possible now."""
        self.findings.something_came()
        try:
            known = self._archive.recall(run.id)
        except StoreError as error:
            _log.error("run %s cannot be recalled: %s", run.id, error)
            return False
        if known is None:
            run.recalled = run.loaded = True
            return True
        run.remember(known.record, known.revision, now)
        if known.traces:
            self._window.register(run.id, known.traces, now)
        self._touched[run.id] = run
        return True

    def _bring_back(self, run: LiveRun, now: float) -> bool:
        """Bring back the spans of a run that came before it was met here; False when that is not possible now."""
        try:
            # Once more after reading, as they may be deleted while we read.
            if not self._is_torn(run):
                for batch, table in self._archive.batches(*run.noted):
                    self._window.add(batch, table, now)
            run.torn = self._is_torn(run)
        except StoreError as error:
            _log.error("the spans of run %s cannot be read again: %s", run.id, error)
            return False
        run.loaded = True
        self._touched[run.id] = run
        return True

    def _is_torn(self, run: LiveRun) -> bool:
        """Tell whether batches of a run from before are gone."""
        return 0 < run.noted[0] < self._archive.first_batch()
