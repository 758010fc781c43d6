"""A rule test as its author wrote it. Frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from spanverdict.diagnostics.diagnostic import Position
from spanverdict.evaluation.outcomes import Outcome
from spanverdict.rulefiles.conditions import Condition
from spanverdict.rulefiles.models import Flow
from spanverdict.ruletest.given import EarlierRuns, Given


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
class RuleTest:
    """Traces, how they are judged, and what should come of it."""

    name: str
    flow: Flow
    given: Given
    expect: tuple[ExpectedResult, ...]
    position: Position
    complete: bool = True
    """False: the run was given up on before it was complete."""
    others: Outcome | None = None
    """What rules say that `expect` does not name; None is not looked at."""
    verdict: ExpectedVerdict | None = None
    baseline: Given | None = None
    """The run that it is compared with."""
    earlier: tuple[EarlierRuns, ...] = ()
    """Runs that rules over several runs look back at, the oldest first."""

    @property
    def file(self) -> str:
        """The file that it stands in."""
        return self.position.file
