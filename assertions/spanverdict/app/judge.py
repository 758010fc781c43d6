"""The judge: follows every run as its spans arrive and gives a verdict when it is complete.

One thread does all of it, woken by what happens and by the next time that runs out; it never polls. Only what takes
long, a verdict on many spans, is worked out on another one: meanwhile the first takes in what comes.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile, zip_longest
from queue import Empty
from typing import Final, TypeVar

import numpy as np
from opentelemetry import metrics, trace

from spanverdict.app.allocation import give_back
from spanverdict.app.arrivals import TOGETHER, Arrival, Batch, Done, Mark, Rules, Stop, Word, joined
from spanverdict.app.aside import in_a_thread, settle
from spanverdict.app.docket import RETRY_S, Docket
from spanverdict.app.docketconfig import KEEP_S
from spanverdict.app.evidence import Evidence
from spanverdict.app.inbox import Inbox
from spanverdict.app.liverun import LiveRun
from spanverdict.app.pages import take_small_pages
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import Event, RunFinished, RunInfo, RunStarted
from spanverdict.evaluation.past import NOTHING_BEFORE, Past
from spanverdict.evaluation.preparing import prepare
from spanverdict.otlp.decode import new_pool
from spanverdict.paths.membership import Membership
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.errors import StoreError
from spanverdict.storage.records import RunRecord, Said
from spanverdict.telemetry.spantable import SpanTable

_AT_ONCE: Final = 256
"""Batches that are taken in before it is looked whether a run is due."""
_PAUSE_S: Final = 0.05
"""How long after a round the next one begins while batches come: it takes in more of them at a time."""
_LONG_PAUSE_S: Final = 0.25
"""The same while no run can be complete by what comes, but only by what no longer comes."""
_NOTE_EVERY_S: Final = 0.2
"""How often the store is told of more batches of runs that it knows. Each time costs a commit."""
MAX_BACKLOG_BYTES: Final = 128 * 1024 * 1024
"""Columns that may wait to be taken in, some 900,000 spans."""
MAX_LAG_S: Final = KEEP_S / 2
"""For how long columns may wait, until no more are accepted: a restart takes in anew what came in the last `KEEP_S`."""
DRAIN_S: Final = 5.0
"""How long, when told to stop, to go on taking in; a restart does it with what is left."""

AT_MOST_JUDGED: Final = 32
"""Runs that are judged before it is looked again what came, and whose verdicts may be kept in one commit."""
MANY_SPANS: Final = 20_000
"""What is found out about so many is worked out on another thread."""
LARGE_SPANS: Final = 20_000
"""What was used to judge so many is given back to the system."""

_T = TypeVar("_T")

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


@dataclass(slots=True, eq=False)
class Judge:
    """Works through a docket. All callbacks are called on the judge's thread."""

    docket: Docket
    conclude: Callable[[Judgement], int]
    """Keeps a judgement and returns the revision that it was kept as; may raise `StoreError`."""
    note: Callable[[Sequence[LiveRun]], None] | None = None
    """Told which batches runs came by; may raise `StoreError`, and is then told again."""
    after_round: Callable[[], None] | None = None
    """Told whenever something may have changed."""
    past_of: Callable[[RunInfo, Sequence[Flow]], Past] | None = None
    """Finds what a run is compared with; may raise `StoreError`."""
    conclude_all: Callable[[Sequence[Judgement]], Sequence[int]] | None = None
    """Keeps several judgements as `conclude` does one, in their order, all of them or none."""
    clock: Callable[[], float] = time.monotonic
    begin_aside: Callable[[Callable[[], None]], None] = in_a_thread
    """Begins to work on something elsewhere."""
    many_spans: int = MANY_SPANS
    _inbox: Inbox[Arrival] = field(default_factory=Inbox)
    _held: list[Arrival] = field(default_factory=list)
    """What came while something was worked out, and waits until that is done."""
    _thread: threading.Thread | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _note_at: float = 0.0
    _retry_at: float = 0.0
    _rested_at: float = 0.0
    _backlog: int = 0
    _oldest: float = 0.0
    """When the first of the columns that wait came, or the last one before it."""
    _drain_until: float = math.inf
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.docket.findings.aside = self._aside

    def deliver(self, batches: Sequence[int], table: SpanTable) -> None:
        """Hand over the spans of committed batches, whose ids follow each other; from any thread."""
        nbytes = table.nbytes
        self._wait_for(nbytes)
        self._inbox.put(Batch(self.clock(), batches, table, nbytes), max(len(table), TOGETHER / _AT_ONCE))

    @property
    def backlog(self) -> int:
        """Bytes of columns that were handed over and are not yet taken in."""
        return self._backlog

    def has_room(self) -> bool:
        """Tell whether more may be accepted now; from any thread."""
        lags = self._backlog > 0 and self.clock() - self._oldest > MAX_LAG_S
        return self._backlog < MAX_BACKLOG_BYTES and not lags and self.docket.has_room()

    def hear(self, record: RunRecord, traces: Sequence[bytes] = ()) -> None:
        """Hand over what was declared of a run, its end included; from any thread."""
        self._inbox.put(Word(self.clock(), record, tuple(traces)))

    def judge_by(self, flows: tuple[Flow, ...]) -> None:
        """Judge by these flows what is judged from now on; from any thread."""
        self._inbox.put(Rules(self.clock(), flows))

    def mark(self) -> threading.Event:
        """Return an event that is set once all that was handed over so far is taken in; from any thread."""
        mark = Mark(self.clock(), threading.Event())
        self._inbox.put(mark)
        return mark.reached

    def start(self, records: Sequence[RunRecord] = (), batches: Iterable[tuple[int, SpanTable]] = ()) -> None:
        """Begin to follow and judge, first of all the runs and batches from before."""
        self._thread = threading.Thread(target=self._work, args=(records, batches), name="judge", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take in what was handed over, as far as that takes seconds, and end without judging what is not complete."""
        self._drain_until = self.clock() + DRAIN_S
        self._stopping.set()
        self._inbox.put(Stop(self.clock()))
        if self._thread is not None:
            self._thread.join()
        self._tell_what_is_left()

    def _tell_what_is_left(self) -> None:
        left = self.docket.open_runs
        if left and self.docket.config.only is None:
            what = "1 run has" if left == 1 else f"{left} runs have"
            waiting = f", and {self._backlog} bytes of spans were not looked at" if self._backlog else ""
            _log.warning("stopped: %s no verdict on all that came%s; a restart takes them up", what, waiting)

    def step(self) -> bool:
        """Wait for something, take in what is there, judge what is due; False when told to stop."""
        items, drained = self._collect()
        self._take_all_in(items)
        now = self.clock()
        going = now <= self._drain_until and not any(isinstance(item, Stop) for item in items)
        self._tell(now if going else math.inf)
        if going:
            # What waits in the inbox came later than the last item and may keep a run from being due.
            self._judge_due(now if drained else items[-1].at)
            with _contained("tidy up"):
                self.docket.tidy(now)
        for item in items:
            if isinstance(item, Mark):
                item.reached.set()
        self._end_round()
        return going

    def _work(self, records: Sequence[RunRecord], batches: Iterable[tuple[int, SpanTable]]) -> None:
        with _contained("get ready"):
            self._get_ready()
        with _contained("take up what was left"):
            self._take_up(records, batches)
        while self.step():
            pass

    def _get_ready(self) -> None:
        """Judge nothing once, so that the first verdict does not wait for modules to be loaded."""
        take_small_pages()
        for _ in evaluate(self.docket.config.flows, SpanTable.empty(new_pool()), RunInfo("")):
            pass

    def _take_up(self, records: Sequence[RunRecord], batches: Iterable[tuple[int, SpanTable]]) -> None:
        for record in records:
            self.docket.follow(record.id, self.clock())
        for batch, table in batches:
            if self._stopping.is_set():
                return
            self.docket.take_in((batch,), table, self.clock())
            self.docket.tidy(self.clock())
        for record in records:
            if record.id in self.docket.runs:  # one with a verdict may have been let go again
                with _contained("take up a run"):
                    self.docket.complete(record.id)

    def _aside(self, n_spans: int, work: Callable[[], _T]) -> _T:
        """Have something worked out; if it is about many spans, take in batches meanwhile."""
        if n_spans < self.many_spans:
            return work()
        found: Future[_T] = Future()

        def do() -> None:
            settle(found, work)
            self._inbox.put(Done(self.clock()))

        self.begin_aside(do)
        while not found.done():
            self._go_on()
        return found.result()

    def _go_on(self) -> None:
        """Wait for batches and take them in, and count them. Whatever else comes waits, with all that comes after it.

        So what is declared of runs, and new rules, are heard between two verdicts and never in the middle of one.
        """
        items, _ = self._waited(self._soonest(self.docket.count_due()))
        came = [item for item in items if not isinstance(item, Done)]
        ahead = [] if self._held else [*takewhile(lambda item: isinstance(item, Batch), came)]
        self._held += came[len(ahead) :]
        self._take_all_in(ahead)
        now = self.clock()
        self._tell(now)
        with _contained("count what came"):
            self.docket.count(now)
        self._end_round()

    def _take_all_in(self, items: Sequence[Arrival]) -> None:
        for item in joined(items):
            if self.clock() > self._drain_until:
                break
            with _contained("take in what came"):
                self._take_in(item)

    def _end_round(self) -> None:
        if self.after_round is not None:
            self.after_round()
        self._rested_at = self.clock() + (_PAUSE_S if self.docket.awaits_spans else _LONG_PAUSE_S)

    def _collect(self) -> tuple[list[Arrival], bool]:
        """Return what was held back; else wait for items and return them. And whether there are no more for now."""
        if self._held:
            items, self._held = self._held, []
            return items, False
        return self._waited(self._soonest(self.docket.next_due()))

    def _waited(self, due: float | None) -> tuple[list[Arrival], bool]:
        """Wait for items until then, and return them and whether there are no more for now."""
        items: list[Arrival] = []
        try:
            items.append(self._inbox.get(timeout=None if due is None else max(0.0, due - self.clock())))
            pause = min(self._rested_at, math.inf if due is None else due) - self.clock()
            if pause > 0 and isinstance(items[0], Batch):
                self._inbox.rest(pause, TOGETHER)
            while len(items) < _AT_ONCE:
                items.append(self._inbox.get_nowait())
        except Empty:
            return items, True
        return items, False

    def _soonest(self, due: float | None) -> float | None:
        """Return that time, or when the store is to be told of something, if that is sooner."""
        if self.note is None or not self.docket.unnoted():
            return due
        note_at = max(self._note_at, self._retry_at)
        return note_at if due is None else min(note_at, due)

    def _wait_for(self, nbytes: int) -> None:
        with self._counting:
            if not self._backlog:
                self._oldest = self.clock()
            self._backlog += nbytes

    def _take_in(self, item: Arrival) -> None:
        if isinstance(item, Batch):
            self._wait_for(-item.nbytes)
            self._oldest = max(self._oldest, item.at)
            with _tracer.start_as_current_span("associate"):
                self.docket.take_in(item.ids, item.table, item.at)
        elif isinstance(item, Word):
            self.docket.hear(item.record, item.traces, item.at)
        elif isinstance(item, Rules):
            self.docket.follow_flows(item.flows, item.at)

    def _tell(self, now: float) -> None:
        """Let the store know which batches belong to which runs, so that a restart finds them.

        Of a new run at once, since it can be asked for; of more batches, which a restart reads again anyway, not
        every time.
        """
        runs = self.docket.unnoted()
        if self.note is None or not runs or now < self._retry_at:
            return
        if now < self._note_at and all(run.noted[1] for run in runs):
            return
        try:
            self.note(runs)
        except StoreError as error:
            _log.error("runs cannot be noted: %s", error)
            self._retry_at = now + RETRY_S
        else:
            self.docket.noted(runs)
            self._note_at = now + _NOTE_EVERY_S

    def _judge_due(self, now: float) -> None:
        judged: list[tuple[LiveRun, Judgement]] = []
        with _contained("find what is due"):
            for run, trigger in self.docket.due(now, AT_MOST_JUDGED):
                if self._stopping.is_set():
                    break
                self._judge(run, trigger, judged)
        self._keep_all(judged)

    def _judge(self, run: LiveRun, trigger: str, judged: list[tuple[LiveRun, Judgement]]) -> None:
        """Judge a run, and keep the judgement, or add it to those that are kept together."""
        through = self.docket.through(run)
        with self._troubled(run, through), _tracer.start_as_current_span("judge") as span:
            span.set_attribute("test.suite.run.id", run.id)
            judgement = self._judgement(run, trigger, through)
            if self.conclude_all is None or judgement.depends_on_others:
                self._keep_all(judged)
                self._kept(run, judgement, self.conclude(judgement))
            else:
                judged.append((run, judgement))

    def _keep_all(self, judged: list[tuple[LiveRun, Judgement]]) -> None:
        """Keep judgements in one commit, which costs hardly more than one of them; or one by one where that fails."""
        revisions: Sequence[int] = ()
        if self.conclude_all is not None and len(judged) > 1:
            with suppress(Exception):  # told with the one that it is about
                revisions = self.conclude_all([judgement for _, judgement in judged])
        for (run, judgement), revision in zip_longest(judged, revisions):
            with self._troubled(run, judgement.judged_through):
                self._kept(run, judgement, revision or self.conclude(judgement))
        judged.clear()

    def _kept(self, run: LiveRun, judgement: Judgement, revision: int) -> None:
        self.docket.judged(run, judgement.judged_through, revision)
        if run.progress.spans >= LARGE_SPANS:
            give_back()
        _judged.add(1)

    @contextmanager
    def _troubled(self, run: LiveRun, through: int) -> Iterator[None]:
        """Let trouble with one run not be that of others."""
        try:
            yield
        except StoreError as error:
            _log.error("the verdict on run %s cannot be kept: %s", run.id, error)
            self.docket.postpone(run, self.clock() + RETRY_S, str(error))
        except Exception as error:  # noqa: BLE001 - the trouble of one run is not that of others
            _log.error("run %s cannot be judged", run.id, exc_info=error)
            self.docket.give_up(run, through, f"{type(error).__name__}: {error}")

    def _judgement(self, run: LiveRun, trigger: str, through: int) -> Judgement:
        found = self.docket.evidence(run)
        if found is None:
            found = Evidence(prepare(SpanTable.empty(new_pool()), Membership(np.zeros(0, np.int64))))
        prepared, spans = found.run, found.run.spans
        flows = self._aside(len(spans), partial(self.docket.judging, run, spans))
        info = RunInfo(run.id, dict(run.labels), run.expected, run.revision + 1)
        ended = replace(info, ended_unix_nano=int(spans.table.end_time_unix_nano.max(initial=0)))
        past = NOTHING_BEFORE if self.past_of is None else self.past_of(ended, flows)

        def judged() -> tuple[Event, ...]:
            return tuple(
                evaluate(flows, prepared, info, trigger=trigger, defects=found.defects, past=past, keep_samples=True)
            )

        return Judgement(info, flows, trigger, self._aside(len(spans), judged), through, past, run.said)


@contextmanager
def _contained(doing: str) -> Iterator[None]:
    """Let a fault of ours cost one thing, never the thread."""
    try:
        yield
    except Exception:  # noqa: BLE001 - logged; the others go on
        _log.exception("the judge could not %s", doing)
