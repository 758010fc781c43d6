"""Small runs judged by small flows: what the tests of measures and of the engine are written in.

flow = flow_of("- {id: r, latency: request, expect: {max: '< 1s'}}")
results = judged([*call("a"), *call("b", start=500)], flow)
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from spantables import table_of
from spanverdict.checks.check import Measurement
from spanverdict.checks.runview import RunView
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import (
    Event,
    FlowFinished,
    Outcome,
    RuleEvaluated,
    RuleResult,
    RunFinished,
    RunInfo,
)
from spanverdict.evaluation.preparing import prepare, view_of
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow
from spanverdict.telemetry.spantable import AttributeColumn, SpanTable

Row = dict[str, Any]
MS = 1_000_000
EPOCH = 1_700_000_000_000 * MS

HEAD = """
version: 1
flow: scoring
stages:
  - {stage: ingest, select: {name: in}}
  - {stage: score, select: {name: score}}
  - {stage: extra, select: {name: extra}, count: ">= 0"}
  - {stage: notify, select: {name: notify}}
request: {key: span.request.id}
"""


def flow_of(rules: str, head: str = HEAD) -> Flow:
    """Read a flow of the given rules, a YAML list."""
    problems = Problems()
    text = f"{head}rules:\n{textwrap.indent(textwrap.dedent(rules).strip(), '  ')}\n"
    flow = load(text, "rules/scoring.yaml", problems)
    assert flow is not None, [str(problem) for problem in problems.sorted()]
    return flow


def span(trace: str, number: int, name: str, start: float, end: float, **more: Any) -> Row:
    """A span with times in milliseconds after the epoch of these tests."""
    return {
        "trace": trace, "id": number, "name": name, "start": EPOCH + round(start * MS), "end": EPOCH + round(end * MS), **more,
    }  # fmt: skip


def call(trace: str, start: float = 0, *, score: Row | None = None, **more: Any) -> list[Row]:
    """One whole request: in 100 ms of which scoring takes 40, and a notification 20 ms after its end."""
    return [
        span(trace, 1, "in", start, start + 100, attributes={"request.id": f"r-{trace.lstrip('0')}"}, **more),
        span(
            trace, 2, "score", start + 30, start + 70, parent=1, **({"attributes": score} if score is not None else {})
        ),
        span(trace, 3, "notify", start + 120, start + 150, parent=1),
    ]


def without(rows: Sequence[Row], name: str) -> list[Row]:
    """Leave out the spans of one name."""
    return [row for row in rows if row["name"] != name]


def scores(values: Sequence[Any]) -> list[Row]:
    """One request for each score, in this order, the first in trace 1."""
    return [row for n, value in enumerate(values) for row in call(f"{n + 1:032x}", 1000 * n, score={"score": value})]


def view(rows: Sequence[Row] | SpanTable, flow: Flow, expected: int | None = None) -> RunView:
    """Return what the measures of a flow see."""
    table = rows if isinstance(rows, SpanTable) else table_of(rows)
    return view_of(flow, prepare(table), expected)[0]


def measured(rows: Sequence[Row], measure: str, expected: int | None = None, head: str = HEAD) -> Measurement:
    """Return what a measure, written as in a rule, gives."""
    flow = flow_of(f"- {{id: r, {measure}, expect: {{samples: '>= 1'}}}}", head)
    return flow.rules[0].check.measure(view(rows, flow, expected))


def values(measurement: Measurement) -> list[Any]:
    """Return the values of a measurement, durations in milliseconds."""
    if isinstance(measurement.values, AttributeColumn):
        return [measurement.values[row] for row in range(len(measurement.values.codes))]
    found: list[Any] = measurement.values.tolist()
    return [value / MS for value in found] if measurement.unit == "duration" else found


def events(rows: Sequence[Row] | SpanTable, *flows: Flow, expected: int | None = None, **more: Any) -> list[Event]:
    """Return all events of a judged run."""
    table = rows if isinstance(rows, SpanTable) else table_of(rows)
    return list(evaluate(flows, table, RunInfo("run-1", expected_requests=expected), **more))


def judged(rows: Sequence[Row] | SpanTable, *flows: Flow, **more: Any) -> dict[str, RuleResult]:
    """Return the result of each rule, those of groups as `rule[group]`."""
    results = [event.result for event in events(rows, *flows, **more) if isinstance(event, RuleEvaluated)]
    return {result.id if result.group is None else f"{result.id}[{result.group}]": result for result in results}


def only(rows: Sequence[Row] | SpanTable, rule: str, **more: Any) -> RuleResult:
    """Return the result of a flow with a single rule."""
    (result,) = judged(rows, flow_of(rule), **more).values()
    return result


def run_outcome(found: Sequence[Event]) -> Outcome:
    """Return the outcome of the whole run."""
    assert isinstance(found[-1], RunFinished)
    return found[-1].outcome


def flow_end(found: Sequence[Event]) -> FlowFinished:
    """Return how the only flow ended."""
    (end,) = (event for event in found if isinstance(event, FlowFinished))
    return end
