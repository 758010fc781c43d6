"""What the author of a flow should know besides its results: fields and stages that nothing in the run has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spanverdict.checks.runview import RunView
from spanverdict.evaluation.absentfields import absent_fields, likely_misspelt
from spanverdict.evaluation.outcomes import Outcome, RuleResult
from spanverdict.rulefiles.models import Flow


def warnings_of(flow: Flow, view: RunView, results: Sequence[RuleResult]) -> tuple[str, ...]:
    """Name fields that nothing carries: of what found no data or groups all, of the rest those that look misspelt.

    In the order of the file; empty for a run without spans, of which nothing can be said.
    """
    return tuple(dict.fromkeys(_warnings(flow, view, results))) if len(view.request) else ()


def _warnings(flow: Flow, view: RunView, results: Sequence[RuleResult]) -> Iterator[str]:
    for stage in flow.stages:
        found = view.stage(stage.name).member
        said = likely_misspelt(stage.selector, view.spans) if len(found) else absent_fields(stage.selector, view.spans)
        yield from (f"stage {stage.name}: {text}" for text in said)
    for field in (flow.request.key, *flow.request.correlate):
        yield from (f"request: {text}" for text in absent_fields(field, view.spans))
    judged = {result.id for result in results if result.samples or result.outcome is Outcome.ERRORED}
    for rule in flow.rules:
        if rule.skip is None:
            said = likely_misspelt(rule, view.spans) if rule.id in judged else absent_fields(rule, view.spans)
            said += absent_fields(rule.per, view.spans)  # all is one group then, which nobody asks for
            yield from (f"rule {rule.id}: {text}" for text in said)
