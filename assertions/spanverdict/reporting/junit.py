"""JUnit XML for CI servers: a suite a flow, a test case a rule.

Nothing that is not known to be good may look green there, and readers know only failure, error and
skipped. So an inconclusive rule is a failure of type `inconclusive`, an incomplete run gets a failing
case `run-complete`, and a verdict that no case shows gets a failing case `verdict`. A rule that only
reports must not fail a job: it stays a passed case that tells in its output what it saw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePath
from typing import TextIO

from spanverdict.evaluation.outcomes import Outcome, RuleResult
from spanverdict.reporting import wording
from spanverdict.reporting.escaping import shown
from spanverdict.reporting.junitxml import Case, Suite, written
from spanverdict.reporting.quantities import rfc3339
from spanverdict.reporting.reporter import OnceFinished, ReportOptions
from spanverdict.reporting.verdict import FlowVerdict, Verdict, noted_only

FLAVORS = ("extended", "xunit2")
"""`extended` adds file and line to every case, and counts to the root, which strict xunit2 readers refuse."""
_KINDS = {
    Outcome.FAILED: ("failure", "violated"),
    Outcome.INCONCLUSIVE: ("failure", "inconclusive"),
    Outcome.ERRORED: ("error", "errored"),
    Outcome.SKIPPED: ("skipped", "skipped"),
}


def reporter(stream: TextIO, options: ReportOptions) -> OnceFinished:
    """Make the reporter for a stream."""
    return OnceFinished(stream, lambda verdict: render(verdict, options.junit_flavor))


def render(verdict: Verdict, flavor: str = "extended") -> str:
    """Write the report as XML in ASCII, which is valid UTF-8 and right on any stream."""
    name = f"spanverdict {shown(verdict.started.run.id)}"
    started = (rfc3339(verdict.started.run.started_unix_nano) or "").partition(".")[0]
    return written(name, _suites(verdict), _seconds(verdict), started, extended=flavor == "extended")


def _suites(verdict: Verdict) -> list[Suite]:
    suites = [
        Suite(shown(flow.started.flow), tuple(_flow_cases(flow)), _flow_properties(verdict, flow))
        for flow in verdict.flows
    ]
    if verdict.unshown:
        suites.append(Suite("run", (_verdict_case(verdict),), _run_properties(verdict)))
    return suites


def _flow_cases(flow: FlowVerdict) -> Iterator[Case]:
    classname = f"{shown(PurePath(flow.started.file).stem)}.{shown(flow.started.flow)}"
    yield from (_rule_case(result, classname) for result in flow.results)
    if not flow.finished.completeness.complete:
        yield _incomplete_case(flow, classname)


def _rule_case(result: RuleResult, classname: str) -> Case:
    case = Case(wording.rule_name(result), classname, shown(result.file), result.line)
    if result.outcome is Outcome.PASSED:
        return replace(case, output="\n".join([wording.passed_line(result), *wording.golden_lines(result)]))
    told = wording.explanation(result)
    if noted_only(result):
        return replace(case, output="\n".join((f"report only, {result.outcome}:", *told)))
    kind, kind_type = _KINDS[result.outcome]
    return replace(case, kind=kind, type=kind_type, message=told[0], text="\n".join(told))


def _incomplete_case(flow: FlowVerdict, classname: str) -> Case:
    completeness = flow.finished.completeness
    lines = [f"requests: {wording.requests_text(completeness)}"]
    if completeness.missing_stages:
        lines.append(f"missing: {wording.missing_text(completeness)}")
    message = f"the run is incomplete: {wording.completeness_reason(completeness)}"
    return Case(
        "run-complete",
        classname,
        shown(flow.started.file),
        1,
        kind="failure",
        type="incomplete",
        message=message,
        text="\n".join((message, *lines)),
    )


def _verdict_case(verdict: Verdict) -> Case:
    line = wording.closing_line(verdict)
    return Case("verdict", "spanverdict.run", kind="failure", type=_verdict_type(verdict), message=line, text=line)


def _verdict_type(verdict: Verdict) -> str:
    return verdict.finished.outcome.value if verdict.finished.complete else "incomplete"


def _run_properties(verdict: Verdict) -> tuple[tuple[str, str], ...]:
    run = verdict.started.run
    labels = ((f"run.label.{shown(key)}", shown(value)) for key, value in sorted(run.labels.items()))
    return (
        ("run.id", shown(run.id)),
        ("run.revision", str(run.revision)),
        ("run.spans", str(verdict.started.spans)),
        *labels,
    )


def _flow_properties(verdict: Verdict, flow: FlowVerdict) -> tuple[tuple[str, str], ...]:
    completeness = flow.finished.completeness
    return (
        *_run_properties(verdict),
        ("flow.file", shown(flow.started.file)),
        ("flow.sha256", shown(flow.started.sha256)),
        ("run.complete", str(completeness.complete).lower()),
        ("run.complete.trigger", shown(completeness.trigger)),
        ("run.requests", wording.requests_text(completeness)),
    )


def _seconds(verdict: Verdict) -> str:
    """Give how long the run's spans took; a single rule has no time of its own."""
    run = verdict.started.run
    return f"{max(run.ended_unix_nano - run.started_unix_nano, 0) / 1e9:.3f}" if run.started_unix_nano else "0"
