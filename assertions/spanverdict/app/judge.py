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
from dataclasses import dataclass, field
from itertools import takewhile, zip_longest
from typing import Final, TypeVar

from opentelemetry import metrics, trace

from spanverdict.app.allocation import give_back
from spanverdict.app.arrivals import Arrival, Batch, Done, Mark, Rules, Stop, Word, joined
from spanverdict.app.aside import in_a_thread, settle
from spanverdict.app.docket import RETRY_S, Docket
from spanverdict.app.inbox import Inbox
from spanverdict.app.incoming import Incoming
from spanverdict.app.judgement import Judgement, PastOf, judgement_on
from spanverdict.app.liverun import LiveRun
from spanverdict.app.notes import Notes
from spanverdict.app.pages import take_small_pages
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import RunInfo
from spanverdict.otlp.decode import new_pool
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.errors import StoreError
from spanverdict.storage.records import RunRecord
from spanverdict.telemetry.spantable import SpanTable

_PAUSE_S: Final = 0.05
"""How long after a round the next one begins while batches come: it takes in more of them at a time."""
_LONG_PAUSE_S: Final = 0.25
"""The same while no run can be complete by what comes, but only by what no longer comes."""
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
    past_of: PastOf | None = None
    """Finds what a run is compared with; may raise `StoreError`."""
    conclude_all: Callable[[Sequence[Judgement]], Sequence[int]] | None = None
    """Keeps several judgements as `conclude` does one, in their order, all of them or none."""
    clock: Callable[[], float] = time.monotonic
    begin_aside: Callable[[Callable[[], None]], None] = in_a_thread
    """Begins to work on something elsewhere."""
    many_spans: int = MANY_SPANS
    inbox: Inbox[Arrival] | None = None
    """Where what is handed over waits."""
    _incoming: Incoming = field(init=False)
    _held: list[Arrival] = field(default_factory=list)
    """What came while something was worked out, and waits until that is done."""
    _thread: threading.Thread | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _notes: Notes = field(init=False)
    _drain_until: float = math.inf

    def __post_init__(self) -> None:
        self.docket.findings.aside = self._aside
        self._incoming = Incoming(self.clock, self.inbox)
        self._notes = Notes(self.docket, self.note)

    def deliver(self, batches: Sequence[int], table: SpanTable) -> None:
        """Hand over the spans of committed batches, whose ids follow each other; from any thread."""
        self._incoming.put_spans(batches, table)

    @property
    def backlog(self) -> int:
        """Bytes of columns that were handed over and are not yet taken in."""
        return self._incoming.backlog

    def has_room(self) -> bool:
        """Tell whether more may be accepted now; from any thread."""
        return self._incoming.has_room() and self.docket.has_room()

    def hear(self, record: RunRecord, traces: Sequence[bytes] = ()) -> None:
        """Hand over what was declared of a run, its end included; from any thread."""
        self._incoming.put(Word(self.clock(), record, tuple(traces)))

    def judge_by(self, flows: tuple[Flow, ...]) -> None:
        """Judge by these flows what is judged from now on; from any thread."""
        self._incoming.put(Rules(self.clock(), flows))

    def mark(self) -> threading.Event:
        """Return an event that is set once all that was handed over so far is taken in; from any thread."""
        mark = Mark(self.clock(), threading.Event())
        self._incoming.put(mark)
        return mark.reached

    def start(self, records: Sequence[RunRecord] = (), batches: Iterable[tuple[int, SpanTable]] = ()) -> None:
        """Begin to follow and judge, first of all the runs and batches from before."""
        self._thread = threading.Thread(target=self._work, args=(records, batches), name="judge", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take in what was handed over, as far as that takes seconds, and end without judging what is not complete."""
        self._drain_until = self.clock() + DRAIN_S
        self._stopping.set()
        self._incoming.put(Stop(self.clock()))
        if self._thread is not None:
            self._thread.join()
        self._tell_what_is_left()

    def _tell_what_is_left(self) -> None:
        left = self.docket.open_runs
        if left and self.docket.config.only is None:
            what = "1 run has" if left == 1 else f"{left} runs have"
            waiting = f", and {self.backlog} bytes of spans were not looked at" if self.backlog else ""
            _log.warning("stopped: %s no verdict on all that came%s; a restart takes them up", what, waiting)

    def step(self) -> bool:
        """Wait for something, take in what is there, judge what is due; False when told to stop."""
        items, drained = self._collect()
        self._take_all_in(items)
        now = self.clock()
        going = now <= self._drain_until and not any(isinstance(item, Stop) for item in items)
        self._notes.tell(now if going else math.inf)
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
            self._incoming.put(Done(self.clock()))

        self.begin_aside(do)
        while not found.done():
            self._go_on()
        return found.result()

    def _go_on(self) -> None:
        """Wait for batches and take them in, and count them. Whatever else comes waits, with all that comes after it.

        So what is declared of runs, and new rules, are heard between two verdicts and never in the middle of one.
        """
        items, _ = self._incoming.take(self._notes.soonest(self.docket.count_due()))
        came = [item for item in items if not isinstance(item, Done)]
        ahead = [] if self._held else [*takewhile(lambda item: isinstance(item, Batch), came)]
        self._held += came[len(ahead) :]
        self._take_all_in(ahead)
        now = self.clock()
        self._notes.tell(now)
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
        self._incoming.rested_at = self.clock() + (_PAUSE_S if self.docket.awaits_spans else _LONG_PAUSE_S)

    def _collect(self) -> tuple[list[Arrival], bool]:
        """Return what was held back; else wait for items and return them. And whether there are no more for now."""
        if self._held:
            items, self._held = self._held, []
            return items, False
        return self._incoming.take(self._notes.soonest(self.docket.next_due()))

    def _take_in(self, item: Arrival) -> None:
        if isinstance(item, Batch):
            self._incoming.taken_in(item)
            with _tracer.start_as_current_span("associate"):
                self.docket.take_in(item.ids, item.table, item.at)
        elif isinstance(item, Word):
            self.docket.hear(item.record, item.traces, item.at)
        elif isinstance(item, Rules):
            self.docket.follow_flows(item.flows, item.at)

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
            judgement = judgement_on(run, trigger, through, self.docket, self.past_of)
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


@contextmanager
def _contained(doing: str) -> Iterator[None]:
    """Let a fault of ours cost one thing, never the thread."""
    try:
        yield
    except Exception:  # noqa: BLE001 - logged; the others go on
        _log.exception("the judge could not %s", doing)
