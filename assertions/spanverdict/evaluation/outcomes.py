"""What judging says: outcomes, the result of one rule, and the events of a run in their order.

A consumer sees, for every flow that judges the run, one `FlowStarted`, one `RuleEvaluated` a rule
(and group, for rules with `per`) in the order of the file, one `FlowFinished`; a `RunStarted`
before the first and a `RunFinished` after the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from spanverdict.paths.defects import Defect
from spanverdict.rulefiles.models import Severity

if TYPE_CHECKING:
    from spanverdict.evaluation.baselinesample import BaselineSample

__all__ = [
    "Associated",
    "BaselineOrigin",
    "ClockPair",
    "Completeness",
    "ConditionResult",
    "Defect",
    "Event",
    "Exhibit",
    "FlowFinished",
    "FlowStarted",
    "GoldenUse",
    "Outcome",
    "RuleEvaluated",
    "RuleResult",
    "RunFinished",
    "RunInfo",
    "RunStarted",
    "Severity",
    "StageShare",
    "TimeSpent",
]


class Outcome(StrEnum):
    """How a rule, a flow or a run came out."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    ERRORED = "errored"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class BaselineOrigin:
    """Which run, file or part of the run a flow was compared with."""

    asked: str
    """As it was asked for: `previous`, `branch:main`, a run id, a file, or the selector of a canary's baseline."""
    run: str = ""
    revision: int = 0
    """Of the verdict on that run; 0 where there is none."""
    file: str = ""
    sha256: str = ""
    """Of the file, or of the verdict on the run."""
    missing: str = ""
    """Why there is none to compare with."""

    @property
    def name(self) -> str:
        """Name it for people."""
        if self.missing:
            return self.asked
        if self.file:
            return f"the baseline {self.file}"
        return f"the baseline run {self.run}" if self.run else f"the baseline {self.asked}"


@dataclass(frozen=True, slots=True)
class ConditionResult:
    """One line of `expect`, judged."""

    statistic: str
    """As written: `p95`, `ratio`, `every`, `samples` …"""
    expected: str
    """The condition as written: `< 200ms`."""
    observed: str
    """For people: `231.4ms`, `97.5 %`, `nothing`."""
    observed_value: float | int | None
    """For machines, in base units (ns, share, plain number); None when there was nothing."""
    outcome: Outcome
    note: str = ""
    """Why it could not be decided, or the interval: `5 of 200 requests have no value`."""
    observed_low: float | int | None = None
    """The least that it may be, in base units: as observed where nothing is in doubt; None where nothing bounds it."""
    observed_high: float | int | None = None
    """The most that it may be, likewise."""
    level: float | None = None
    """The confidence that the two are for, 0..1; None when none was asked for."""
    baseline: str = ""
    """For people: the same statistic of the baseline, where the condition is relative to one and there is one."""
    baseline_value: float | int | None = None

    @property
    def wanted(self) -> str:
        """What was expected, with the value of the baseline: `<= +10% of baseline 200ms`."""
        return f"{self.expected} {self.baseline}" if self.baseline else self.expected


@dataclass(frozen=True, slots=True)
class StageShare:
    """How long one stage of one request took."""

    stage: str
    duration_ns: int
    share: float
    """Of the request's duration, 0..1."""


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One of the worst requests (or spans) behind a failure."""

    key: str
    """The request's name: the value of `request.key`, else the trace id in hex."""
    trace_id: str
    span_id: str
    value: str
    """For people: `812.0ms`, `missing: notify`, `1.7`."""
    stages: tuple[StageShare, ...] = ()
    """What its time was spent on, longest first; empty where that is not known."""
    about_time: bool = True
    """Whether its time is why it is shown."""


@dataclass(frozen=True, slots=True)
class GoldenUse:
    """The golden file that a rule was judged by."""

    file: str
    sha256: str
    """Of the file's bytes, in hex: another one is another expectation."""
    records: int
    note: str = ""
    """What differs between the keys of the file and those of the run, and how many answers do; empty for nothing."""


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What came of one rule, or of one group of a rule with `per`."""

    id: str
    flow: str
    measure: str
    """The measure's key: `latency`, `coverage` …"""
    outcome: Outcome
    conditions: tuple[ConditionResult, ...]
    samples: int
    """How many values were judged."""
    population: str
    """What was counted: `requests`, `spans` or `runs`."""
    message: str
    """One line: `p95 = 231.4ms, expected < 200ms (n = 200 requests)`."""
    file: str
    line: int
    column: int
    severity: Severity = Severity.WARNING
    group: str | None = None
    """The value of `per` that this result is for."""
    title: str = ""
    owner: str = ""
    report_only: bool = False
    exhibits: tuple[Exhibit, ...] = ()
    """Worst first, at most five."""
    tags: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    """The flow's and the rule's labels together."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    golden: GoldenUse | None = None
    """Of a rule with a golden file."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The run that is judged. Labels come with its declaration: git sha, branch, environment."""

    id: str
    labels: Mapping[str, str] = field(default_factory=dict)
    expected_requests: int | None = None
    revision: int = 1
    """Grows by one whenever late spans reopen a judged run."""
    started_unix_nano: int = 0
    """Earliest span start of the run; 0 when there are no spans."""
    ended_unix_nano: int = 0
    """Latest span end."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """Whether the run may be judged as a whole, and what says so."""

    complete: bool
    trigger: str
    """`manifest`, `run end`, `structure`, `idle`, `cap` or `input` (a file is all there is)."""
    requests: int
    expected_requests: int | None
    missing_stages: tuple[tuple[str, int], ...] = ()
    """(stage, requests that lack it), in path order, only stages that somebody lacks."""


@dataclass(frozen=True, slots=True)
class TimeSpent:
    """What the time of all requests of a flow together was spent on, along their critical paths."""

    shares: tuple[StageShare, ...]
    """Longest first; sums over the requests that were looked at. Waits in queues stand under `queue`."""
    requests: int
    """How many were looked at and have a beginning and an end …"""
    of_requests: int
    """… of how many in all."""
    sampled: bool = False
    """Whether only some were looked at, as there are so many."""


@dataclass(frozen=True, slots=True)
class Associated:
    """How the spans of a run were found, in numbers."""

    by_reason: Mapping[str, int]
    """Spans by why they are the run's, strongest first: `span`, `resource`, `trace`, `link` …"""
    untagged: int = 0
    """Spans at hand that no run claims."""
    conflicts: int = 0
    """Traces that several runs claim."""


@dataclass(frozen=True, slots=True)
class ClockPair:
    """How far the clocks of two hosts differ, as far as the calls between them tell."""

    first: str
    """Names of the hosts, of their services where these do not say where they run …"""
    second: str
    low_ns: int
    """How far the second is ahead of the first, at least …"""
    high_ns: int
    """… and at most."""
    calls: int
    """How many were looked at."""
    basis: str
    """`calls`: measured; `drift`: no one difference fits the calls, so these are the farthest of them; `shared`: taken
    to be one clock, as nothing says that there are two."""


@dataclass(frozen=True, slots=True)
class RunStarted:
    """Judging of a run begins."""

    run: RunInfo
    spans: int
    traces: int
    associated: Associated | None = None
    """None where nobody asked why."""


@dataclass(frozen=True, slots=True)
class FlowStarted:
    """Judging of one flow (one rule file) begins."""

    flow: str
    file: str
    sha256: str
    labels: Mapping[str, str] = field(default_factory=dict)
    baseline: BaselineOrigin | None = None
    """What it is compared with, where that was asked for."""


@dataclass(frozen=True, slots=True)
class RuleEvaluated:
    """One rule is judged."""

    result: RuleResult
    sample: BaselineSample | None = field(default=None, compare=False, repr=False)
    """What it measured, for later runs to be compared with, where that was asked for and can be kept."""


@dataclass(frozen=True, slots=True)
class FlowFinished:
    """All rules of one flow are judged."""

    flow: str
    outcome: Outcome
    completeness: Completeness
    warnings: tuple[str, ...] = ()
    spent: TimeSpent | None = None
    """None where nothing is known of any request's time."""


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The verdict: the worst of its flows."""

    outcome: Outcome
    complete: bool
    defects: tuple[Defect, ...] = ()
    counts: Mapping[Outcome, int] = field(default_factory=dict)
    """Rule results by outcome."""
    changes: tuple[str, ...] = ()
    """What is different from the revision before, in sentences; said by whoever keeps the revisions."""
    clocks: tuple[ClockPair, ...] = ()
    """Those with the most calls between them, most first."""


Event: TypeAlias = RunStarted | FlowStarted | RuleEvaluated | FlowFinished | RunFinished
