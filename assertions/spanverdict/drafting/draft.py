"""From the spans of a run to the text of a flow that judges it, and that it passes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from spanverdict.checks.runview import RunView
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.drafting.entries import correlate_of, entry_of, key_of
from spanverdict.drafting.plan import Plan, end_of, first_plan, flow_name, head_lines, slug, stages_from
from spanverdict.drafting.rules import DraftRule, rules_for, telling
from spanverdict.drafting.shapes import seen_in, shapes_of
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.judging import worst_outcome
from spanverdict.evaluation.outcomes import Outcome, RuleEvaluated, RuleResult, RunInfo
from spanverdict.evaluation.preparing import PreparedRun, prepare, view_of
from spanverdict.reporting.quantities import counted
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow
from spanverdict.telemetry.spantable import SpanTable

_FILE: Final = "the draft"
_ANY_RULE: Final = ["rules:", "  - {id: any, latency: request, expect: {max: '< 200000h'}}"]
_ADVICE: Final = {
    "http.request.method": "http",
    "messaging.system": "messaging",
    "db.system.name": "database",
    "gen_ai.operation.name": "genai",
    "gen_ai.latency.e2e": "vllm",
    "triton.model_name": "triton",
    "feature_store.feature_view.name": "features",
    "faas.trigger": "serverless",
}
"""Attribute → the pack that has rules about what carries it."""


class NothingToDraftError(ValueError):
    """There is nothing in the spans that could be a request."""


@dataclass(frozen=True, slots=True)
class Left:
    """A rule that was left out, and why."""

    rule: str
    why: str


def draft(table: SpanTable, name: str | None = None) -> str:
    """Return a flow, as the text of a rule file, that the run of `table` passes.

    `name` names the flow; without it, it is called after the service that requests begin at.

    Raises:
        NothingToDraftError: no request could be made out.
    """
    run = prepare(table)
    plan, view = _planned(run, slug(name) if name else None)
    rules = list(rules_for(plan, view))
    seen = _observed(_text(plan, rules, None), table)
    known = [rule for rule in rules if all(statistic in seen[rule.id] for statistic in rule.statistics)]
    left = [Left(rule.id, "nothing was seen of it") for rule in rules if rule not in known]
    kept = [rule for rule in known if not rule.vain(seen[rule.id])]
    left += [Left(rule.id, "what was seen is as bad as can be") for rule in known if rule not in kept]
    return _that_passes(plan, kept, left, seen, table)


def _planned(run: PreparedRun, name: str | None) -> tuple[Plan, RunView]:
    """Find requests, then what they have in common."""
    shapes = shapes_of(run.spans.table)
    entry = entry_of(run, shapes) if len(run.spans) else None
    if entry is None:
        raise NothingToDraftError("there are no spans to learn from")
    plan = first_plan(name or flow_name(entry), entry)
    view = _view(plan, run)
    if not view.n_requests:
        raise NothingToDraftError("none of the spans has usable times, so no request could be made out")
    correlate = correlate_of(view)
    if correlate is not None:
        plan = replace(plan, correlate=correlate)
        view = _view(plan, run)
    stages = stages_from(plan.stages[0], seen_in(view, shapes, telling(view)))
    plan = replace(plan, stages=stages, ends_at=end_of(stages), requests=view.n_requests, key=key_of(view))
    return plan, _view(plan, run)


def _view(plan: Plan, run: PreparedRun) -> RunView:
    return view_of(_loaded("\n".join([*head_lines(plan), *_ANY_RULE])), run, None)[0]


def _loaded(text: str) -> Flow:
    problems = Problems()
    flow = load(text + "\n", _FILE, problems)
    if flow is None:
        raise AssertionError(f"the draft is not a flow: {problems.sorted()[0].message}")
    return flow


def _observed(text: str, table: SpanTable) -> Mapping[str, dict[str, tuple[float, str]]]:
    """Return what each rule of a flow measures: statistic → (value, text)."""
    found = defaultdict[str, dict[str, tuple[float, str]]](dict)
    for result in _judged(text, table):
        for condition in result.conditions:
            if condition.observed_value is not None:
                found[result.id][condition.statistic] = (condition.observed_value, condition.observed)
    return found


def _judged(text: str, table: SpanTable) -> Iterator[RuleResult]:
    for event in evaluate([_loaded(text)], table, RunInfo("draft")):
        if isinstance(event, RuleEvaluated):
            yield event.result


def _that_passes(
    plan: Plan,
    rules: Sequence[DraftRule],
    left: list[Left],
    seen: Mapping[str, Mapping[str, tuple[float, str]]],
    table: SpanTable,
) -> str:
    """Leave out the rules that cannot be sure of the very run that they were drafted from."""
    failing = {
        result.id: result.message
        for result in _judged(_text(plan, rules, seen), table)
        if worst_outcome([result.outcome]) is not Outcome.PASSED
    }
    kept = [rule for rule in rules if rule.id not in failing]
    if not kept:
        raise NothingToDraftError("no rule could be sure of what it saw")
    left += [Left(rule, why) for rule, why in failing.items()]
    return "\n".join([*_preface(plan, table), _text(plan, kept, seen), *_remarks(left)]) + "\n"


def _text(plan: Plan, rules: Sequence[DraftRule], seen: Mapping[str, Mapping[str, tuple[float, str]]] | None) -> str:
    lines = [*head_lines(plan), "", "complete:"]
    lines += [f"  # requests: {plan.requests}    # how many your test sends: then those that never arrive are missed"]
    lines += ["  idle: 6s", "  at_most: 30s", "", "rules:"]
    for rule in rules:
        lines += [*rule.lines(None if seen is None else seen[rule.id]), ""]
    return "\n".join(lines[:-1])


def _preface(plan: Plan, table: SpanTable) -> list[str]:
    packs = ", ".join(sorted({pack for key, pack in _ADVICE.items() if (table.attribute(key).codes >= 0).any()}))
    basis = f"{counted(plan.requests, 'requests')} in {counted(len(table), 'spans')}"
    lines = [
        f"# Drafted from {basis}. The limits are what was seen and half as much",
        "# again: say what your users need instead, name the stages as your team does, delete what does not matter.",
    ]
    if packs:
        lines.append(f"# Packs with more rules about what these services do, to be included: {packs}.")
    return lines


def _remarks(left: Sequence[Left]) -> list[str]:
    if not left:
        return []
    lines = [f"#   {each.rule}: {' '.join(each.why.split())[:200]}" for each in left]
    return ["", "# Left out, as this run cannot decide them:", *lines]
