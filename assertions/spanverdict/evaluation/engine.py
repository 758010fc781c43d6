"""The engine: flows and spans → the events of a run. It reads no clock and writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from spanverdict.checks.runview import RunView
from spanverdict.evaluation.abreast import abreast, own_work
from spanverdict.evaluation.baselines import Baseline, definition_of
from spanverdict.evaluation.baselinesample import BaselineSample, kept_sample
from spanverdict.evaluation.clockpairs import clock_pairs
from spanverdict.evaluation.judging import blank_result, judge_samples, worst_outcome
from spanverdict.evaluation.outcomes import (
    Associated,
    Completeness,
    Event,
    FlowFinished,
    FlowStarted,
    Outcome,
    RuleEvaluated,
    RuleResult,
    RunFinished,
    RunInfo,
    RunStarted,
    TimeSpent,
)
from spanverdict.evaluation.overruns import looks_back, own_run, with_history
from spanverdict.evaluation.past import NOTHING_BEFORE, Past
from spanverdict.evaluation.preparing import PreparedRun, prepare, view_of
from spanverdict.evaluation.timespent import time_spent
from spanverdict.evaluation.warnings import warnings_of
from spanverdict.paths.defects import Defect
from spanverdict.rulefiles.models import Flow, Rule
from spanverdict.telemetry.spantable import SpanTable

CAP: Final = "cap"
"""The trigger of a run that was given up on before it was complete."""


def evaluate(
    flows: Sequence[Flow],
    table: SpanTable | PreparedRun,
    run: RunInfo,
    *,
    trigger: str = "input",
    defects: Sequence[Defect] = (),
    past: Past = NOTHING_BEFORE,
    keep_samples: bool = False,
) -> Iterator[Event]:
    """Judge a run by its flows and yield what is found, in the order of the flows and their rules.

    `table` holds the spans of the run in any order, resends included, or as `prepare` made them
    ready, which may know why they are the run's; `trigger` says why it is judged now (see
    `Completeness`), `defects` what was met on the way here, `past` what came before the run. The
    events depend on nothing else: the same spans give the same events however they arrived. With
    `keep_samples` they hold what later runs can be compared with.
    """
    prepared = prepare(table) if isinstance(table, SpanTable) else table
    yield _started(run, prepared)
    outcomes: Counter[Outcome] = Counter()
    ends: list[FlowFinished] = []
    found = [*defects, *prepared.defects]
    for flow in flows:
        for event in _judged(flow, prepared, _Run(run, trigger, past, keep_samples), found):
            if isinstance(event, RuleEvaluated):
                outcomes[event.result.outcome] += 1
            if isinstance(event, FlowFinished):
                ends.append(event)
            yield event
    yield RunFinished(
        worst_outcome([end.outcome for end in ends]) if ends else Outcome.INCONCLUSIVE,
        all(end.completeness.complete for end in ends),
        tuple(sorted(found, key=lambda defect: defect.name)),
        {outcome: outcomes[outcome] for outcome in Outcome if outcomes[outcome]},
        clocks=clock_pairs(prepared.clocks),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """What all flows are told of the run."""

    info: RunInfo
    trigger: str
    past: Past
    keep_samples: bool


def _judged(
    flow: Flow, prepared: PreparedRun, run: _Run, defects: list[Defect]
) -> Iterator[FlowStarted | RuleEvaluated | FlowFinished]:
    """Yield the events of one flow; what is wrong with its paths is added to `defects`.

    A flow whose requests cannot be found is errored as a whole and costs the others nothing.
    """
    baseline = run.past.baseline_of(flow)
    yield FlowStarted(
        flow.name, flow.file, flow.sha256, flow.labels, baseline.origin if baseline.origin.asked else None
    )
    expected = run.info.expected_requests if run.info.expected_requests is not None else flow.complete.requests
    trigger, complete = run.trigger, run.trigger != CAP
    try:
        view, requests = view_of(flow, prepared, expected)
        missing = _missing_stages(view)
    except Exception as error:  # noqa: BLE001 - the flow is errored, the others go on
        for rule in flow.rules:
            yield RuleEvaluated(_errored(rule, flow, error))
        yield FlowFinished(flow.name, Outcome.ERRORED, Completeness(complete, trigger, 0, expected))
        return
    if requests.hop_cap_reached:
        detail = f"paths of flow {flow.name} go on beyond the hop limit"
        defects.append(Defect("hop_cap", requests.hop_cap_reached, detail))
    del requests  # so many numbers for each span
    results = []
    for result, sample in _all_results(flow, view, baseline, run, ended=_ended(prepared)):
        results.append(result if len(prepared.spans) else _undecided(result))
        yield RuleEvaluated(results[-1], sample)
    completeness = Completeness(complete, trigger, view.n_requests, view.expected, missing)
    spent, trouble = _time_spent(view)
    warnings = (*warnings_of(flow, view, results), *trouble)
    yield FlowFinished(flow.name, flow_outcome(results, complete=complete), completeness, warnings, spent)


def _started(run: RunInfo, prepared: PreparedRun) -> RunStarted:
    table = prepared.spans.table
    started = int(table.start_time_unix_nano.min(initial=np.iinfo(np.int64).max)) if len(table) else 0
    info = replace(run, started_unix_nano=started, ended_unix_nano=_ended(prepared))
    here = np.zeros(len(table.pool.traces), np.bool_)
    here[table.trace] = True
    return RunStarted(info, len(table), int(here.sum()), _associated(prepared))


def _associated(prepared: PreparedRun) -> Associated | None:
    membership = prepared.membership
    if membership is None:
        return None
    return Associated(membership.counts(), membership.untagged, membership.conflicts)


def _ended(prepared: PreparedRun) -> int:
    return int(prepared.spans.table.end_time_unix_nano.max(initial=0))


_Judged: TypeAlias = tuple[RuleResult, BaselineSample | None]


def _all_results(flow: Flow, view: RunView, baseline: Baseline, run: _Run, *, ended: int) -> Iterator[_Judged]:
    """Judge all rules, in their order; those that look back at runs see what this one came to by the others."""
    own = [rule for rule in flow.rules if not looks_back(rule)]
    n_members = own_work(len(view.request), view.n_requests)
    judged_own = abreast(lambda rule: _results(rule, flow, view, baseline, run), own, n_members)
    if len(own) == len(flow.rules):
        yield from (judged for results in judged_own for judged in results)
        return
    found = {rule.id: results for rule, results in zip(own, judged_own, strict=True)}
    results = [result for judged in found.values() for result, _ in judged]
    info = replace(run.info, ended_unix_nano=ended)
    view = looking_back(view, flow, (info, run.past), results, complete=run.trigger != CAP)
    for rule in flow.rules:
        yield from found[rule.id] if rule.id in found else _results(rule, flow, view, baseline, run)


def looking_back(
    view: RunView, flow: Flow, known: tuple[RunInfo, Past], results: Sequence[RuleResult], *, complete: bool = True
) -> RunView:
    """Return the view that rules over runs see: it knows of earlier runs, and what this one came to by other rules."""
    run, past = known
    others = {rule.id for rule in flow.rules if not looks_back(rule)}
    told = [result for result in results if result.id in others]
    own = own_run(run, run.ended_unix_nano, told, flow_outcome(told, complete=complete))
    return with_history(view, run, past.runs.get(flow.name, ()), own)


def _results(rule: Rule, flow: Flow, view: RunView, baseline: Baseline, run: _Run) -> list[_Judged]:
    """Judge a rule; one that breaks is errored and costs the others nothing."""
    keep, definition = run.keep_samples, definition_of(rule)
    try:
        return [
            (result, kept_sample(sample, definition) if keep and sample is not None else None)
            for result, sample in judge_samples(rule, flow, view, baseline)
        ]
    except Exception as error:  # noqa: BLE001 - the rule is errored, the others go on
        return [(_errored(rule, flow, error), None)]


def _time_spent(view: RunView) -> tuple[TimeSpent | None, tuple[str, ...]]:
    """Say where the time went; a fault of ours costs only that, and is told."""
    try:
        return time_spent(view), ()
    except Exception as error:  # noqa: BLE001 - told as a warning, the verdict stands
        return None, (f"where the time went could not be found out: {type(error).__name__}: {error}",)


def _undecided(result: RuleResult) -> RuleResult:
    """Return what a rule says of a run without spans: nothing, be it that none was asked for."""
    if result.outcome not in (Outcome.PASSED, Outcome.FAILED):
        return result
    conditions = tuple(replace(condition, outcome=Outcome.INCONCLUSIVE) for condition in result.conditions)
    message = "nothing to judge: the run has no spans"
    return replace(result, outcome=Outcome.INCONCLUSIVE, conditions=conditions, message=message)


def _errored(rule: Rule, flow: Flow, error: Exception) -> RuleResult:
    message = f"could not be judged: {type(error).__name__}: {error}"
    return replace(blank_result(rule, flow), outcome=Outcome.ERRORED, message=message)


def _missing_stages(view: RunView) -> tuple[tuple[str, int], ...]:
    """Count the requests that lack each stage; one that never arrived lacks all that are not optional."""
    mandatory = (name for name, stage in view.stages.items() if stage.minimum > 0)
    return tuple((name, lacking) for name in mandatory if (lacking := len(view.without_stage(name))))


def flow_outcome(results: Sequence[RuleResult], *, complete: bool) -> Outcome:
    """A flow of which nothing was judged, or whose run is incomplete, has not passed.

    Rules that only report never decide; where all of them do, it is enough that they saw something.
    """
    binding = [result.outcome for result in results if not result.report_only]
    outcome = worst_outcome(binding)
    if not binding and any(result.samples for result in results):
        outcome = Outcome.PASSED
    undecided = outcome is Outcome.SKIPPED or (outcome is Outcome.PASSED and not complete)
    return Outcome.INCONCLUSIVE if undecided else outcome
