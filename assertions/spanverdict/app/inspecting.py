"""The commands that look into a run: `query` and `explain`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.explain import explain_rule
from spanverdict.app.flows import load_flows
from spanverdict.app.printing import print_text
from spanverdict.app.query import as_json, as_text, match_requests, match_traces
from spanverdict.app.selectortext import STANDARD_INPUT, read_selector
from spanverdict.app.sources import RunSpans, Source
from spanverdict.app.uses import find_rule
from spanverdict.evaluation.past import NOTHING_BEFORE, Past
from spanverdict.rulefiles.models import Flow

NOTHING_MATCHED = ExitCode.FAILED
"""As grep has it."""


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """How `query` looks and prints."""

    rules: Sequence[str] = ()
    """The file of one flow, whose requests are looked at; traces without."""
    as_json: bool = False
    limit: int = 0
    """Matches to print; 0 for all."""


def query(selector_text: str, source: Source, options: QueryOptions) -> ExitCode:
    """Print what a selector matches.

    Raises:
        CommandError: the selector, a rule file or the spans cannot be read.
    """
    if selector_text == STANDARD_INPUT and STANDARD_INPUT in source.inputs:
        raise CommandError("the selector and the spans cannot both come from standard input")
    selector = read_selector(selector_text)
    if options.rules:
        flow = _one_flow(options.rules)
        matches = match_requests(selector, source.of_run((flow,)).table, flow)
    else:
        matches = match_traces(selector, source.everything())
    print_text((as_json if options.as_json else as_text)(matches, options.limit))
    if not matches.searched():
        return ExitCode.NO_VERDICT
    return ExitCode.PASSED if len(matches.rows) else NOTHING_MATCHED


def _one_flow(rules: Sequence[str]) -> Flow:
    flows = load_flows(rules)
    if len(flows) > 1:
        names = ", ".join(flow.name for flow in flows)
        raise CommandError(f"requests are those of one flow; the rule files have several: {names}")
    return flows[0]


def _past(spans: RunSpans, flow: Flow, source: Source) -> Past:
    """Return what the run was judged beside, as far as its store knows."""
    if source.inputs:
        return NOTHING_BEFORE
    from spanverdict.app.pastruns import past_again  # noqa: PLC0415 - files need none of it

    return past_again(source.store, spans, (flow,))


def explain_in_run(rule_name: str, rules: Sequence[str], source: Source) -> ExitCode:
    """Print what a rule looked at.

    Raises:
        CommandError: the rule is not there, or a rule file or the spans cannot be read.
    """
    flows = load_flows(rules)
    flow, rule = find_rule(rule_name, flows)
    spans = source.of_run(flows)
    print_text(explain_rule(rule, flow, spans, _past(spans, flow, source)))
    return ExitCode.PASSED if len(spans.table) else ExitCode.NO_VERDICT
