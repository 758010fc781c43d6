"""The whole service: receiver, store, judge and courier, started and stopped in order."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from spanverdict.alerting.alerts import scope_of
from spanverdict.alerting.config import ReceiverSettings
from spanverdict.alerting.decision import decide
from spanverdict.alerting.outbox import KnownState
from spanverdict.app.admission import Admission
from spanverdict.app.baselinechoice import BaselineChoice
from spanverdict.app.baselines import Comparer
from spanverdict.app.decodingprocess import DecodingProcess
from spanverdict.app.docket import Docket
from spanverdict.app.docketconfig import KEEP_BYTES, DocketConfig
from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.intake import Intake
from spanverdict.app.judge import Judge
from spanverdict.app.judgement import Judgement
from spanverdict.app.keeping import Keeper, Keeping
from spanverdict.app.pace import Pace
from spanverdict.app.pastruns import past_of
from spanverdict.app.revising import as_new_revision, finish_of, verdict_of
from spanverdict.app.settling import Settling
from spanverdict.app.storedruns import StoredRuns
from spanverdict.evaluation.outcomes import Event, RuleEvaluated, RuleResult, RunInfo, RunStarted
from spanverdict.evaluation.past import Past
from spanverdict.masking.masker import Masker
from spanverdict.masking.rules import MaskingRules
from spanverdict.otlp.limiting import AttributeLimits
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.errors import CannotListen, ReceiverError
from spanverdict.receiver.listen import Endpoints, Receiver
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.errors import StoreError, StoreUnavailable
from spanverdict.storage.records import Conclusion, RunDeclaration, RunRecord
from spanverdict.storage.store import Store

if TYPE_CHECKING:
    from spanverdict.alerting.delivery import Courier

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """What a service is told; the command line and files become one of these."""

    store: Path
    flows: tuple[Flow, ...] = ()
    receiver: ReceiverConfig = field(default_factory=ReceiverConfig)
    webhooks: tuple[ReceiverSettings, ...] = ()
    external_url: str = ""
    masking: MaskingRules = field(default_factory=MaskingRules)
    """What is taken out of spans before anything of them is kept."""
    limits: AttributeLimits = field(default_factory=AttributeLimits)
    """How much is kept of the attributes of a span."""
    baseline: BaselineChoice | None = None
    """What runs are compared with."""
    only: str | None = None
    """The one run that is received and judged, once; it takes every span that names no other."""
    keeping: Keeping = field(default_factory=Keeping)
    """What is deleted from the store because it is too old or too much."""
    window_bytes: int = KEEP_BYTES
    """How much memory spans at hand may take, about, before those that no verdict waits for are let go."""
    decode_apart: bool = False
    """Much load is decoded in a process of its own."""
    patient: bool = False
    """Services that were there before send to it, at their own pace."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changes:
    """What a service can be told while it runs."""

    flows: tuple[Flow, ...]
    baseline: BaselineChoice | None
    webhooks: tuple[ReceiverSettings, ...]
    external_url: str
    masking: MaskingRules
    keeping: Keeping
    tokens: tuple[str, ...]
    client_bytes_per_s: int | None


@dataclass(slots=True)
class Reloads:
    """How it went the last time that the configuration was read."""

    ok: bool = True
    at: float = field(default_factory=time.time)
    """When it was last taken over, in seconds since the epoch."""

    def failed(self) -> None:
        """Note that something was wrong with it."""
        self.ok = False

    def succeeded(self, at: float) -> None:
        """Note that it was taken over."""
        self.ok, self.at = True, at


class Service:
    """Receives, journals, judges and alerts. Use it in a `with` block, or `start` and `stop` it once."""

    def __init__(self, config: ServiceConfig) -> None:
        self.config = config
        self.judged: Callable[[Judgement], None] | None = None
        """Given each judgement once it is saved, on the judge's thread."""
        self._parts = ExitStack()
        self.settling = Settling()
        self.reloads = Reloads()
        self.verdicts: Counter[str] = Counter()
        """Verdicts given since the start, by outcome."""
        self.unjudged = 0
        """Runs that no flow matched, since the start."""
        self.spans_by_reason: Counter[str] = Counter()
        """Spans in verdicts given, by why they are their run's."""
        self.defects: Counter[str] = Counter()
        """Broken data in verdicts given, by kind."""
        self.conflicting_traces = 0
        """Traces in verdicts given that several runs claim."""

    def start(self) -> Endpoints:
        """Open the store, take up what it holds unfinished, listen.

        Raises:
            CommandError: an address is taken, the store cannot be used; one line for the user.
        """
        try:
            self.store = self._parts.enter_context(Store.open(self.config.store))
            self.keeper = Keeper(self.store, self.config.keeping)
            self._parts.callback(self.keeper.close)
            self._open_courier()
            self._parts.callback(self._close_courier)
            self._comparer = _comparer(self.config)
            archive = StoredRuns(self.store)
            docket = Docket(_docket_config(self.config), archive)
            self.judge = Judge(
                docket, self._conclude, archive.note, self.settling.announce, self._past, self._conclude_all
            )
            self._parts.callback(self.settling.close)
            self._parts.callback(self.judge.stop)
            if self.config.only is None:
                self.judge.start(*archive.left_over())
            else:
                self.judge.start()
            self.masker = Masker(self.config.masking)
            apart = self._decoding_process() if self.config.decode_apart else None
            self.admission = Admission(docket) if self.config.only is None else None
            self.intake = Intake(
                self.store.journal,
                self.judge.deliver,
                self.judge.has_room,
                refusal=self.keeper.refusal,
                apart=apart,
                masker=self.masker,
                limits=self.config.limits,
                admission=self.admission,
                pace=Pace(),
            )
            self.intake.start()
            self._parts.callback(self.intake.close)
            self.receiver = Receiver(self.config.receiver, self.intake)
            endpoints = self.receiver.start()
            self._parts.callback(self.receiver.stop)
            self.keeper.start()
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
        """Declare a run, or say more about one; raises `StoreUnavailable` for a new one when there are too many."""
        docket = self.judge.docket
        if declaration.id not in docket.runs and len(docket.runs) >= docket.config.max_runs:
            raise StoreUnavailable(f"{len(docket.runs)} runs are known; declare new ones when there are fewer")
        record = self.store.runs.declare(declaration, time.time_ns())
        self.judge.hear(record, [bytes.fromhex(trace) for trace in declaration.traces])
        return record

    def end(self, run_id: str) -> RunRecord | None:
        """Say that a run has ended; None when nobody has heard of it."""
        record = self.store.runs.end(run_id, time.time_ns())
        if record is not None:
            self.judge.hear(record)
        return record

    def take_over(self, changes: Changes) -> None:
        """Go on as told from now on: what is received, judged and delivered next. Call it from one thread."""
        masker = Masker(changes.masking)
        masker.masked_payloads = self.masker.masked_payloads
        old, self.config = (
            self.config,
            replace(
                self.config,
                flows=changes.flows,
                baseline=changes.baseline,
                webhooks=changes.webhooks,
                external_url=changes.external_url,
                masking=changes.masking,
            ),
        )
        self._comparer = _comparer(self.config)
        self.masker = masker
        self.intake.mask_with(masker)
        self.keeper.keeping = changes.keeping
        self.receiver.admit(changes.tokens)
        self.receiver.rates.bytes_per_s = changes.client_bytes_per_s
        self.judge.judge_by(changes.flows)
        if old.webhooks != changes.webhooks:
            self._close_courier()
            self._open_courier()

    def _past(self, run: RunInfo, flows: Sequence[Flow]) -> Past:
        """Find what a run is judged beside."""
        return past_of(run, flows, self.store, self._comparer)

    def _close_courier(self) -> None:
        if self.courier is not None:
            self.courier.close()

    def _decoding_process(self) -> DecodingProcess:
        return DecodingProcess(suspicion=self.masker.pattern, limits=self.config.limits)

    def _open_courier(self) -> None:
        self.courier: Courier | None = None
        if self.config.webhooks:
            from spanverdict.alerting.delivery import Courier  # noqa: PLC0415 - brings a whole HTTP client

            self.courier = Courier(self.store.outbox, self.config.webhooks)
            self.courier.start()

    def _conclude(self, judgement: Judgement) -> int:
        """Save a verdict together with the alerts that it leads to; one that says nothing new is no new revision."""
        return self._conclude_all((judgement,))[0]

    def _conclude_all(self, judgements: Sequence[Judgement]) -> list[int]:
        """Do so for several, all of them or none; none may depend on the verdict on another."""
        now = time.time_ns()
        revised = [as_new_revision(judgement, self.store.runs) for judgement in judgements]
        conclusions = self._conclusions(revised, now)
        for judgement, is_new in zip(revised, self.store.conclude_all(conclusions), strict=True):
            if is_new:
                self._count(judgement)
            if self.judged is not None:
                self.judged(judgement)
        if self.courier is not None and any(conclusion.deliveries for conclusion in conclusions):
            self.courier.wake()
        return [judgement.run.revision for judgement in revised]

    def _conclusions(self, judgements: Sequence[Judgement], now: int) -> list[Conclusion]:
        """Decide on the alerts of verdicts one after the other, each by what the ones before left."""
        url = f"{self.config.external_url}/api/v1" if self.config.external_url else ""
        known: dict[tuple[str, str], list[KnownState]] = {}
        conclusions = []
        for judgement in judgements:
            run, told, scope = judgement.run, results_of(judgement.events), scope_of(judgement.run)
            if scope not in known:
                known[scope] = [*self.store.outbox.alert_states(*scope)]
            states = known[scope]
            changes = finish_of(judgement.events).changes
            decision = decide(run, told, states, self.config.webhooks, now, external_url=url, changes=changes)
            states.extend(decision.state_changes)
            conclusions.append(Conclusion(verdict_of(judgement, now), decision.deliveries, decision.state_changes))
        return conclusions

    def _count(self, judgement: Judgement) -> None:
        run, finished = judgement.run, finish_of(judgement.events)
        self.verdicts[str(finished.outcome)] += 1
        self._count_spans(judgement.events)
        self.defects.update({defect.name: defect.count for defect in finished.defects})
        self.unjudged += not judgement.flows
        _log.info("run %s, revision %d: %s (%s)", run.id, run.revision, finished.outcome, judgement.trigger)

    def _count_spans(self, events: Sequence[Event]) -> None:
        found = next(event.associated for event in events if isinstance(event, RunStarted))
        if found is not None:
            self.spans_by_reason.update(found.by_reason)
            self.conflicting_traces += found.conflicts


def _docket_config(config: ServiceConfig) -> DocketConfig:
    return DocketConfig(flows=config.flows, only=config.only, patient=config.patient, keep_bytes=config.window_bytes)


def _comparer(config: ServiceConfig) -> Comparer | None:
    return Comparer.of(config.baseline, config.flows, config.masking) if config.baseline is not None else None


def results_of(events: Sequence[Event]) -> list[RuleResult]:
    """Return the rule results among events."""
    return [event.result for event in events if isinstance(event, RuleEvaluated)]
