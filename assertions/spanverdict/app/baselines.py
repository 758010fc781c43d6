"""Finding what a run is compared with, in the store or in a file, and keeping it with the verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from spanverdict.app.baselinechoice import BaselineChoice, From
from spanverdict.app.baselinefiles import baselines_of_file
from spanverdict.evaluation.baselines import Baseline, SampleKey, is_relative
from spanverdict.evaluation.baselinesample import BaselineSample
from spanverdict.evaluation.outcomes import BaselineOrigin, Event, RuleEvaluated
from spanverdict.evaluation.past import NOTHING_BEFORE, Past
from spanverdict.evaluation.samplecodec import UnreadableSample, from_bytes, to_bytes
from spanverdict.masking.rules import MaskingRules
from spanverdict.otlp.limiting import AttributeLimits
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.history import FlowRecord, Wanted
from spanverdict.storage.records import VerdictRecord
from spanverdict.storage.samples import DamagedSample, Role, SampleRecord
from spanverdict.storage.store import Store

ENVIRONMENT = "environment"
BRANCH = "branch"


@dataclass(frozen=True, slots=True, eq=False)
class Comparer:
    """Finds the baselines of runs. Methods that look into the store may raise `StoreError`."""

    choice: BaselineChoice
    of_file: Mapping[str, Baseline] = field(default_factory=dict)
    """Where the choice is a file: what each flow measured in it."""

    @classmethod
    def of(
        cls,
        choice: BaselineChoice,
        flows: Sequence[Flow],
        masking: MaskingRules | None = None,
        limits: AttributeLimits | None = None,
    ) -> Comparer:
        """Make one; a file is read now, and masked like the run. Raises `CommandError` when that is not possible."""
        comparing = tuple(flow for flow in flows if flow.baseline is None)
        return cls(
            choice, baselines_of_file(choice.name, comparing, masking, limits) if choice.source is From.FILE else {}
        )

    def past(self, run_id: str, labels: Mapping[str, str], flows: Sequence[Flow], store: Store | None) -> Past:
        """Return what a run is compared with by each flow that compares with another run."""
        if store is None:
            return Past(self.of_file)
        before = store.runs.verdict(run_id)
        return Past(
            {
                flow.name: self._kept(flow, before, store) or self._found(flow, run_id, labels, store)
                for flow in flows
                if flow.baseline is None
            }
        )

    def _kept(self, flow: Flow, before: VerdictRecord | None, store: Store) -> Baseline | None:
        """Return what an earlier revision of the verdict was compared with, so that it stays the same."""
        kept = None if before is None else kept_baseline(flow, before, store)
        return kept if kept is not None and kept.origin.asked == self.choice.asked else None

    def _found(self, flow: Flow, run_id: str, labels: Mapping[str, str], store: Store) -> Baseline:
        if self.choice.source is From.FILE:
            return self.of_file[flow.name]
        rules = tuple(rule.id for rule in flow.rules if is_relative(rule))
        record = store.runs.get(run_id)
        before = (record.created_unix_nano, run_id) if record is not None else None
        match self.choice.source:
            case From.PREVIOUS:
                where = {ENVIRONMENT: labels.get(ENVIRONMENT, "")}
                wanted = Wanted(flow.name, where, complete=True, rules=rules, before=before, limit=2)
            case From.BRANCH:
                wanted = Wanted(
                    flow.name, {BRANCH: self.choice.name}, complete=True, rules=rules, before=before, limit=2
                )
            case _:
                wanted = Wanted(flow.name, run=self.choice.name)
        found = [verdict for verdict in store.history.flows(wanted) if verdict.run_id != run_id]
        if not found:
            return Baseline(BaselineOrigin(self.choice.asked, missing=self._nothing(flow, labels, store)))
        return self._of_run(found[0], store)

    def _nothing(self, flow: Flow, labels: Mapping[str, str], store: Store) -> str:
        """Say what was looked for."""
        rules = ", ".join(rule.id for rule in flow.rules if is_relative(rule))
        what = f"run by flow {flow.name}" + (f" (with {rules})" if rules else "")
        match self.choice.source:
            case From.PREVIOUS:
                environment = labels.get(ENVIRONMENT, "")
                of = f" of environment {environment}" if environment else " without an environment"
                return f"{store.path} has no complete {what}{of} from before this one"
            case From.BRANCH:
                return f"{store.path} has no complete {what} of branch {self.choice.name} from before this one"
        return f"{store.path} has no verdict on a run {self.choice.name} by flow {flow.name}"

    def _of_run(self, verdict: FlowRecord, store: Store) -> Baseline:
        stored = store.runs.verdict(verdict.run_id, verdict.revision)
        digest = sha256(stored.document.encode()).hexdigest() if stored is not None else ""
        missing = "" if verdict.complete else f"the run {verdict.run_id} is incomplete"
        origin = BaselineOrigin(self.choice.asked, verdict.run_id, verdict.revision, sha256=digest, missing=missing)
        return _loaded(origin, flow=verdict.flow, at=(verdict.run_id, verdict.revision, Role.MEASURED), store=store)


def kept_baseline(flow: Flow, verdict: VerdictRecord, store: Store) -> Baseline | None:
    """Return what a flow was compared with when a verdict was given; None when it had no baseline."""
    for known in json.loads(verdict.document)["flows"]:
        if known["flow"] == flow.name and known.get("baseline") and not known["baseline"]["missing"]:
            origin = BaselineOrigin(**known["baseline"])
            return _loaded(origin, flow.name, (verdict.run_id, verdict.revision, Role.BASELINE), store)
    return None


def _loaded(origin: BaselineOrigin, flow: str, at: tuple[str, int, Role], store: Store) -> Baseline:
    run_id, revision, role = at
    try:
        records = store.history.samples(run_id, revision, role, flow)
        samples = {(record.rule, record.group): from_bytes(record.data) for record in records}
    except (DamagedSample, UnreadableSample) as fault:
        missing = f"what run {run_id} measured cannot be read: {fault}"
        return Baseline(BaselineOrigin(origin.asked, origin.run, origin.revision, missing=missing))
    return Baseline(origin, samples)


def baselines_again(verdict: VerdictRecord | None, flows: Sequence[Flow], store: Store) -> Past:
    """Return what the flows of a verdict were compared with, so that a run can be judged again just as it was."""
    if verdict is None:
        return NOTHING_BEFORE
    found = ((flow.name, kept_baseline(flow, verdict, store)) for flow in flows if flow.baseline is None)
    return Past({name: baseline for name, baseline in found if baseline is not None})


def records_of(events: Sequence[Event], past: Past, flows: Sequence[Flow]) -> tuple[SampleRecord, ...]:
    """Return what is kept with a verdict: what its rules measured, and what they were compared with."""
    measured = (
        SampleRecord(Role.MEASURED, event.result.flow, event.result.id, event.result.group, to_bytes(event.sample))
        for event in events
        if isinstance(event, RuleEvaluated) and event.sample is not None
    )
    return (*measured, *_compared(past, flows))


def _compared(past: Past, flows: Sequence[Flow]) -> Iterator[SampleRecord]:
    for flow in flows:
        comparing = {rule.id for rule in flow.rules if is_relative(rule)}
        baseline = past.baselines.get(flow.name)
        for (rule, group), sample in _sorted(baseline):
            if rule in comparing:
                yield SampleRecord(Role.BASELINE, flow.name, rule, group, to_bytes(sample))


def _sorted(baseline: Baseline | None) -> list[tuple[SampleKey, BaselineSample]]:
    samples = {} if baseline is None else baseline.samples
    return sorted(samples.items(), key=lambda entry: (entry[0][0], entry[0][1] or ""))
