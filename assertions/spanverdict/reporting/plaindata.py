"""Events as plain JSON data, and back: one function a kind of thing, in both directions.

Numbers are in base units (ns, shares, plain numbers) and never NaN or infinite: those become
null, and the text beside them still says what was seen. Times are RFC 3339 with nanoseconds,
because as numbers they are too large for many JSON readers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any, Final, TypeAlias

from spanverdict.evaluation.outcomes import (
    Associated,
    BaselineOrigin,
    ClockPair,
    Completeness,
    ConditionResult,
    Defect,
    Exhibit,
    GoldenUse,
    Outcome,
    RuleResult,
    RunInfo,
    Severity,
    StageShare,
    TimeSpent,
)
from spanverdict.reporting.quantities import rfc3339, unix_nano

JsonObject: TypeAlias = dict[str, Any]


def number(value: float | None) -> float | int | None:
    """Return a number that JSON can hold, or None.

    >>> number(1.5), number(float("nan")), number(float("-inf"))
    (1.5, None, None)
    """
    return None if value is None or not math.isfinite(value) else value


def run_object(run: RunInfo) -> JsonObject:
    """Write who the run is."""
    return {
        "id": run.id,
        "labels": dict(run.labels),
        "expected_requests": run.expected_requests,
        "revision": run.revision,
        "started": rfc3339(run.started_unix_nano),
        "ended": rfc3339(run.ended_unix_nano),
    }


def run_of(data: Mapping[str, Any]) -> RunInfo:
    """Read back who the run is."""
    return RunInfo(
        id=data["id"],
        labels=dict(data["labels"]),
        expected_requests=data["expected_requests"],
        revision=data["revision"],
        started_unix_nano=unix_nano(data["started"]),
        ended_unix_nano=unix_nano(data["ended"]),
    )


def associated_object(found: Associated | None) -> JsonObject | None:
    """Write how the run's spans were found."""
    if found is None:
        return None
    return {
        "spans_by_reason": dict(found.by_reason),
        "untagged_spans": found.untagged,
        "conflicting_traces": found.conflicts,
    }


def associated_of(data: Mapping[str, Any] | None) -> Associated | None:
    """Read back how the run's spans were found; older reports do not say."""
    if data is None:
        return None
    return Associated(dict(data["spans_by_reason"]), data["untagged_spans"], data["conflicting_traces"])


def rule_object(result: RuleResult) -> JsonObject:
    """Write one result: what was observed and expected a statistic, and everything that explains it."""
    golden = {} if result.golden is None else {"golden": _golden_object(result.golden)}
    return {
        **golden,
        "id": result.id,
        "flow": result.flow,
        "group": result.group,
        "outcome": result.outcome.value,
        "measure": result.measure,
        "observed": {c.statistic: number(c.observed_value) for c in result.conditions},
        "expected": {c.statistic: c.expected for c in result.conditions},
        "samples": result.samples,
        "population": result.population,
        "severity": result.severity.value,
        "report_only": result.report_only,
        "message": result.message,
        "conditions": [_condition_object(condition) for condition in result.conditions],
        "exhibits": [_exhibit_object(exhibit) for exhibit in result.exhibits],
        "labels": dict(result.labels),
        "annotations": dict(result.annotations),
        "tags": list(result.tags),
        "owner": result.owner,
        "title": result.title,
        "location": {"file": result.file, "line": result.line, "column": result.column},
    }


def rule_of(data: Mapping[str, Any]) -> RuleResult:
    """Read back one result."""
    return RuleResult(
        id=data["id"],
        flow=data["flow"],
        measure=data["measure"],
        outcome=Outcome(data["outcome"]),
        conditions=tuple(_condition_of(item) for item in data["conditions"]),
        samples=data["samples"],
        population=data["population"],
        message=data["message"],
        file=data["location"]["file"],
        line=data["location"]["line"],
        column=data["location"]["column"],
        severity=Severity(data["severity"]),
        group=data["group"],
        title=data["title"],
        owner=data["owner"],
        report_only=data["report_only"],
        exhibits=tuple(_exhibit_of(item) for item in data["exhibits"]),
        tags=tuple(data["tags"]),
        labels=dict(data["labels"]),
        annotations=dict(data["annotations"]),
        golden=_golden_of(data["golden"]) if "golden" in data else None,
    )


def _golden_object(golden: GoldenUse) -> JsonObject:
    return {"file": golden.file, "sha256": golden.sha256, "records": golden.records, "note": golden.note}


def _golden_of(data: Mapping[str, Any]) -> GoldenUse:
    return GoldenUse(data["file"], data["sha256"], data["records"], data["note"])


def _condition_object(condition: ConditionResult) -> JsonObject:
    compared = {"baseline": condition.baseline, "baseline_value": number(condition.baseline_value)}
    return {
        "statistic": condition.statistic,
        "expected": condition.expected,
        "observed": condition.observed,
        "observed_value": number(condition.observed_value),
        "observed_low": number(condition.observed_low),
        "observed_high": number(condition.observed_high),
        "level": condition.level,
        "outcome": condition.outcome.value,
        "note": condition.note,
        **(compared if condition.baseline else {}),
    }


def _condition_of(data: Mapping[str, Any]) -> ConditionResult:
    return ConditionResult(
        statistic=data["statistic"],
        expected=data["expected"],
        observed=data["observed"],
        observed_value=data["observed_value"],
        outcome=Outcome(data["outcome"]),
        note=data["note"],
        observed_low=data.get("observed_low"),
        observed_high=data.get("observed_high"),
        level=data.get("level"),
        baseline=data.get("baseline", ""),
        baseline_value=data.get("baseline_value"),
    )


def _exhibit_object(exhibit: Exhibit) -> JsonObject:
    return {
        "about_time": exhibit.about_time,
        "key": exhibit.key,
        "trace_id": exhibit.trace_id,
        "span_id": exhibit.span_id,
        "value": exhibit.value,
        "stages": _share_objects(exhibit.stages),
    }


def _exhibit_of(data: Mapping[str, Any]) -> Exhibit:
    stages, about_time = _shares_of(data["stages"]), data.get("about_time", True)
    return Exhibit(data["key"], data["trace_id"], data["span_id"], data["value"], stages, about_time)


def _share_objects(shares: Iterable[StageShare]) -> list[JsonObject]:
    return [{"stage": s.stage, "duration_ns": s.duration_ns, "share": number(s.share)} for s in shares]


def _shares_of(data: Iterable[Mapping[str, Any]]) -> tuple[StageShare, ...]:
    return tuple(StageShare(s["stage"], s["duration_ns"], s["share"] or 0.0) for s in data)


def spent_object(spent: TimeSpent | None) -> JsonObject | None:
    """Write what the time of all requests was spent on."""
    if spent is None:
        return None
    return {
        "requests": spent.requests,
        "of_requests": spent.of_requests,
        "sampled": spent.sampled,
        "stages": _share_objects(spent.shares),
    }


def spent_of(data: Mapping[str, Any] | None) -> TimeSpent | None:
    """Read back what the time of all requests was spent on; older reports do not say."""
    if data is None:
        return None
    return TimeSpent(_shares_of(data["stages"]), data["requests"], data["of_requests"], data["sampled"])


def baseline_object(origin: BaselineOrigin) -> JsonObject:
    """Write what a flow was compared with."""
    return asdict(origin)


def baseline_of(data: Mapping[str, Any] | None) -> BaselineOrigin | None:
    """Read back what a flow was compared with; None where it was not asked for."""
    return None if data is None else BaselineOrigin(**{name: data[name] for name in _ORIGIN})


_ORIGIN: Final = tuple(each.name for each in fields(BaselineOrigin))


def completeness_object(completeness: Completeness) -> JsonObject:
    """Write whether the run may be judged as a whole, and why."""
    return {
        "complete": completeness.complete,
        "trigger": completeness.trigger,
        "requests": completeness.requests,
        "expected_requests": completeness.expected_requests,
        "missing_stages": [{"stage": stage, "requests": count} for stage, count in completeness.missing_stages],
    }


def completeness_of(data: Mapping[str, Any]) -> Completeness:
    """Read back whether the run may be judged as a whole."""
    return Completeness(
        complete=data["complete"],
        trigger=data["trigger"],
        requests=data["requests"],
        expected_requests=data["expected_requests"],
        missing_stages=tuple((item["stage"], item["requests"]) for item in data["missing_stages"]),
    )


def defect_objects(defects: Iterable[Defect]) -> list[JsonObject]:
    """Write what is broken in the run's data."""
    return [{"name": defect.name, "count": defect.count, "detail": defect.detail} for defect in defects]


def defects_of(data: Iterable[Mapping[str, Any]]) -> tuple[Defect, ...]:
    """Read back what is broken in the run's data."""
    return tuple(Defect(item["name"], item["count"], item["detail"]) for item in data)


def clock_objects(pairs: Iterable[ClockPair]) -> list[JsonObject]:
    """Write how far the clocks of hosts differ."""
    return [
        {
            "first": pair.first,
            "second": pair.second,
            "ahead_low_ns": pair.low_ns,
            "ahead_high_ns": pair.high_ns,
            "calls": pair.calls,
            "basis": pair.basis,
        }
        for pair in pairs
    ]


def clocks_of(data: Iterable[Mapping[str, Any]]) -> tuple[ClockPair, ...]:
    """Read back how far the clocks of hosts differ."""
    keys = ("first", "second", "ahead_low_ns", "ahead_high_ns", "calls", "basis")
    return tuple(ClockPair(*(item[key] for key in keys)) for item in data)


def counts_object(counts: Mapping[Outcome, int]) -> JsonObject:
    """Write how many results there are of every outcome, 0 included."""
    return {outcome.value: counts.get(outcome, 0) for outcome in Outcome}


def counts_of(data: Mapping[str, int]) -> dict[Outcome, int]:
    """Read back how many results there are of every outcome."""
    return {outcome: data[outcome.value] for outcome in Outcome}
