"""The verdict as one JSON document: what is stored, served by the API, and read by other programs.

`report.v1.schema.json` beside this file describes it. Within version 1 keys are only added.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, TextIO

from spanverdict.evaluation.outcomes import (
    Event,
    FlowFinished,
    FlowStarted,
    Outcome,
    RuleEvaluated,
    RunFinished,
    RunStarted,
)
from spanverdict.reporting import plaindata
from spanverdict.reporting.escaping import json_safe, strict_json
from spanverdict.reporting.plaindata import JsonObject
from spanverdict.reporting.reporter import OnceFinished, ReportOptions
from spanverdict.reporting.verdict import FlowVerdict, Verdict, gather

SCHEMA_VERSION = 1


class UnreadableReportError(ValueError):
    """A document is no report of this version."""


def reporter(stream: TextIO, options: ReportOptions) -> OnceFinished:
    """Make the reporter for a stream."""
    del options
    return OnceFinished(stream, lambda verdict: render(_document(verdict)))


def document(events: Iterable[Event]) -> JsonObject:
    """Write a finished run's events as one document: the same events, the same document."""
    return _document(gather(events))


def render(report: Mapping[str, Any]) -> str:
    """Write a document as text, byte for byte the same for the same document."""
    return strict_json(report, indent=2) + "\n"


def schema() -> JsonObject:
    """Load the JSON Schema of the document."""
    text = files("spanverdict.reporting").joinpath("report.v1.schema.json").read_text(encoding="utf-8")
    loaded: JsonObject = json.loads(text)
    return loaded


def _document(verdict: Verdict) -> JsonObject:
    started, finished = verdict.started, verdict.finished
    report: JsonObject = {
        "schema_version": SCHEMA_VERSION,
        "run": {**plaindata.run_object(started.run), "spans": started.spans, "traces": started.traces},
        "flow": verdict.flows[0].started.flow if len(verdict.flows) == 1 else None,
        "flows": [_flow_object(flow) for flow in verdict.flows],
        "outcome": finished.outcome.value,
        "complete": finished.complete,
        "counts": plaindata.counts_object(finished.counts),
        "association": plaindata.associated_object(started.associated),
        "defects": plaindata.defect_objects(finished.defects),
        "clocks": plaindata.clock_objects(finished.clocks),
        "rules": [plaindata.rule_object(result) for result in verdict.results],
    }
    if started.run.revision > 1:
        report["changes"] = list(finished.changes)
    safe: JsonObject = json_safe(report)
    return safe


def _flow_object(flow: FlowVerdict) -> JsonObject:
    return {
        "flow": flow.started.flow,
        "file": flow.started.file,
        "sha256": flow.started.sha256,
        "labels": dict(flow.started.labels),
        **({"baseline": plaindata.baseline_object(flow.started.baseline)} if flow.started.baseline else {}),
        "outcome": flow.finished.outcome.value,
        "complete": flow.finished.completeness.complete,
        "completeness": plaindata.completeness_object(flow.finished.completeness),
        "critical_path": plaindata.spent_object(flow.finished.spent),
        "warnings": list(flow.finished.warnings),
        "results": len(flow.results),
    }


def events_of(report: Mapping[str, Any]) -> list[Event]:
    """Read a document back as the events it was written from, so that any other format can be made of it.

    Raises:
        UnreadableReportError: when it is of another version, or not a report at all.
    """
    version = report.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UnreadableReportError(f"this report has schema_version {version!r}; only {SCHEMA_VERSION} can be read")
    try:
        return list(_events_of(report))
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise UnreadableReportError(f"this is no whole report: {type(fault).__name__} {fault}") from fault


def _events_of(report: Mapping[str, Any]) -> Iterator[Event]:
    run = report["run"]
    associated = plaindata.associated_of(report.get("association"))
    yield RunStarted(plaindata.run_of(run), run["spans"], run["traces"], associated)
    rules = report["rules"]
    for flow in report["flows"]:
        own, rules = rules[: flow["results"]], rules[flow["results"] :]
        yield from _flow_events(flow, own)
    if rules:
        raise UnreadableReportError(f"this is no whole report: {len(rules)} rules belong to no flow")
    yield RunFinished(
        Outcome(report["outcome"]),
        report["complete"],
        plaindata.defects_of(report["defects"]),
        plaindata.counts_of(report["counts"]),
        tuple(report.get("changes", ())),
        plaindata.clocks_of(report.get("clocks", ())),
    )


def _flow_events(flow: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]) -> Iterator[Event]:
    baseline = plaindata.baseline_of(flow.get("baseline"))
    yield FlowStarted(flow["flow"], flow["file"], flow["sha256"], dict(flow["labels"]), baseline)
    yield from (RuleEvaluated(plaindata.rule_of(rule)) for rule in rules)
    completeness = plaindata.completeness_of(flow["completeness"])
    spent = plaindata.spent_of(flow.get("critical_path"))
    yield FlowFinished(flow["flow"], Outcome(flow["outcome"]), completeness, tuple(flow["warnings"]), spent)
