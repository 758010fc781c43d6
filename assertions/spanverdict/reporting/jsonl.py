"""One JSON object an event, written as it comes, for programs that follow along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO

from spanverdict.evaluation.outcomes import (
    Event,
    FlowFinished,
    FlowStarted,
    RuleEvaluated,
    RunFinished,
    RunStarted,
)
from spanverdict.reporting import plaindata
from spanverdict.reporting.escaping import strict_json
from spanverdict.reporting.plaindata import JsonObject
from spanverdict.reporting.reporter import ReportOptions


@dataclass(frozen=True, slots=True)
class JsonLines:
    """Writes every event at once, in the order it comes."""

    stream: TextIO

    def consume(self, event: Event) -> None:
        """Write one line."""
        self.stream.write(strict_json(line_object(event)) + "\n")
        self.stream.flush()


def reporter(stream: TextIO, options: ReportOptions) -> JsonLines:
    """Make the reporter for a stream."""
    del options
    return JsonLines(stream)


def line_object(event: Event) -> JsonObject:
    """Write one event as an object; `event` says which."""
    match event:
        case RunStarted():
            run = {**plaindata.run_object(event.run), "spans": event.spans, "traces": event.traces}
            association = plaindata.associated_object(event.associated)
            return {"event": "run_started", "schema_version": 1, "run": run, "association": association}
        case FlowStarted():
            about = {"flow": event.flow, "file": event.file, "sha256": event.sha256, "labels": dict(event.labels)}
            return {"event": "flow_started", **about}
        case RuleEvaluated():
            return {"event": "rule_evaluated", "rule": plaindata.rule_object(event.result)}
        case FlowFinished():
            return {"event": "flow_finished", **_flow_end(event)}
        case RunFinished():
            return {"event": "run_finished", **_run_end(event)}


def _flow_end(event: FlowFinished) -> JsonObject:
    return {
        "flow": event.flow,
        "outcome": event.outcome.value,
        "completeness": plaindata.completeness_object(event.completeness),
        "critical_path": plaindata.spent_object(event.spent),
        "warnings": list(event.warnings),
    }


def _run_end(event: RunFinished) -> JsonObject:
    changes: JsonObject = {"changes": list(event.changes)} if event.changes else {}
    return {
        **changes,
        "outcome": event.outcome.value,
        "complete": event.complete,
        "counts": plaindata.counts_object(event.counts),
        "defects": plaindata.defect_objects(event.defects),
        "clocks": plaindata.clock_objects(event.clocks),
    }
