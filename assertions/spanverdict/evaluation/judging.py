"""One rule on one run: measure, choose the population, judge every expectation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from spanverdict.checks.check import Measurement
from spanverdict.checks.output import Output
from spanverdict.checks.runview import RunView
from spanverdict.evaluation.absentfields import absent_fields
from spanverdict.evaluation.baselines import NO_BASELINE, Baseline, is_relative
from spanverdict.evaluation.canary import split
from spanverdict.evaluation.conditions import Judge
from spanverdict.evaluation.cutdata import without_cut
from spanverdict.evaluation.drifting import golden_baseline
from spanverdict.evaluation.exhibits import worst
from spanverdict.evaluation.outcomes import ConditionResult, GoldenUse, Outcome, RuleResult
from spanverdict.evaluation.overruns import too_little
from spanverdict.evaluation.population import Group, groups, of_requests
from spanverdict.evaluation.sample import Sample
from spanverdict.evaluation.weighing import refusal, sample_of
from spanverdict.evaluation.wording import NOTHING, message_of
from spanverdict.rulefiles.models import Flow, Rule
from spanverdict.rulefiles.statistic import Kind

_WORST_FIRST: Final = (Outcome.FAILED, Outcome.ERRORED, Outcome.INCONCLUSIVE, Outcome.PASSED, Outcome.SKIPPED)
_ON_NO_DATA: Final[Mapping[str, Outcome]] = MappingProxyType(
    {"fail": Outcome.FAILED, "skip": Outcome.SKIPPED, "pass": Outcome.PASSED}
)
_GROUPS_NAMED: Final = 10


def judge_rule(rule: Rule, flow: Flow, view: RunView, baseline: Baseline = NO_BASELINE) -> Iterator[RuleResult]:
    """Yield the result of a rule; with `per` one for each group, by name."""
    yield from (result for result, _ in judge_samples(rule, flow, view, baseline))


def judge_samples(
    rule: Rule, flow: Flow, view: RunView, baseline: Baseline = NO_BASELINE
) -> Iterator[tuple[RuleResult, Sample | None]]:
    """Yield each result of a rule with the sample that it was judged on; None where there was none."""
    blank = blank_result(rule, flow)
    if rule.skip is not None:
        yield replace(blank, outcome=Outcome.SKIPPED, message=rule.skip), None
        return
    if refused := refusal(rule.check, flow, view) or too_little(rule, view):
        conditions = _unjudged(rule, Outcome.INCONCLUSIVE)
        yield replace(blank, outcome=Outcome.INCONCLUSIVE, conditions=conditions, message=refused), None
        return
    measurement = rule.check.measure(view)
    if rule.where is not None:
        measurement = of_requests(measurement, rule.where, view)
    measurement = without_cut(measurement, rule, flow, view)
    if (golden := golden_baseline(rule)) is not None:
        baseline = golden
    elif flow.baseline is not None and is_relative(rule):
        measurement, baseline = split(rule, flow.baseline, measurement, view)
    if rule.per is None:
        yield _judge_group(rule, Group(None, measurement), view, blank, baseline)
        return
    parts, rest = groups(measurement, rule.per, view)
    for group in parts:
        yield _judge_group(rule, group, view, blank, baseline)
    if rest:
        named = [*rest[:_GROUPS_NAMED], *(["…"] if len(rest) > _GROUPS_NAMED else [])]
        message = f"{len(rest)} more groups than can be judged: {', '.join(named)}"
        yield replace(blank, group="(others)", outcome=Outcome.INCONCLUSIVE, message=message), None
    if not parts:
        yield _without_data(rule, measurement, view, blank, baseline), None


def worst_outcome(outcomes: Iterator[Outcome] | list[Outcome]) -> Outcome:
    """Return what several outcomes come to: one failure fails, one doubt is doubt.

    >>> str(worst_outcome([Outcome.PASSED, Outcome.INCONCLUSIVE, Outcome.SKIPPED]))
    'inconclusive'
    """
    return min(outcomes, key=_WORST_FIRST.index, default=Outcome.SKIPPED)


def blank_result(rule: Rule, flow: Flow) -> RuleResult:
    """Return a result that holds all that the rule says of itself, and nothing judged."""
    return RuleResult(
        id=rule.id,
        flow=flow.name,
        measure=rule.check.key,
        outcome=Outcome.SKIPPED,
        conditions=(),
        samples=0,
        population="requests",
        message="",
        file=rule.position.file,
        line=rule.position.line,
        column=rule.position.column,
        severity=rule.severity,
        title=rule.title,
        owner=rule.owner,
        report_only=rule.report_only,
        tags=rule.tags,
        labels={**flow.labels, **rule.labels},
        annotations=rule.annotations,
        golden=_golden_of(rule),
    )


def _golden_of(rule: Rule) -> GoldenUse | None:
    if not isinstance(rule.check, Output) or rule.check.golden is None:
        return None
    file = rule.check.golden.file
    return GoldenUse(file.path, file.sha256, len(file.records))


def _judge_group(
    rule: Rule, group: Group, view: RunView, blank: RuleResult, baseline: Baseline
) -> tuple[RuleResult, Sample | None]:
    measurement = group.measurement
    blank = replace(blank, group=group.name, population=measurement.population, samples=measurement.samples)
    if blank.golden is not None:
        blank = replace(blank, golden=replace(blank.golden, note=measurement.note))
    if not measurement.samples:
        return _without_data(rule, measurement, view, blank, baseline), None
    sample, sampling = sample_of(measurement, view)
    judge = Judge(sample, baseline.of(rule, group.name), rule.confidence)
    judged = [(expectation, _noted(judge.judge(expectation), sampling)) for expectation in rule.expect]
    conditions = tuple(result for _, result in judged)
    outcome = _outcome_of(conditions)
    message = message_of(conditions, outcome, _size(measurement))
    if outcome is not Outcome.PASSED and (note := measurement.note):
        message = f"{message}: {note}"
    shown = worst(judge, view, judged)
    return replace(blank, outcome=outcome, conditions=conditions, message=message, exhibits=shown), sample


def _outcome_of(conditions: tuple[ConditionResult, ...]) -> Outcome:
    """Too few samples leave the rule undecided, whatever the few say."""
    for condition in conditions:
        if condition.statistic == Kind.SAMPLES and condition.outcome is Outcome.INCONCLUSIVE:
            return Outcome.INCONCLUSIVE
    return worst_outcome([condition.outcome for condition in conditions])


def _without_data(
    rule: Rule, measurement: Measurement, view: RunView, blank: RuleResult, baseline: Baseline
) -> RuleResult:
    """Nothing matched: what `on_no_data` says, and no verdict at all on a run without spans.

    What is there but cannot be read is more than no data, and never a pass; what was cut could have been anything.
    """
    outcome = _ON_NO_DATA[rule.on_no_data]
    in_doubt = measurement.missing.is_doubtful or (measurement.problem and outcome is not Outcome.FAILED)
    if not len(view.request) or in_doubt:
        outcome = Outcome.INCONCLUSIVE
    missing = measurement.missing
    whys = [f"{len(missing)} {measurement.population} {missing.note()}"] if len(missing) else []
    whys += absent_fields(rule, view.spans)
    where = " in the requests that `where` chooses" if rule.where is not None else ""
    beside = f" beside {baseline.origin.name}" if baseline.inside and not baseline.origin.missing else ""
    message = f"nothing to judge{where}{beside}{': ' if whys else ''}{'; '.join(whys)}"
    return replace(blank, outcome=outcome, conditions=_unjudged(rule, outcome), message=message, samples=0)


def _unjudged(rule: Rule, outcome: Outcome) -> tuple[ConditionResult, ...]:
    """Return the conditions of a rule when nothing was observed."""
    return tuple(
        ConditionResult(str(line.statistic), str(line.condition), NOTHING, None, outcome) for line in rule.expect
    )


def _noted(condition: ConditionResult, note: str) -> ConditionResult:
    return replace(condition, note=", ".join(filter(None, (condition.note, note)))) if note else condition


def _size(measurement: Measurement) -> str:
    return f"n = {measurement.samples} {measurement.population}"
