"""Baselines from files: recorded traces, measured now, or the verdict on a run as `-o json` writes it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

from spanverdict.app.errors import CommandError
from spanverdict.app.offline import associated, judge_table, read_spans
from spanverdict.checks.check import Unit
from spanverdict.evaluation.baselines import Baseline, SampleKey, definition_of
from spanverdict.evaluation.baselinesample import BaselineSample
from spanverdict.evaluation.outcomes import (
    BaselineOrigin,
    ConditionResult,
    Event,
    FlowFinished,
    RuleEvaluated,
    RuleResult,
    RunStarted,
)
from spanverdict.evaluation.sample import Interval, Number
from spanverdict.masking.rules import MaskingRules
from spanverdict.otlp.limiting import AttributeLimits
from spanverdict.reporting.jsonreport import UnreadableReportError, events_of
from spanverdict.rulefiles.models import Flow, Rule

_LARGEST: Final = 256 * 1024 * 1024
"""Bytes of a file that is looked into whether it is a verdict."""


def baselines_of_file(
    path: str, flows: Sequence[Flow], masking: MaskingRules | None = None, limits: AttributeLimits | None = None
) -> dict[str, Baseline]:
    """Return what each flow measured in a file, by flow.

    Raises:
        CommandError: the file cannot be read, or holds several runs.
    """
    digest = _digest(path)
    report = _report(path)
    if report is not None:
        return _of_report(path, digest, report, flows)
    spans = read_spans([path], masking, limits)
    if len(runs := associated(spans, flows).runs) > 1:
        raise CommandError(f"the baseline {path} holds {len(runs)} runs, and one is needed: {', '.join(runs[:5])}")
    events = list(judge_table(flows, spans, None, None, keep_samples=True))
    started = next(event for event in events if isinstance(event, RunStarted))
    missing = "" if started.spans else f"{path} has no spans"
    origin = BaselineOrigin(path, started.run.id, file=path, sha256=digest, missing=missing)
    return {flow.name: Baseline(origin, samples_of(events, flow)) for flow in flows}


def samples_of(events: Sequence[Event], flow: Flow) -> dict[SampleKey, BaselineSample]:
    """Return what the rules of a flow measured, as far as it was kept."""
    return {
        (event.result.id, event.result.group): event.sample
        for event in events
        if isinstance(event, RuleEvaluated) and event.result.flow == flow.name and event.sample is not None
    }


def _digest(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            digest = sha256()
            while data := file.read(1 << 20):
                digest.update(data)
    except OSError as error:
        raise CommandError(f"cannot read the baseline {path}: {error.strerror}") from None
    return digest.hexdigest()


def _report(path: str) -> Mapping[str, Any] | None:
    """Return the file's report of a run; None when it is something else."""
    plain = path.removesuffix(".gz")
    if not plain.endswith(".json") or Path(path).stat().st_size > _LARGEST:
        return None
    try:
        data = Path(path).read_bytes()
        found = json.loads(gzip.decompress(data) if path.endswith(".gz") else data)
    except (OSError, ValueError, EOFError):
        return None
    return found if isinstance(found, dict) and "schema_version" in found and "rules" in found else None


def _of_report(path: str, digest: str, report: Mapping[str, Any], flows: Sequence[Flow]) -> dict[str, Baseline]:
    try:
        events = events_of(report)
    except UnreadableReportError as error:
        raise CommandError(f"the baseline {path} cannot be read: {error}") from None
    run = next(event.run for event in events if isinstance(event, RunStarted))
    ends = {event.flow: event for event in events if isinstance(event, FlowFinished)}
    return {
        flow.name: Baseline(
            BaselineOrigin(path, run.id, run.revision, path, digest, _lacking(path, flow, ends)),
            dict(_observed(events, flow)),
        )
        for flow in flows
    }


def _lacking(path: str, flow: Flow, ends: Mapping[str, FlowFinished]) -> str:
    end = ends.get(flow.name)
    if end is None:
        return f"the verdict {path} is not by flow {flow.name}"
    return "" if end.completeness.complete else f"the run of the verdict {path} is incomplete"


def _observed(events: Sequence[Event], flow: Flow) -> Iterator[tuple[SampleKey, BaselineSample]]:
    """Yield the statistics that a verdict tells of the rules that measure the same."""
    rules = {rule.id: rule for rule in flow.rules}
    for event in events:
        if not isinstance(event, RuleEvaluated) or event.result.flow != flow.name:
            continue
        rule = rules.get(event.result.id)
        if rule is not None and rule.check.key == event.result.measure and event.result.samples:
            yield (rule.id, event.result.group), _sample_of(event.result, rule)


def _sample_of(result: RuleResult, rule: Rule) -> BaselineSample:
    told = {
        condition.statistic: _interval(condition, result.samples)
        for condition in result.conditions
        if condition.observed_value is not None
    }
    return BaselineSample(
        definition_of(rule), Unit(rule.check.unit), result.samples, np.zeros(0, np.int64), 0, settled=told
    )


def _interval(condition: ConditionResult, samples: int) -> Interval:
    values = (condition.observed_value, condition.observed_low, condition.observed_high)
    observed, low, high = (None if value is None else _exactly(value, samples) for value in values)
    assert observed is not None
    return Interval(observed, low, high)


def _exactly(value: float, samples: int) -> Number:
    """Return the share or mean of so many that JSON could only write as the nearest float; else the number itself."""
    near = Fraction(round(Fraction(value) * samples), samples)
    return near if isinstance(value, float) and float(near) == value else value
