"""The judge: follows every run as its spans arrive and gives a verdict when it is complete.

One thread does all of it, woken by what happens and by the next time that runs out; it never polls.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from opentelemetry import metrics, trace

from spanverdict.app.completeness import Progress, is_whole, may_be_whole
from spanverdict.app.liverun import LiveRun
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import Event, RunInfo
from spanverdict.otlp.decode import new_pool
from spanverdict.paths.association import Association
from spanverdict.paths.defects import Defect
from spanverdict.paths.window import KeyReader, Window
from spanverdict.rulefiles.models import Flow
from spanverdict.selectors import Field
from spanverdict.selectors.columns import Spans
from spanverdict.storage.records import RunRecord
from spanverdict.telemetry.spantable import AttributeColumn, SpanTable

KEEP_S: Final = 600.0
"""How long spans are kept at hand after the last of their traces came; late ones may still join them."""

_log = logging.getLogger(__name__)
_tracer = trace.get_tracer("spanverdict")
_judged = metrics.get_meter("spanverdict").create_counter("spanverdict.verdicts", "{verdict}", "Verdicts given")


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """A run that was judged: everything that a verdict is made of."""

    run: RunInfo
    flows: tuple[Flow, ...]
    trigger: str
    events: tuple[Event, ...]
    judged_through: int


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    id: int
    table: SpanTable


@dataclass(frozen=True, slots=True, eq=False)
class _Word:
    """Somebody declared or ended a run."""

    record: RunRecord
    traces: tuple[bytes, ...] = ()


class _Stop:
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Recalled:
    """What the store knows of a run that the judge has not at hand."""

    record: RunRecord
    revision: int
    """Of its last verdict; 0 for none."""
    traces: tuple[bytes, ...]
    batches: Iterable[tuple[int, SpanTable]]
    """Those that may hold its spans; read only when the judge needs them."""


@dataclass(slots=True, eq=False)
class Judge:
    """Holds the window and the runs. `conclude` gets each judgement, on the judge's thread."""

    flows: tuple[Flow, ...]
    conclude: Callable[[Judgement], None]
    window_run: str | None = None
    touched: Callable[[Sequence[LiveRun]], None] | None = None
    """Told which runs got spans, after each round."""
    recall: Callable[[str], Recalled | None] | None = None
    """Asked once for every run that is met for the first time."""
    after_round: Callable[[], None] | None = None
    """Told whenever something may have changed."""
    clock: Callable[[], float] = time.monotonic
    runs: dict[str, LiveRun] = field(default_factory=dict)
    _inbox: queue.SimpleQueue[_Batch | _Word | _Stop] = field(default_factory=queue.SimpleQueue)
    _window: Window = field(init=False)
    _thread: threading.Thread | None = None
    _forget_at: float = 0.0

    def __post_init__(self) -> None:
        readers = [_reader(key) for flow in self.flows for key in flow.request.correlate]
        self._window = Window(keys=readers, window_run=self.window_run)

    def deliver(self, batch: int, table: SpanTable) -> None:
        """Hand over a committed batch; from any thread."""
        self._inbox.put(_Batch(batch, table))

    def hear(self, record: RunRecord, traces: Sequence[bytes] = ()) -> None:
        """Hand over what was declared of a run, its end included; from any thread."""
        self._inbox.put(_Word(record, tuple(traces)))

    def start(self) -> None:
        """Begin to follow and judge."""
        self._thread = threading.Thread(target=self._run, name="judge", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take in what was handed over and end, without judging what is not complete."""
        self._inbox.put(_Stop())
        if self._thread is not None:
            self._thread.join()

    def take_in(self, batch: int, table: SpanTable) -> None:
        """Take in one batch on the caller's thread; only before `start`."""
        self._add(_Batch(batch, table))

    def follow(self, run_id: str) -> None:
        """Bring back a run that the store knows, on the caller's thread; only before `start`."""
        self._of(run_id)

    def waiting_spans(self) -> int:
        """Count the spans that no run claims so far; a glance from another thread, so not exact."""
        try:
            return self._window.waiting()
        except RuntimeError:
            return 0

    def _run(self) -> None:
        while self._round():
            pass

    def _round(self) -> bool:
        """Wait for something, take in all that is there, judge what is due; False when told to stop."""
        going = True
        item: _Batch | _Word | _Stop | None = self._wait()
        seen: dict[str, LiveRun] = {}
        while item is not None:
            if isinstance(item, _Stop):
                going = False
            elif isinstance(item, _Word):
                self._listen(item)
            else:
                seen.update({run.id: run for run in self._add(item)})
            item = self._next()
        if self.touched is not None and seen:
            self.touched(list(seen.values()))
        if going:
            self._judge_due()
        if self.after_round is not None:
            self.after_round()
        return going

    def _wait(self) -> _Batch | _Word | _Stop | None:
        timeout = self._seconds_to_next()
        try:
            return self._inbox.get(timeout=timeout)
        except queue.Empty:
            return None

    def _next(self) -> _Batch | _Word | _Stop | None:
        try:
            return self._inbox.get_nowait()
        except queue.Empty:
            return None

    def _seconds_to_next(self) -> float | None:
        now = self.clock()
        dues = [due for run in self.runs.values() if run.fresh and (due := self._due_of(run)) is not None]
        return max(0.0, min(dues) - now) if dues else None

    def _due_of(self, run: LiveRun) -> float | None:
        due = run.waiting(self.flows_of(run)).next_due()
        if may_be_whole(run.progress, self.flows_of(run), run.expected):
            return min(run.check_again, due) if due is not None else run.check_again
        return due

    def _listen(self, word: _Word) -> None:
        run = self._of(word.record.id)
        run.heard(word.record, self.clock())
        if word.traces:
            self._window.register(run.id, word.traces)
        self._count_from_now(run)

    def _count_from_now(self, run: LiveRun) -> None:
        """Begin to count the stages of a run once it is known how many requests to expect."""
        if run.counted or not self._countable(run):
            return
        run.counted = True
        found = self._window.spans_of(run.id)
        run.progress = Progress()
        if found is not None:
            run.progress.add(self.flows_of(run), found[0])

    def _add(self, batch: _Batch) -> list[LiveRun]:
        now = self.clock()
        with _tracer.start_as_current_span("associate"):
            names = self._window.add(batch.id, batch.table, now)
        found = [self._of(name) for name in sorted(names)]
        for run in found:
            run.touch(batch.id, now)
            first = self._window.first_batch_of(run.id)
            run.first_batch = min(run.first_batch, first) if first is not None else run.first_batch
            if run.counted:
                run.progress.add(self.flows_of(run), batch.table)
            else:
                self._count_from_now(run)
        if now >= self._forget_at:
            self._forget_at = now + KEEP_S / 10
            self._forget(now - KEEP_S)
        return found

    def _countable(self, run: LiveRun) -> bool:
        """Tell whether counting stages can ever tell that the run is whole."""
        flows = self.flows_of(run)
        return run.expected is not None or any(flow.complete.requests is not None for flow in flows)

    def _forget(self, before: float) -> None:
        self._window.forget(before)
        old = [run.id for run in self.runs.values() if not run.fresh and (run.last_seen or before) < before]
        for run_id in old:
            del self.runs[run_id]

    def _of(self, run_id: str) -> LiveRun:
        run = self.runs.get(run_id)
        if run is None:
            run = self.runs[run_id] = LiveRun(run_id)
            self._remember(run)
        return run

    def _remember(self, run: LiveRun) -> None:
        """Bring back what the store knows of a run, its spans included."""
        known = self.recall(run.id) if self.recall is not None else None
        if known is None:
            return
        now = self.clock()
        run.revision = known.revision
        run.heard(known.record, now)
        if known.traces:
            self._window.register(run.id, known.traces)
        for batch, table in known.batches:
            self._window.add(batch, table, now)
            run.touch(batch, now)
        self._count_from_now(run)

    def flows_of(self, run: LiveRun) -> tuple[Flow, ...]:
        """Return the flows that may judge a run: those it was declared with, else all."""
        if not run.declared_flows:
            return self.flows
        return tuple(flow for flow in self.flows if flow.name in run.declared_flows)

    def _judge_due(self) -> None:
        for run in list(self.runs.values()):
            if run.fresh:
                trigger = self._trigger(run)
                if trigger is not None:
                    self._judge(run, trigger)

    def _trigger(self, run: LiveRun) -> str | None:
        now, flows = self.clock(), self.flows_of(run)
        if now >= run.check_again and may_be_whole(run.progress, flows, run.expected):
            found = self._window.spans_of(run.id)
            if found is not None and is_whole(found[0], flows, run.expected):
                return "manifest"
            run.check_again = self.clock() + 2 * (self.clock() - now)
        return run.waiting(flows).trigger(now)

    def _judge(self, run: LiveRun, trigger: str) -> None:
        through = run.last_batch
        run.revision += 1
        with _tracer.start_as_current_span("judge") as span:
            span.set_attribute("test.suite.run.id", run.id)
            found = self._window.spans_of(run.id)
            table, defects = (found[0], _defects(found[1])) if found is not None else (SpanTable.empty(new_pool()), ())
            flows = self._judging(run, table)
            info = RunInfo(run.id, dict(run.labels), run.expected, run.revision)
            try:
                events = tuple(evaluate(flows, table, info, trigger=trigger, defects=defects))
                self.conclude(Judgement(info, flows, trigger, events, through))
            except Exception:  # noqa: BLE001 - logged; the trouble of one run is not that of others
                _log.exception("run %s could not be judged", run.id)
        _judged.add(1)
        run.judged_through = max(through, run.judged_through)

    def _judging(self, run: LiveRun, table: SpanTable) -> tuple[Flow, ...]:
        """Return the flows that judge a run: the declared ones, else those whose first stage matched."""
        if run.declared_flows or self.window_run is not None:
            return self.flows_of(run)
        spans = Spans.of(table)
        return tuple(flow for flow in self.flows if flow.stages[0].selector.mask(spans).any())


def _reader(key: Field) -> KeyReader:
    def read(table: SpanTable) -> AttributeColumn:
        return key.column(Spans.of(table))

    return read


def _defects(found: Association) -> tuple[Defect, ...]:
    """Say what association met on the way."""
    defects = []
    if found.conflicts:
        defects.append(Defect("shared_trace", found.conflicts, "traces hold spans of more than one run"))
    if found.invalid:
        detail = f"values that cannot name a run: {', '.join(found.invalid)}"
        defects.append(Defect("invalid_run_id", len(found.invalid), detail))
    return tuple(defects)
