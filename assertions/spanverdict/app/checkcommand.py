"""`check`: judging recorded traces, or the spans of a stored run again."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from spanverdict.app.associating import defects_of
from spanverdict.app.baselinechoice import BaselineChoice
from spanverdict.app.baselines import Comparer
from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.judgement import Judgement
from spanverdict.app.offline import UNNAMED_RUN, associated, chosen, read_spans
from spanverdict.app.pastruns import past_again, past_of
from spanverdict.app.revising import as_new_revision, verdict_of
from spanverdict.app.runids import new_run_id
from spanverdict.app.sources import spans_of_store
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import Event, RunInfo
from spanverdict.evaluation.preparing import prepare
from spanverdict.masking.rules import MaskingRules
from spanverdict.otlp.limiting import AttributeLimits
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.errors import StoreError
from spanverdict.storage.records import RunDeclaration, VerdictRecord
from spanverdict.storage.store import Store
from spanverdict.telemetry.spantable import SpanTable


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """What `check` is told when no server is asked."""

    flows: tuple[Flow, ...]
    inputs: tuple[str, ...] = ()
    run: str | None = None
    expected: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    baseline: BaselineChoice | None = None
    store: Path | None = None
    """Where the verdict on files is kept, and where baselines are found; where a run without files is."""
    masking: MaskingRules = field(default_factory=MaskingRules)
    """What is taken out of files."""
    limits: AttributeLimits | None = None
    """How much is kept of their attributes."""


def check(options: CheckOptions) -> Sequence[Event]:
    """Judge files, or a stored run; return the events.

    Raises:
        CommandError: a file or the store cannot be used, or which run is meant is not clear.
    """
    comparer = _comparer(options)
    if options.baseline is not None and options.baseline.stored and options.store is None:
        raise CommandError(f"--baseline {options.baseline.asked} is looked for in a store; name it with --store")
    try:
        return _check_files(options, comparer) if options.inputs else _check_stored(options, comparer)
    except StoreError as error:
        raise CommandError(str(error), ExitCode.INTERNAL) from None


def _comparer(options: CheckOptions) -> Comparer | None:
    if options.baseline is None:
        return None
    return Comparer.of(options.baseline, options.flows, options.masking, options.limits)


def _check_files(options: CheckOptions, comparer: Comparer | None) -> Sequence[Event]:
    everything = read_spans(options.inputs, options.masking, options.limits)
    if not len(everything):
        print(f"spanverdict: there are no spans in {', '.join(options.inputs)}", file=sys.stderr)  # noqa: T201 - a warning
    found = associated(everything, options.flows)
    run_id, spans, membership = chosen(everything, found, options.run)
    ready = prepare(spans, membership)
    if options.store is not None and run_id == UNNAMED_RUN:
        run_id = new_run_id("check")
    with ExitStack() as stack:
        store = stack.enter_context(Store.open(options.store)) if options.store is not None else None
        last = _last_verdict(run_id, store)
        run = RunInfo(run_id, options.labels, options.expected, last.revision + 1 if last else 1)
        past = past_of(_ended(run, spans), options.flows, store, comparer)
        events = evaluate(
            options.flows, ready, run, defects=defects_of(found), past=past, keep_samples=store is not None
        )
        judgement = Judgement(run, options.flows, "input", tuple(events), 0, past)
        return judgement.events if store is None else _keep(judgement, store)


def _last_verdict(run_id: str, store: Store | None) -> VerdictRecord | None:
    """Return the verdict that files with this run were given before; a run that a server received is its own."""
    record = None if store is None else store.runs.get(run_id)
    if store is None or record is None:
        return None
    if record.first_batch:
        raise CommandError(
            f"{store.path} holds the spans of a run {run_id}; judge those without --input, or give these another id"
        )
    return store.runs.verdict(run_id)


def _keep(judgement: Judgement, store: Store) -> Sequence[Event]:
    """Keep a verdict; one that only repeats the last is that one."""
    run, now = judgement.run, time.time_ns()
    names = tuple(flow.name for flow in judgement.flows)
    store.runs.declare(RunDeclaration(run.id, run.expected_requests, run.labels, names), now)
    store.runs.end(run.id, now)
    judgement = as_new_revision(judgement, store.runs)
    store.runs.save_verdict(verdict_of(judgement, now))
    return judgement.events


def _check_stored(options: CheckOptions, comparer: Comparer | None) -> Sequence[Event]:
    """Judge a stored run again by its spans; compared with what it was compared with, unless another is named."""
    if options.run is None or options.store is None:
        raise CommandError("give --input FILE, or --store PATH and --run ID of a run in it")
    found = spans_of_store(options.store, options.run, options.flows)
    if found.deleted_batches or found.damaged_batches:
        why = "spans of it were deleted" if found.deleted_batches else "batches in which it came are damaged"
        raise CommandError(
            f"run {options.run} cannot be judged again: {why}; `runs show` has its verdict", ExitCode.NO_VERDICT
        )
    past = past_again(options.store, found, options.flows, comparer)
    with Store.read_only(options.store) as store:
        last = store.runs.verdict(options.run)
    info = replace(found.run, expected_requests=options.expected or found.run.expected_requests)
    trigger = _trigger(last)
    ready = prepare(found.table, found.membership)
    return list(evaluate(options.flows, ready, info, trigger=trigger, defects=found.defects, past=past))


def _ended(run: RunInfo, table: SpanTable) -> RunInfo:
    return replace(run, ended_unix_nano=int(table.end_time_unix_nano.max(initial=0)))


def _trigger(last: VerdictRecord | None) -> str:
    """Return why the run was judged as it was."""
    flows = [] if last is None else json.loads(last.document)["flows"]
    return str(flows[0]["completeness"]["trigger"]) if flows else "input"
