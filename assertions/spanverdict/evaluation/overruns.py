"""The run that is judged as one of those that its own rules look back at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from spanverdict.checks.history import PastResult, PastRun, RunHistory, good_of
from spanverdict.checks.runview import RunView
from spanverdict.evaluation.outcomes import Outcome, RuleResult, RunInfo
from spanverdict.rulefiles.models import Rule
from spanverdict.rulefiles.overruns import over_runs


def looks_back(rule: Rule) -> bool:
    """Tell whether a rule looks at what became of runs."""
    return over_runs(rule.check) is not None


def too_little(rule: Rule, view: RunView) -> str:
    """Say why a rule over several runs cannot be judged; empty when it can, and of every other rule."""
    check = over_runs(rule.check)
    return "" if check is None else check.too_little(view)


def with_history(view: RunView, run: RunInfo, earlier: Sequence[PastRun], own: PastRun) -> RunView:
    """Return the view of a run that knows of earlier ones and of what came of itself so far."""
    runs = (*(past for past in earlier if past.run != run.id), own)
    return replace(view, history=RunHistory(own.ended_unix_nano, runs))


def own_run(run: RunInfo, ended: int, results: Iterable[RuleResult], outcome: Outcome) -> PastRun:
    """Return what a run came to by rules that look at requests and spans."""
    told = (
        (result.id, str(result.outcome), result.samples, {c.statistic: c.observed_value for c in result.conditions})
        for result in results
    )
    return PastRun(run.id, ended, PastResult(str(outcome)), results_by_rule(told))


def results_by_rule(
    told: Iterable[tuple[str, str, int, Mapping[str, float | int | None]]],
) -> dict[str, PastResult]:
    """Put together what the groups of each rule came to: (rule, outcome, samples, observed), one a group.

    The worst outcome counts; of all groups together so many were good as in each.
    """
    found: dict[str, PastResult] = {}
    for rule, outcome, samples, observed in told:
        good = good_of(samples, observed)
        own = PastResult(outcome, *(good or (None, None)))
        found[rule] = _together(found[rule], own) if rule in found else own
    return found


def _together(one: PastResult, other: PastResult) -> PastResult:
    worst = min((one.outcome, other.outcome), key=_WORST_FIRST.index)
    if one.good is None or other.good is None or one.known is None or other.known is None:
        return PastResult(worst)
    return PastResult(worst, one.good + other.good, one.known + other.known)


_WORST_FIRST = [
    str(outcome) for outcome in (Outcome.FAILED, Outcome.ERRORED, Outcome.INCONCLUSIVE, Outcome.PASSED, Outcome.SKIPPED)
]
