"""A flow as its author wrote it: stages, when a run is complete, and the rules. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

from spanverdict.diagnostics.diagnostic import Position
from spanverdict.rulefiles.conditions import Condition
from spanverdict.rulefiles.statistic import Statistic

if TYPE_CHECKING:
    from spanverdict.checks.check import Check
    from spanverdict.checks.valueof import ValueOf
    from spanverdict.selectors import Field, Selector

OnNoData: TypeAlias = Literal["fail", "skip", "pass"]
Sampled: TypeAlias = Literal["unexpected", "expected"]


class Severity(StrEnum):
    """How much a rule matters to those who are alerted."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Count:
    """How often a stage stands in one request; no maximum is None."""

    minimum: int = 1
    maximum: int | None = None

    def __str__(self) -> str:
        if self.maximum is None:
            return f">= {self.minimum}"
        return str(self.minimum) if self.minimum == self.maximum else f"{self.minimum}..{self.maximum}"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the path a request takes."""

    name: str
    selector: Selector
    count: Count
    position: Position


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """Where a request begins and ends, what names it, and what joins its traces."""

    starts_at: str
    ends_at: str
    key: ValueOf | None = None
    """None: the trace id."""
    correlate: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class CompleteSpec:
    """When a run may be judged; durations in nanoseconds."""

    requests: int | None = None
    """How many are expected, unless the run itself says so."""
    idle_ns: int = 6_000_000_000
    at_most_ns: int = 30_000_000_000
    flush_ns: int = 0
    """How long the exporters may hold spans back after the end of the run."""
    structure_ns: int | None = None
    """How long nothing may come before a run is judged whose every request is whole; None: that says nothing."""


@dataclass(frozen=True, slots=True)
class ClockSpec:
    """How far the clocks of the hosts may be relied on."""

    trusted: bool = False
    """Times are taken as they were sent."""
    within_ns: int | None = None
    """Two clocks differ by no more; None: by what the calls between them leave open."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One line of `expect`: a condition on one statistic of the measure."""

    statistic: Statistic
    condition: Condition
    position: Position


@dataclass(frozen=True, slots=True)
class Rule:
    """A measure, a population, an expectation."""

    id: str
    check: Check
    expect: tuple[Expectation, ...]
    """In the order of the file; never empty."""
    position: Position
    where: Selector | None = None
    """A spanset that a request must contain to be judged."""
    per: ValueOf | None = None
    """What groups the population: one verdict a group."""
    severity: Severity = Severity.WARNING
    on_no_data: OnNoData = "fail"
    report_only: bool = False
    skip: str | None = None
    """The reason not to judge it."""
    title: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    confidence: float | None = None
    """Level of the interval to judge by, 0..1; None judges the observed value."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One rule file."""

    name: str
    stages: tuple[Stage, ...]
    """In path order; never empty, names are distinct."""
    request: RequestSpec
    complete: CompleteSpec
    rules: tuple[Rule, ...]
    """In the order of the file; never empty, ids are distinct."""
    file: str
    sha256: str
    """Of the file's bytes, in hex."""
    position: Position
    """Of its name."""
    labels: Mapping[str, str] = field(default_factory=dict)
    sampling: Sampled = "unexpected"
    """`expected`: not every span is kept, and rules that need all spans of a request are judged all the same."""
    baseline: Selector | None = None
    """What requests of the same run must contain to be the baseline of the others."""
    clock: ClockSpec = ClockSpec()
    run_id: tuple[str, ...] = ()
    """Attributes that name the run of a span, before the usual ones."""
