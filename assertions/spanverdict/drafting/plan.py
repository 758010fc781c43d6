"""The plan of a drafted flow: its stages in path order, where requests begin and end; and the plan as YAML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from spanverdict.diagnostics.yamlcompose import resolve
from spanverdict.drafting.shapes import Seen, Shape, yaml_text
from spanverdict.reporting.quantities import counted
from spanverdict.telemetry.vocabulary import SpanKind

MANDATORY: Final = 0.9
"""Share of the requests that have a stage which all should have."""
RARE: Final = 0.05
MOST_STAGES: Final = 8
FEWEST_STAGES: Final = 3

_RESERVED: Final = frozenset({"queue", "other"})
_LONGEST_NAME: Final = 40


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A stage, and what was seen of it; nothing is known of an entry before requests are."""

    name: str
    shape: Shape
    seen: Seen | None = None

    @property
    def mandatory(self) -> bool:
        """Tell whether every request should have it."""
        return self.seen is None or self.seen.share >= MANDATORY


@dataclass(frozen=True, slots=True)
class Plan:
    """What a drafted flow says before its rules."""

    name: str
    stages: tuple[PlannedStage, ...]
    """In path order; the first begins requests."""
    ends_at: str
    requests: int = 0
    key: str | None = None
    correlate: str | None = None


def first_plan(name: str, entry: Shape, correlate: str | None = None) -> Plan:
    """Return a plan that knows only where requests begin."""
    stage = PlannedStage(_name(entry, ()), entry)
    return Plan(name, (stage,), stage.name, correlate=correlate)


def stages_from(entry: PlannedStage, seen: Sequence[Seen]) -> tuple[PlannedStage, ...]:
    """Choose the stages: where services are entered and messages sent, then what takes longest below."""
    own = _together([each for each in seen if _covers(entry.shape, each.shape)], entry.shape)
    others = [each for each in seen if not _covers(entry.shape, each.shape) and each.share >= RARE]
    entered = sorted((each for each in others if each.enters), key=lambda each: (-each.share, -each.busy_ns))
    chosen = [*(each for each in others if each.telling and not each.enters), *entered][: MOST_STAGES - 1]
    inner = sorted((each for each in others if each.leaf and each not in chosen), key=lambda each: -each.busy_ns)
    chosen += [each for each in inner if each.share >= MANDATORY][: max(0, FEWEST_STAGES - 1 - len(chosen))]
    stages = [PlannedStage(entry.name, entry.shape, own)]
    for each in sorted(chosen, key=lambda each: (each.start_ns, str(each.shape))):
        stages.append(PlannedStage(_name(each.shape, [stage.name for stage in stages]), each.shape, each))
    return tuple(stages)


def _together(parts: Sequence[Seen], entry: Shape) -> Seen | None:
    """Return what was seen of an entry whose spans have several names; every request has one of them."""
    requests = sum(each.requests for each in parts)
    if not requests:
        return None

    def mean(values: Iterable[float]) -> float:
        return sum(value * each.requests for value, each in zip(values, parts, strict=True)) / requests

    return replace(
        parts[0],
        shape=entry,
        share=1.0,
        requests=requests,
        most=max(each.most for each in parts),
        single=all(each.single for each in parts),
        end_ns=mean(each.end_ns for each in parts),
        busy_ns=mean(each.busy_ns for each in parts),
    )


def _covers(entry: Shape, shape: Shape) -> bool:
    return (entry.service, entry.kind) == (shape.service, shape.kind) and entry.name in (None, shape.name)


def end_of(stages: Sequence[PlannedStage]) -> str:
    """Return the stage with which requests end: of those that all have, the last to end."""
    ends = [(stage.seen.end_ns, -place) for place, stage in enumerate(stages) if stage.mandatory and stage.seen]
    return stages[-max(ends)[1]].name if ends else stages[0].name


def slug(text: str) -> str:
    """Return a name made of a text; empty where nothing of it can be one.

    >>> slug("POST /api/score"), slug("服务")
    ('post-api-score', '')
    >>> slug("True"), slug("1e3")
    ('the-true', 'the-1e3')
    """
    made = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_LONGEST_NAME].strip("-")
    return made if not made or isinstance(resolve(made), str) else f"the-{made}"


def _name(shape: Shape, taken: Iterable[str]) -> str:
    service, name = slug(shape.service or ""), slug(shape.name or "")
    serves = shape.kind in (SpanKind.SERVER, SpanKind.CONSUMER)
    wanted = [service, name] if serves else [name, service]
    known = {*taken, *_RESERVED, ""}
    tried = [*wanted, "-".join(filter(None, (service, name)))[: 2 * _LONGEST_NAME], "stage"]
    free = next((each for each in tried if each not in known), None)
    return free or next(f"{tried[-2]}-{number}" for number in range(2, 1000) if f"{tried[-2]}-{number}" not in known)


def head_lines(plan: Plan) -> list[str]:
    """Return everything of the flow but its rules, as lines of YAML."""
    lines = ["version: 1", f"flow: {plan.name}", "", "stages:"]
    for stage in plan.stages:
        lines += _stage_lines(stage, plan)
    lines += ["", "request:", f"  starts_at: {plan.stages[0].name}", f"  ends_at: {plan.ends_at}"]
    if plan.key is not None:
        lines.append(f"  key: span.{plan.key}")
    if plan.correlate is not None:
        lines.append(f"  correlate: [span.{plan.correlate}]    # traces that share its value are one request")
    return lines


def _stage_lines(stage: PlannedStage, plan: Plan) -> list[str]:
    lines = [f"  - stage: {stage.name}{_remark(stage, plan)}", f"    select: {stage.shape.selector()}"]
    return lines if stage.mandatory else [*lines, '    count: ">= 0"']


def _remark(stage: PlannedStage, plan: Plan) -> str:
    seen = stage.seen
    if seen is None:
        return ""
    some = f"seen in {min(seen.requests, plan.requests)} of {counted(plan.requests, 'requests')}"
    times = "" if seen.single else f", up to {seen.most} times"
    return f"    # {some}{times}"


def flow_name(shape: Shape) -> str:
    """Return a name for the flow of requests that begin so."""
    return slug(shape.service or shape.name or "") or "flow"


__all__ = [
    "Plan",
    "PlannedStage",
    "end_of",
    "first_plan",
    "flow_name",
    "head_lines",
    "slug",
    "stages_from",
    "yaml_text",
]
