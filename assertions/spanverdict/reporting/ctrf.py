"""Common Test Report Format: JSON that dashboards of many test tools read.

CTRF has no word for undecided, so inconclusive and errored rules are `failed`, with our own word as `rawStatus`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, TextIO, TypeAlias

from spanverdict.evaluation.outcomes import Outcome, RuleResult
from spanverdict.reporting import wording
from spanverdict.reporting.escaping import shown, strict_json
from spanverdict.reporting.reporter import OnceFinished, ReportOptions
from spanverdict.reporting.verdict import FlowVerdict, Verdict, noted_only

SPEC_VERSION = "1.0.0"
_NS_PER_MS = 1_000_000
_STATUSES = ("passed", "failed", "skipped", "pending", "other")
_JsonObject: TypeAlias = dict[str, Any]


def reporter(stream: TextIO, options: ReportOptions) -> OnceFinished:
    """Make the reporter for a stream."""
    return OnceFinished(stream, lambda verdict: render(verdict, options.version))


def render(verdict: Verdict, version: str = "") -> str:
    """Write the report."""
    tests = list(_tests(verdict))
    report = {
        "reportFormat": "CTRF",
        "specVersion": SPEC_VERSION,
        "generatedBy": "spanverdict",
        "results": {
            "tool": {"name": "spanverdict", "version": version} if version else {"name": "spanverdict"},
            "summary": _summary(verdict, tests),
            "tests": tests,
            "extra": _extra(verdict),
        },
    }
    return strict_json(report, indent=2) + "\n"


def _summary(verdict: Verdict, tests: list[_JsonObject]) -> _JsonObject:
    run = verdict.started.run
    counts = Counter(test["status"] for test in tests)
    return {
        "tests": len(tests),
        **{status: counts[status] for status in _STATUSES},
        "suites": len(verdict.flows),
        "start": run.started_unix_nano // _NS_PER_MS,
        "stop": run.ended_unix_nano // _NS_PER_MS,
    }


def _extra(verdict: Verdict) -> _JsonObject:
    return {
        "runId": verdict.started.run.id,
        "runLabels": dict(verdict.started.run.labels),
        "outcome": verdict.finished.outcome.value,
        "complete": verdict.finished.complete,
    }


def _tests(verdict: Verdict) -> Iterator[_JsonObject]:
    for flow in verdict.flows:
        yield from (_rule_test(result, flow) for result in flow.results)
        if not flow.finished.completeness.complete:
            yield _failing("run-complete", [shown(flow.started.flow)], _incomplete(flow), "incomplete")
    if verdict.unshown:
        yield _failing("verdict", ["spanverdict"], wording.closing_line(verdict), verdict.finished.outcome.value)


def _incomplete(flow: FlowVerdict) -> str:
    return wording.completeness_reason(flow.finished.completeness)


def _failing(name: str, suite: list[str], message: str, raw: str) -> _JsonObject:
    return {"name": name, "suite": suite, "message": message, "status": "failed", "rawStatus": raw, "duration": 0}


def _rule_test(result: RuleResult, flow: FlowVerdict) -> _JsonObject:
    test: _JsonObject = {
        "name": wording.rule_name(result),
        "suite": [shown(flow.started.flow)],
        "status": _status(result),
        "rawStatus": "report_only" if noted_only(result) else result.outcome.value,
        "duration": 0,
        "filePath": result.file,
        "line": result.line,
        "labels": {**result.labels, "measure": result.measure, "severity": result.severity.value},
    }
    if result.tags:
        test["tags"] = list(result.tags)
    if result.outcome is not Outcome.PASSED:
        message, *trace = wording.explanation(result)
        test |= {"message": message, "trace": "\n".join(trace)}
    return test


def _status(result: RuleResult) -> str:
    if noted_only(result):
        return "other"
    return {Outcome.PASSED: "passed", Outcome.SKIPPED: "skipped"}.get(result.outcome, "failed")
