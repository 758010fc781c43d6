"""Earlier runs in the store, for rules that look back at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spanverdict.app.baselines import BRANCH, ENVIRONMENT, Comparer, baselines_again
from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.sources import RunSpans
from spanverdict.checks.burnrate import BurnRate
from spanverdict.checks.history import PastResult, PastRun
from spanverdict.checks.passrate import PassRate
from spanverdict.evaluation.judging import worst_outcome
from spanverdict.evaluation.outcomes import Outcome, RunInfo
from spanverdict.evaluation.overruns import looks_back, results_by_rule
from spanverdict.evaluation.past import Past
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.errors import StoreError
from spanverdict.storage.history import FlowRecord, Wanted
from spanverdict.storage.store import Store


def past_of(run: RunInfo, flows: Sequence[Flow], store: Store | None, comparer: Comparer | None) -> Past:
    """Return what a run is judged beside: baselines, and runs that rules look back at; may raise `StoreError`.

    The end of the run has to be known.
    """
    baselines = Past() if comparer is None else comparer.past(run.id, run.labels, flows, store)
    return with_runs(baselines, run, flows, store)


def past_again(path: Path, spans: RunSpans, flows: Sequence[Flow], comparer: Comparer | None = None) -> Past:
    """Return what a stored run was judged beside, so that it can be judged again just as it was.

    With a `comparer` its baselines are looked for anew.

    Raises:
        CommandError: the store cannot be read.
    """
    run = replace(spans.run, ended_unix_nano=int(spans.table.end_time_unix_nano.max(initial=0)))
    try:
        with Store.read_only(path) as store:
            if comparer is not None:
                return past_of(run, flows, store, comparer)
            return with_runs(baselines_again(store.runs.verdict(run.id), flows, store), run, flows, store)
    except StoreError as error:
        raise CommandError(str(error), ExitCode.INTERNAL) from None


def with_runs(past: Past, run: RunInfo, flows: Sequence[Flow], store: Store | None) -> Past:
    """Return the same with the earlier runs of flows that look back at them."""
    if store is None:
        return past
    looking = [flow for flow in flows if any(looks_back(rule) for rule in flow.rules)]
    return Past(past.baselines, {flow.name: _runs(flow, run, store) for flow in looking})


def _runs(flow: Flow, run: RunInfo, store: Store) -> tuple[PastRun, ...]:
    """Return runs of the same environment and branch that were heard of before this one and are in some window."""
    record = store.runs.get(run.id)
    wanted = Wanted(
        flow.name,
        {name: run.labels.get(name, "") for name in (ENVIRONMENT, BRANCH)},
        since_unix_nano=run.ended_unix_nano - _longest(flow),
        until_unix_nano=run.ended_unix_nano,
        before=(record.created_unix_nano, run.id) if record is not None else None,
    )
    return tuple(_past_run(flow, found) for found in store.history.flows(wanted) if found.run_id != run.id)


def _longest(flow: Flow) -> int:
    return max(_window(rule.check) for rule in flow.rules)


def _window(check: object) -> int:
    match check:
        case PassRate(window_ns=window) | BurnRate(long_ns=window):
            return window
    return 0


def _past_run(flow: Flow, found: FlowRecord) -> PastRun:
    """Return what a run came to but for rules that looked back themselves: else one failure would cause the next."""
    looking = {rule.id for rule in flow.rules if looks_back(rule)}
    rules = [rule for rule in found.rules if rule.rule not in looking]
    outcome = worst_outcome([Outcome(rule.outcome) for rule in rules if not rule.report_only])
    if outcome is Outcome.PASSED and not found.complete:
        outcome = Outcome.INCONCLUSIVE
    told = ((rule.rule, rule.outcome, rule.samples, rule.observed) for rule in rules)
    return PastRun(found.run_id, found.ended_unix_nano, PastResult(str(outcome)), results_by_rule(told))
