"""The runs that are followed, their spans, and which of them may be judged when.

It starts no thread, reads no clock and waits for nothing: `now` is what the caller says, in seconds
of a monotonic clock. Not for several threads at once.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from spanverdict.app.agenda import Agenda
from spanverdict.app.completeness import expected_of
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.liverun import LiveRun
from spanverdict.app.readiness import PACE, Readiness
from spanverdict.app.recollection import Archive
from spanverdict.app.runsathand import RunsAtHand
from spanverdict.paths.window import Forgotten
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.errors import StoreError
from spanverdict.storage.records import RunRecord

RETRY_S: Final = 5.0
"""After how long it is tried again to judge a run when the store did not allow it."""
_COUNT_EVERY_S: Final = 0.02
"""Not more often is it counted; a few spans cost nearly as much as a thousand."""

_log = logging.getLogger(__name__)


class Docket(RunsAtHand):
    """Follows runs from their first word or span to their verdict."""

    def __init__(
        self, config: DocketConfig, archive: Archive, stopwatch: Callable[[], float] = time.perf_counter
    ) -> None:
        super().__init__(config, archive)
        self._stopwatch = stopwatch
        self._readiness = Readiness(self, stopwatch)
        self._agenda = Agenda()
        self._awaited: set[str] = set()
        """Runs that may be whole with the next span, as it is known how many requests they have."""
        self._count_at = 0.0

    @property
    def awaits_spans(self) -> bool:
        """Tell whether a run may be complete as soon as more spans come, and not only when none come any more."""
        return bool(self._awaited)

    def hear(self, record: RunRecord, traces: Sequence[bytes], now: float) -> None:
        """Take over what was declared of a run, its end included."""
        super().hear(record, traces, now)
        self._count_at = min(self._count_at, now)

    def follow_flows(self, flows: tuple[Flow, ...], now: float) -> None:
        """Judge by these flows from now on; verdicts that were given stay until more comes for their runs."""
        super().follow_flows(flows, now)
        self._count_at = min(self._count_at, now)

    def count_due(self) -> float | None:
        """Return when to count what came; None while nothing has come."""
        return self._count_at if self._touched else None

    def count(self, now: float) -> None:
        """Count what came, if it is time to."""
        if self._touched and now >= self._count_at:
            self._count(now)

    def next_due(self) -> float | None:
        """Return when there is something to do although nothing came; None for never."""
        due = self._agenda.first()
        if not self._touched:
            return due
        return self._count_at if due is None else min(self._count_at, due)

    def due(self, now: float, at_most: int = sys.maxsize) -> Iterator[tuple[LiveRun, str]]:
        """Yield the runs that may be judged by now, and why; call `judged`, `give_up` or `postpone` for each.

        It looks at so many at most, those that are due longest.
        """
        if self._touched and (now >= self._count_at or self._is_due(now)):
            self._count(now)
        for run in self._agenda.take(now, at_most):
            with self.findings.look():
                try:
                    trigger = self._trigger(run, now)
                except Exception as error:  # noqa: BLE001 - logged; the trouble of one run is not that of others
                    _log.error("run %s cannot be looked at", run.id, exc_info=error)
                    self.give_up(run, self.through(run), f"{type(error).__name__}: {error}")
                    continue
                if trigger is not None:
                    yield run, trigger

    def _is_due(self, now: float) -> bool:
        first = self._agenda.first()
        return first is not None and first <= now

    def judged(self, run: LiveRun, through: int, revision: int) -> None:
        """Take note that a verdict was given on all that came up to a batch."""
        self.findings.forget()
        run.judged_through = max(through, run.judged_through)
        run.revision, run.restated, run.trouble = revision, False, ""
        self._schedule(run)

    def postpone(self, run: LiveRun, until: float, why: str) -> None:
        """Look at a run again later because it cannot be judged now."""
        run.trouble = why
        run.checked = False  # else a run that is whole would wait for its cap, and then count as incomplete
        self._agenda.put(run, until)

    def give_up(self, run: LiveRun, through: int, why: str) -> None:
        """Take note that a run cannot be judged; it is tried again when more comes."""
        self.judged(run, through, run.revision)
        run.trouble = why

    def _trigger(self, run: LiveRun, now: float) -> str | None:
        """Return why a run may be judged now; None when it may not."""
        if not self._load(run, now):
            self.postpone(run, now + RETRY_S, "the store cannot be read")
            return None
        if run.torn:
            self._leave(run, now)
            return None
        trigger = self._readiness.trigger(run, now)
        if trigger is None:
            self._schedule(run)
        return trigger

    def _load(self, run: LiveRun, now: float) -> bool:
        """Bring back what is known of a run, and all of its spans; False when that is not possible now."""
        if run.recalled and run.loaded:
            return True
        self.findings.forget()
        if not run.recalled and not self._recall(run, now):
            return False
        if not run.loaded:
            if not self._bring_back(run, now):
                return False
            self._count(now)
        return True

    def _leave(self, run: LiveRun, now: float) -> None:
        """Let the verdict on a run that is not whole any more stay as it is: less evidence makes no better one."""
        why = "spans of it were deleted by retention"
        self.give_up(run, run.last_batch, f"{why}; its verdict stays as it was" if run.revision else why)
        self._agenda.put(run, None)
        if run.revision:
            try:
                self._archive.keep_verdict(run.id, run.last_batch)
            except StoreError as error:
                self.postpone(run, now + RETRY_S, str(error))

    def _count(self, now: float) -> None:
        """Count what came, and see what that means for the runs that it came for."""
        begun = self._stopwatch()
        self._window.count()
        touched, self._touched = self._touched, {}
        for run in touched.values():
            run.progress = self._tally.progress(self._window.counts_of(run.id))
            run.checked = False
            self._schedule(run)
        self._count_at = now + max(_COUNT_EVERY_S, PACE * (self._stopwatch() - begun))

    def _schedule(self, run: LiveRun) -> None:
        """Work out when to look at a run."""
        (self._waiting.add if run.fresh else self._waiting.discard)(run.id)
        self._agenda.put(run, self._readiness.due(run))
        expects = any(expected_of(flow, run.expected) is not None for flow in self.config.flows)
        can_become_whole = expects and (run.fresh or not run.revision)  # also one of which nothing came yet
        (self._awaited.add if can_become_whole else self._awaited.discard)(run.id)

    def _let_go(self, gone: Forgotten) -> None:
        super()._let_go(gone)
        self._awaited -= gone.runs
