"""`explain`: what a rule looked at: which spans its selectors matched and nearly matched, and what it measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from spanverdict.app.measured import measured_lines
from spanverdict.app.misses import MOST_MISSES, Miss, misses, said
from spanverdict.app.othernames import read_elsewhere
from spanverdict.app.sources import RunSpans
from spanverdict.app.uses import Use, uses
from spanverdict.app.values import length_text, value_text
from spanverdict.checks.runview import RunView
from spanverdict.evaluation.engine import evaluate, looking_back
from spanverdict.evaluation.outcomes import RuleEvaluated, RuleResult, RunStarted
from spanverdict.evaluation.overruns import looks_back
from spanverdict.evaluation.past import NOTHING_BEFORE, Past
from spanverdict.evaluation.preparing import prepare, view_of
from spanverdict.reporting.escaping import shown
from spanverdict.reporting.quantities import counted
from spanverdict.reporting.wording import rule_name
from spanverdict.rulefiles.models import Flow, Rule
from spanverdict.selectors.columns import Spans
from spanverdict.telemetry.identifiers import span_id_hex
from spanverdict.telemetry.spantable import Bools, Rows

EXAMPLES: Final = 3
_WIDTH: Final = 10
_GROUPS: Final = 20
"""Groups of a rule with `per` that are listed."""
_TEXT: Final = 600


def explain_rule(rule: Rule, flow: Flow, spans: RunSpans, past: Past = NOTHING_BEFORE) -> str:
    """Explain a rule on a run, over the stitched requests as the rule sees them; each line is harmless to show."""
    expected, run = spans.run.expected_requests, prepare(spans.table)
    view, _ = view_of(flow, run, expected if expected is not None else flow.complete.requests)
    events = list(evaluate([flow], run, spans.run, past=past))
    results = [event.result for event in events if isinstance(event, RuleEvaluated)]
    if looks_back(rule):
        info = next(event.run for event in events if isinstance(event, RunStarted))
        view = looking_back(view, flow, (info, past), results)
    lines = [*_head(rule, flow, spans, view), *_outcome([result for result in results if result.id == rule.id])]
    used = uses(rule, flow)
    for use in used:
        lines += ["", *_use(use, flow, view)]
    if elsewhere := read_elsewhere(rule, tuple(use.selector for use in used), view.spans, view.row):
        lines += ["", "other names", *(f"  {line}" for line in elsewhere)]
    lines += ["", "measured", *(f"  {line}" for line in measured_lines(rule, view))]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _fact(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}}{text}"


def _head(rule: Rule, flow: Flow, spans: RunSpans, view: RunView) -> Iterator[str]:
    yield _fact("rule", f"{flow.name}/{rule.id}   {shown(str(rule.position))}")
    if rule.title:
        yield _fact("", shown(rule.title))
    yield _fact("measure", rule.check.key)
    yield _fact("expect", shown(", ".join(f"{line.statistic} {line.condition}" for line in rule.expect), _TEXT))
    count = len(np.unique(view.row))
    requests = f"{view.n_requests:,}" if view.expected is None else f"{view.n_requests:,} of {view.expected:,} expected"
    word = "request" if view.n_requests == 1 and view.expected is None else "requests"
    yield _fact("run", f"{shown(spans.run.id, 128)}: {counted(count, 'spans')}, {requests} {word}")


def _outcome(results: Sequence[RuleResult]) -> Iterator[str]:
    for number, result in enumerate(results[:_GROUPS]):
        yield _fact("outcome" if number == 0 else "", _result(result))
    if len(results) > _GROUPS:
        yield _fact("", f"and {len(results) - _GROUPS} more groups")


def _result(result: RuleResult) -> str:
    name = "" if result.group is None else f"{rule_name(result)}  "
    conditions = ", ".join(f"{c.statistic} = {shown(c.observed)}" for c in result.conditions)
    text = result.message or conditions
    return f"{name}{result.outcome.upper()}  {shown(text, _TEXT)}"


# selectors


def _use(use: Use, flow: Flow, view: RunView) -> Iterator[str]:
    """Say what one selector matched, what it missed and what it nearly matched."""
    mask = use.selector.mask(view.spans)
    yield _title(use, flow)
    yield f"  {shown(str(use.selector), _TEXT)}"
    yield from (f"  {line}" for line in _matched(mask, view, use))
    lacking = _lacking(mask, view)
    yield from (f"  {line}" for line in _missed(lacking, view))
    yield from (f"  {line}" for line in _near(use, lacking, view))


def _title(use: Use, flow: Flow) -> str:
    if use.stage is None:
        return use.title
    roles = [
        text
        for name, text in ((flow.request.starts_at, "requests start here"), (flow.request.ends_at, "requests end here"))
        if name == use.stage.name
    ]
    needs = f"{use.stage.count} in each request"
    return f"{use.title}   {', '.join([*roles, needs])}   {shown(str(use.stage.position))}"


def _matched(mask: Bools, view: RunView, use: Use) -> Iterator[str]:
    members = _once(np.flatnonzero(mask), view)
    requests = len(np.unique(view.request[mask & (view.request >= 0)]))
    yield _fact(
        "matched", f"{counted(len(members), 'spans')}, in {requests:,} of {counted(view.n_requests, 'requests')}"
    )
    yield from (_fact("", f"e.g. {span_text(view.spans, row)}") for row in members[:EXAMPLES].tolist())
    stray = _once(np.flatnonzero(mask & (view.request < 0)), view)
    if len(stray):
        belong = "belongs" if len(stray) == 1 else "belong"
        yield _fact("", f"{len(stray):,} of them {belong} to no request, e.g. {span_text(view.spans, int(stray[0]))}")
    unsound = _once(np.flatnonzero(mask & ~view.sound), view)
    if use.stage is not None and len(unsound):
        yield _fact("", f"{len(unsound):,} of them never ended or have impossible times, and do not count")


def _lacking(mask: Bools, view: RunView) -> Rows:
    """Return the requests in which nothing matched."""
    has = np.zeros(view.n_requests, np.bool_)
    has[view.request[mask & (view.request >= 0)]] = True
    return np.flatnonzero(~has)


def _missed(lacking: Rows, view: RunView) -> Iterator[str]:
    examples = [_request_text(view, number) for number in lacking[:EXAMPLES].tolist()]
    some = f", e.g. {', '.join(examples)}" if examples else ""
    yield _fact("missed", f"{len(lacking):,} of {counted(view.n_requests, 'requests')}{some}")
    if view.never_arrived:
        yield _fact("", f"{counted(view.never_arrived, 'requests')} of {view.expected:,} expected never arrived")


def _request_text(view: RunView, number: int) -> str:
    name, trace = view.request_name(number), view.trace_of(int(view.first_member[number]))
    return shown(name, 80) if name == trace else f"{shown(name, 80)} (trace {trace})"


def _near(use: Use, lacking: Rows, view: RunView) -> Iterator[str]:
    found = misses(use.selector, view.spans, view.row)
    for number, miss in enumerate(found[:MOST_MISSES]):
        yield _fact("nearest" if number == 0 else "", f"{said(miss)}{_where(miss, lacking, view)}")
        yield _fact("", f"e.g. {span_text(view.spans, int(miss.spans[0]))}")
    if len(found) > MOST_MISSES:
        yield _fact("", f"and {len(found) - MOST_MISSES} more conditions that alone keep spans out")


def _where(miss: Miss, lacking: Rows, view: RunView) -> str:
    """Say how many of the near misses stand where a match is missing."""
    here = np.isin(view.request[miss.spans], lacking)
    return f"; {int(here.sum()):,} in requests without a match" if len(lacking) else ""


def _once(members: Rows, view: RunView) -> Rows:
    """Keep one member of each span, the first."""
    return np.sort(members[np.unique(view.row[members], return_index=True)[1]])


def span_text(spans: Spans, row: int) -> str:
    """Name a span for people: what it is called, whose it is, how long it took and where to find it."""
    table = spans.table
    name = shown(table.pool.string(int(table.name[row])), 80)
    service = table.resource_attribute("service.name")[row]
    of = f" of {value_text(service)}" if service is not None else ""
    took = length_text(int(table.start_time_unix_nano[row]), int(table.end_time_unix_nano[row]))
    trace = table.pool.trace_hex(int(table.trace[row]))
    return f"{name}{of}, {took} (trace {trace}, span {span_id_hex(int(table.span_id[row]))})"
