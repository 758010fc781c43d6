"""What the rules said against what a test expects of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from spanverdict.diagnostics.diagnostic import Position
from spanverdict.evaluation.judging import worst_outcome
from spanverdict.evaluation.outcomes import Event, FlowFinished, Outcome, RuleEvaluated, RuleResult, RunFinished
from spanverdict.reporting import wording
from spanverdict.ruletest.models import ExpectedResult, ExpectedValue, ExpectedVerdict, RuleTest

_GROUPS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that came out otherwise than expected."""

    subject: str
    """`end-to-end`, `end-to-end[user] p95`, `verdict`."""
    expected: str
    got: str
    position: Position
    """Where the test expects it."""
    told: tuple[str, ...] = ()
    """What the rule itself says, line by line."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How a test came out; without differences it has passed."""

    test: RuleTest
    differences: tuple[Difference, ...]
    results: tuple[RuleResult, ...]
    """What every rule said."""

    @property
    def passed(self) -> bool:
        """Tell whether all came out as expected."""
        return not self.differences


def compare(test: RuleTest, events: Iterable[Event]) -> Trial:
    """Return how the events of judging a test's traces differ from what it expects, in the order of the file."""
    seen = tuple(events)
    results = tuple(event.result for event in seen if isinstance(event, RuleEvaluated))
    differences = [each for expected in test.expect for each in _of_rule(expected, results)]
    differences += _of_others(test, results)
    if test.verdict is not None:
        differences += _of_verdict(test.verdict, seen)
    return Trial(test, tuple(differences), results)


def _of_rule(expected: ExpectedResult, results: Sequence[RuleResult]) -> Iterator[Difference]:
    of_rule = [result for result in results if result.id == expected.rule]
    found = [result for result in of_rule if expected.group is None or result.group == expected.group]
    if not found:
        groups = [wording.rule_name(result) for result in of_rule if result.group is not None]
        got = f"no such group; there are {_some(groups)}" if groups else "no groups at all"
        wanted = str(expected.outcome or "a result")
        yield Difference(expected.subject, wanted, got, expected.position, _told(of_rule))
        return
    outcome = worst_outcome([result.outcome for result in found])
    if expected.outcome not in (None, outcome):
        decisive = [result for result in found if result.outcome is outcome]
        yield Difference(expected.subject, str(expected.outcome), str(outcome), expected.position, _told(decisive))
    told = () if expected.outcome not in (None, outcome) else _told(found[:1])  # the rule has said it by then
    for value in expected.values:
        for difference in _of_value(expected, value, found[0], told):
            yield difference
            told = ()


def _some(names: Sequence[str]) -> str:
    more = len(names) - _GROUPS_SHOWN
    return ", ".join(names[:_GROUPS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _told(results: Sequence[RuleResult]) -> tuple[str, ...]:
    lines = []
    for result in results[:3]:
        name = f"{wording.rule_name(result)}: " if result.group is not None else ""
        said = [wording.passed_line(result)] if result.outcome is Outcome.PASSED else wording.judgement(result)
        lines += [f"{name}{said[0]}", *said[1:], wording.place_line(result)]
    return tuple(lines)


def _of_value(
    expected: ExpectedResult, value: ExpectedValue, result: RuleResult, told: tuple[str, ...]
) -> Iterator[Difference]:
    subject = f"{expected.subject} {value.statistic}"
    judged = next((each for each in result.conditions if each.statistic == value.statistic), None)
    observed: float | int | None
    if judged is None:
        observed, shown = result.samples, str(result.samples)
    else:
        observed, shown = judged.observed_value, judged.observed
    same = _squeezed(shown) == _squeezed(value.text)
    if same or (value.condition is not None and observed is not None and value.condition.holds(observed)):
        return
    yield Difference(subject, value.text, shown, value.position, told)


def _squeezed(text: str) -> str:
    return text.replace(" ", "")


def _of_others(test: RuleTest, results: Sequence[RuleResult]) -> Iterator[Difference]:
    """Look at what `expect` does not name: it is as `others` says, and never errored without being asked for."""
    whole = {each.rule for each in test.expect if each.group is None}
    groups = {(each.rule, each.group) for each in test.expect}
    for result in results:
        if result.id in whole or (result.id, result.group) in groups:
            continue
        if test.others is None and result.outcome is not Outcome.ERRORED:
            continue
        if result.outcome is not test.others:
            wanted = str(test.others) if test.others else "not errored"
            yield Difference(wording.rule_name(result), wanted, str(result.outcome), test.position, _told([result]))


def _of_verdict(expected: ExpectedVerdict, events: Sequence[Event]) -> Iterator[Difference]:
    flow = next(event for event in events if isinstance(event, FlowFinished))
    run = next(event for event in events if isinstance(event, RunFinished))
    completeness = flow.completeness
    if expected.outcome not in (None, flow.outcome):
        yield Difference("verdict", str(expected.outcome), str(flow.outcome), expected.position)
    if expected.requests not in (None, completeness.requests):
        yield Difference("requests", str(expected.requests), str(completeness.requests), expected.position)
    missing = {name: count for name, count in expected.missing or () if count}
    if expected.missing is not None and missing != dict(completeness.missing_stages):
        yield Difference(
            "missing stages", _counts(missing), _counts(dict(completeness.missing_stages)), expected.position
        )
    defects = {name: count for name, count in expected.defects or () if count}
    found = {defect.name: defect.count for defect in run.defects}
    if expected.defects is not None and defects != found:
        yield Difference("defects", _counts(defects), _counts(found), expected.position)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items()) or "none"
