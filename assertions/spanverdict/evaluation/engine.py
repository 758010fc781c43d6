"""The engine: flows and spans → the events of a run. It reads no clock and writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from spanverdict.checks.runview import RunView
from spanverdict.evaluation.judging import blank_result, judge_rule, worst_outcome
from spanverdict.evaluation.outcomes import (
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
)
from spanverdict.evaluation.preparing import PreparedRun, prepare, view_of
from spanverdict.paths.defects import Defect
from spanverdict.rulefiles.models import Flow
from spanverdict.telemetry.spantable import SpanTable

CAP = "cap"
"""The trigger of a run that was given up on before it was complete."""


def evaluate(
    flows: Sequence[Flow],
    table: SpanTable,
    run: RunInfo,
    *,
    trigger: str = "input",
    defects: Sequence[Defect] = (),
) -> Iterator[Event]:
    """Judge a run by its flows and yield what is found, in the order of the flows and their rules.

    `table` holds the spans of the run in any order, resends included; `trigger` says why it is
    judged now (see `Completeness`), `defects` what was met on the way here. The events depend on nothing else: the same spans give the
    same events however they arrived.
    """
    prepared = prepare(table)
    yield _started(run, prepared)
    outcomes: Counter[Outcome] = Counter()
    ends: list[FlowFinished] = []
    found = [*defects, *prepared.defects]
    for flow in flows:
        yield FlowStarted(flow.name, flow.file, flow.sha256, flow.labels)
        expected = run.expected_requests if run.expected_requests is not None else flow.complete.requests
        view, requests = view_of(flow, prepared, expected)
        if requests.hop_cap_reached:
            detail = f"paths of flow {flow.name} go on beyond the hop limit"
            found.append(Defect("hop_cap", requests.hop_cap_reached, detail))
        results = []
        for result in _results(flow, view):
            yield RuleEvaluated(result)
            results.append(result)
        outcomes.update(result.outcome for result in results)
        ends.append(_flow_end(flow, view, results, trigger))
        yield ends[-1]
    yield RunFinished(
        worst_outcome([end.outcome for end in ends]) if ends else Outcome.INCONCLUSIVE,
        all(end.completeness.complete for end in ends),
        tuple(sorted(found, key=lambda defect: defect.name)),
        {outcome: outcomes[outcome] for outcome in Outcome if outcomes[outcome]},
    )


def _started(run: RunInfo, prepared: PreparedRun) -> RunStarted:
    table = prepared.spans.table
    started = int(table.start_time_unix_nano.min(initial=np.iinfo(np.int64).max)) if len(table) else 0
    ended = int(table.end_time_unix_nano.max(initial=0))
    info = replace(run, started_unix_nano=started, ended_unix_nano=ended)
    return RunStarted(info, len(table), len(np.unique(table.trace)))


def _results(flow: Flow, view: RunView) -> Iterator[RuleResult]:
    """Judge rule by rule; one that breaks is errored and costs the others nothing."""
    for rule in flow.rules:
        try:
            yield from list(judge_rule(rule, flow, view))
        except Exception as error:  # noqa: BLE001 - the rule is errored, the others go on
            message = f"could not be judged: {type(error).__name__}: {error}"
            yield replace(blank_result(rule, flow), outcome=Outcome.ERRORED, message=message)


def _flow_end(flow: Flow, view: RunView, results: list[RuleResult], trigger: str) -> FlowFinished:
    """A flow of which nothing was judged, or whose run is incomplete, has not passed."""
    outcome = worst_outcome([result.outcome for result in results if not result.report_only])
    complete = trigger != CAP
    if outcome is Outcome.SKIPPED or (outcome is Outcome.PASSED and not complete):
        outcome = Outcome.INCONCLUSIVE
    missing = tuple((name, lacking) for name in view.stages if (lacking := len(view.requests_lacking(name))))
    completeness = Completeness(complete, trigger, view.n_requests, view.expected, missing)
    return FlowFinished(flow.name, outcome, completeness)
