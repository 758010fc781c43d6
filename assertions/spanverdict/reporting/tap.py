"""TAP version 14: a test point a rule, with what was seen beneath those that did not pass.

TAP knows only ok and not ok, so inconclusive and errored rules are not ok, an incomplete flow adds a
point that is not ok, and a rule that only reports carries the TODO directive, which no harness counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from spanverdict.evaluation.outcomes import Outcome, RuleResult
from spanverdict.reporting import wording
from spanverdict.reporting.escaping import shown, strict_json
from spanverdict.reporting.reporter import OnceFinished, ReportOptions
from spanverdict.reporting.verdict import FlowVerdict, Verdict, noted_only


def reporter(stream: TextIO, options: ReportOptions) -> OnceFinished:
    """Make the reporter for a stream."""
    del options
    return OnceFinished(stream, render)


def render(verdict: Verdict) -> str:
    """Write the report."""
    points = [point for flow in verdict.flows for point in _flow_points(flow)]
    if verdict.unshown:
        points.append(("not ok", f"verdict{_block([wording.closing_line(verdict)], verdict.finished.outcome.value)}"))
    numbered = (f"{ok} {number} - {rest}\n" for number, (ok, rest) in enumerate(points, 1))
    return f"TAP version 14\n1..{len(points)}\n{''.join(numbered)}# {wording.closing_line(verdict)}\n"


def _flow_points(flow: FlowVerdict) -> Iterator[tuple[str, str]]:
    name = shown(flow.started.flow)
    yield from (_rule_point(result, name) for result in flow.results)
    completeness = flow.finished.completeness
    if not completeness.complete:
        missing = wording.missing_text(completeness)
        told = [wording.completeness_reason(completeness), *([f"missing: {missing}"] if missing else [])]
        yield "not ok", f"{_description(f'{name} / run-complete')}{_block(told, 'incomplete')}"


def _rule_point(result: RuleResult, flow: str) -> tuple[str, str]:
    description = _description(f"{flow} / {wording.rule_name(result)}")
    if result.outcome is Outcome.PASSED:
        return "ok", description
    if result.outcome is Outcome.SKIPPED:
        return "ok", f"{description} # SKIP {_description(wording.judgement(result)[0])}"
    only = " # TODO report only" if noted_only(result) else ""
    return "not ok", f"{description}{only}{_block(wording.explanation(result), result.outcome.value)}"


def _description(text: str) -> str:
    r"""Escape what would start a directive: a backslash or a hash."""
    return text.replace("\\", "\\\\").replace("#", "\\#")


def _block(told: list[str], outcome: str) -> str:
    """Write a YAML block; its strings are JSON, which YAML reads alike."""
    details = "".join(f"\n    - {strict_json(line)}" for line in told[1:])
    more = f"\n  details:{details}" if details else ""
    return f"\n  ---\n  message: {strict_json(told[0])}\n  outcome: {outcome}{more}\n  ..."
