"""A rule test as its author wrote it. Frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spanverdict.diagnostics.diagnostic import Position
from spanverdict.evaluation.outcomes import Outcome
from spanverdict.rulefiles.conditions import Condition
from spanverdict.rulefiles.models import Flow
from spanverdict.ruletest.payload import SpanBlock


@dataclass(frozen=True, slots=True)
class ExpectedValue:
    """What a statistic should have come to; without a condition, what a report should show of it."""

    statistic: str
    text: str
    """As written."""
    condition: Condition | None
    position: Position


@dataclass(frozen=True, slots=True)
class ExpectedResult:
    """What a rule, or one group of it, should say."""

    rule: str
    group: str | None
    """None: the worst of all groups."""
    outcome: Outcome | None
    values: tuple[ExpectedValue, ...]
    position: Position

    @property
    def subject(self) -> str:
        """What it is about, as a test file has it."""
        return self.rule if self.group is None else f"{self.rule}[{self.group}]"


@dataclass(frozen=True, slots=True)
class ExpectedVerdict:
    """What the flow as a whole should say; None is not looked at."""

    outcome: Outcome | None
    requests: int | None
    missing: tuple[tuple[str, int], ...] | None
    """(stage, requests that lack it), in the order of the file; all of them."""
    defects: tuple[tuple[str, int], ...] | None
    """(name, how often), by name; all of them."""
    position: Position


@dataclass(frozen=True, slots=True)
class TraceFile:
    """A file of traces and where a test names it."""

    path: Path
    position: Position
    width: int


@dataclass(frozen=True, slots=True)
class RuleTest:
    """Traces, how they are judged, and what should come of it."""

    name: str
    flow: Flow
    traces: tuple[TraceFile, ...]
    blocks: tuple[SpanBlock, ...]
    """Spans that the test writes down; where it has none there are `traces`."""
    expect: tuple[ExpectedResult, ...]
    position: Position
    run: str | None = None
    """Which run is judged, of several in the traces."""
    requests: int | None = None
    """How many requests the run is told to expect."""
    complete: bool = True
    """False: the run was given up on before it was complete."""
    others: Outcome | None = None
    """What rules say that `expect` does not name; None is not looked at."""
    verdict: ExpectedVerdict | None = None

    @property
    def file(self) -> str:
        """The file that it stands in."""
        return self.position.file
