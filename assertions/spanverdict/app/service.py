"""The whole service: receiver, store, judge and courier, started and stopped in order."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from spanverdict.alerting.alerts import scope_of
from spanverdict.alerting.config import ReceiverSettings
from spanverdict.alerting.decision import decide
from spanverdict.alerting.delivery import Courier
from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.intake import Decoder, Intake
from spanverdict.app.judge import KEEP_S, Judge, Judgement, Recalled
from spanverdict.app.liverun import LiveRun
from spanverdict.app.settling import Settling
from spanverdict.evaluation.outcomes import Event, RuleEvaluated, RuleResult, RunFinished
from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.errors import CannotListen, ReceiverError
from spanverdict.receiver.listen import Endpoints, Receiver
from spanverdict.reporting.jsonreport import document, render
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.errors import StoreError, StoreUnavailable
from spanverdict.storage.records import RunDeclaration, RunRecord, RunTouch, Verdict
from spanverdict.storage.store import Store
from spanverdict.telemetry.spantable import SpanTable

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """What a service is told; the command line and files become one of these."""

    store: Path
    flows: tuple[Flow, ...] = ()
    receiver: ReceiverConfig = field(default_factory=ReceiverConfig)
    webhooks: tuple[ReceiverSettings, ...] = ()
    external_url: str = ""
    window_run: str | None = None
    """A run that takes every span of no other: the run of a private receiver."""


class Service:
    """Receives, journals, judges and alerts. Use it in a `with` block, or `start` and `stop` it once."""

    def __init__(self, config: ServiceConfig) -> None:
        self.config = config
        self.judged: Callable[[Judgement], None] | None = None
        """Given each judgement once it is saved, on the judge's thread."""
        self._parts = ExitStack()
        self.settling = Settling()
        self.verdicts: Counter[str] = Counter()
        """Verdicts given since the start, by outcome."""
        self.unjudged = 0
        """Runs that no flow matched, since the start."""

    def start(self) -> Endpoints:
        """Open the store, take up what it holds unfinished, listen.

        Raises:
            CommandError: an address is taken, the store cannot be used; one line for the user.
        """
        try:
            self.store = self._parts.enter_context(Store.open(self.config.store))
            self._open_courier()
            self.judge = Judge(
                self.config.flows,
                self._conclude,
                self.config.window_run,
                self._note,
                self._recall,
                self.settling.announce,
            )
            self._take_up()
            self.judge.start()
            self._parts.callback(self.judge.stop)
            self.receiver = Receiver(self.config.receiver, Intake(self.store.journal, self.judge.deliver))
            endpoints = self.receiver.start()
            self._parts.callback(self.receiver.stop)
        except (StoreError, StoreUnavailable) as error:
            self.stop()
            raise CommandError(str(error), ExitCode.INTERNAL) from None
        except ReceiverError as error:
            self.stop()
            code = ExitCode.INTERNAL if isinstance(error, CannotListen) else ExitCode.USAGE
            raise CommandError(str(error), code) from None
        except BaseException:
            self.stop()
            raise
        return endpoints

    def stop(self) -> None:
        """Refuse new spans, finish what was acknowledged, close the store. More than once is fine."""
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.stop()

    def declare(self, declaration: RunDeclaration) -> RunRecord:
        """Declare a run, or say more about one."""
        record = self.store.runs.declare(declaration, time.time_ns())
        self.judge.hear(record, [bytes.fromhex(trace) for trace in declaration.traces])
        return record

    def end(self, run_id: str) -> RunRecord | None:
        """Say that a run has ended; None when nobody has heard of it."""
        record = self.store.runs.end(run_id, time.time_ns())
        if record is not None:
            self.judge.hear(record)
        return record

    def _open_courier(self) -> None:
        self.courier: Courier | None = None
        if self.config.webhooks:
            self.courier = Courier(self.store.outbox, self.config.webhooks)
            self.courier.start()
            self._parts.callback(self.courier.close)

    def _take_up(self) -> None:
        """Bring back runs that were not judged to the end, and recent spans that no run claimed so far."""
        journal = self.store.journal
        for record in self.store.runs.unfinished():
            self.judge.follow(record.id)
        recent = min(time.time_ns(), journal.last_received) - int(KEEP_S * 1e9)
        for batch, table in self._replay(journal.first_since(recent)):
            self.judge.take_in(batch, table)
        self._note(list(self.judge.runs.values()))

    def _replay(self, first: int, last: int | None = None) -> Iterator[tuple[int, SpanTable]]:
        """Decode batches of the journal again; what cannot be read is logged and left out."""
        decoder = Decoder()
        for batch in self.store.journal.read(first, last):
            try:
                yield batch.id, decoder.decode(batch.payload).table
            except Undecodable as error:
                _log.error("batch %d of the journal cannot be decoded: %s", batch.id, error)

    def _recall(self, run_id: str) -> Recalled | None:
        """Return what the store knows of a run."""
        runs = self.store.runs
        record = runs.get(run_id)
        if record is None:
            return None
        last = runs.verdict(run_id)
        batches = self._replay(record.first_batch, record.last_batch) if record.first_batch else ()
        traces = tuple(bytes.fromhex(trace) for trace in runs.traces(run_id))
        return Recalled(record, last.revision if last is not None else 0, traces, batches)

    def _note(self, runs: Sequence[LiveRun]) -> None:
        """Write down which batches concern which runs, so that a restart finds them."""
        now = time.time_ns()
        touches = [RunTouch(run.id, run.first_batch, run.last_batch, now) for run in runs if run.last_batch]
        try:
            self.store.runs.touch_many(touches)
        except StoreUnavailable as error:
            _log.error("runs cannot be noted: %s", error)

    def _conclude(self, judgement: Judgement) -> None:
        """Save a verdict together with the alerts that it leads to."""
        now = time.time_ns()
        run = judgement.run
        finished = next(event for event in judgement.events if isinstance(event, RunFinished))
        verdict = Verdict(
            run.id,
            run.revision,
            str(finished.outcome),
            finished.complete,
            render(document(judgement.events)),
            judgement.judged_through,
            now,
            tuple(flow.name for flow in judgement.flows),
        )
        known = self.store.outbox.alert_states(*scope_of(run))
        url = f"{self.config.external_url}/api/v1/runs/{run.id}" if self.config.external_url else ""
        decision = decide(run, results_of(judgement.events), known, self.config.webhooks, now, external_url=url)
        self.store.conclude(verdict, decision.deliveries, decision.state_changes)
        if self.courier is not None and decision.deliveries:
            self.courier.wake()
        self.verdicts[str(finished.outcome)] += 1
        self.unjudged += not judgement.flows
        _log.info("run %s, revision %d: %s (%s)", run.id, run.revision, finished.outcome, judgement.trigger)
        if self.judged is not None:
            self.judged(judgement)


def results_of(events: Sequence[Event]) -> list[RuleResult]:
    """Return the rule results among events."""
    return [event.result for event in events if isinstance(event, RuleEvaluated)]
