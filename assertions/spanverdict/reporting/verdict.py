"""The events of one finished run, gathered: the run, its flows with their results, the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from spanverdict.evaluation.outcomes import (
    Event,
    FlowFinished,
    FlowStarted,
    Outcome,
    RuleEvaluated,
    RuleResult,
    RunFinished,
    RunStarted,
)


class BrokenStreamError(ValueError):
    """The events do not make one finished run. It is our mistake, never the data's."""


@dataclass(frozen=True, slots=True)
class FlowVerdict:
    """What came of one flow."""

    started: FlowStarted
    results: tuple[RuleResult, ...]
    """In the order of the file."""
    finished: FlowFinished


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one run."""

    started: RunStarted
    flows: tuple[FlowVerdict, ...]
    finished: RunFinished

    @property
    def results(self) -> tuple[RuleResult, ...]:
        """Every rule's result, flow after flow."""
        return tuple(result for flow in self.flows for result in flow.results)

    @property
    def counts(self) -> Counter[Outcome]:
        """Rule results by outcome, without the rules that only report."""
        return Counter(result.outcome for result in self.results if not result.report_only)

    @property
    def reported_only(self) -> int:
        """How many results did not pass and yet cost nothing, because their rule only reports."""
        return sum(noted_only(result) for result in self.results)

    @property
    def good(self) -> bool:
        """Whether it is green: complete, and nothing in it that is not passed or skipped."""
        return self.finished.complete and self.finished.outcome in {Outcome.PASSED, Outcome.SKIPPED}

    @property
    def unshown(self) -> bool:
        """Whether it is not green, and yet no single rule or incomplete flow shows why."""
        open_flow = any(not flow.finished.completeness.complete for flow in self.flows)
        bad = self.counts.keys() - {Outcome.PASSED, Outcome.SKIPPED}
        return not (self.good or open_flow or bad)


def noted_only(result: RuleResult) -> bool:
    """Tell whether a result is bad but only reported."""
    return result.report_only and result.outcome not in {Outcome.PASSED, Outcome.SKIPPED}


def gather(events: Iterable[Event]) -> Verdict:
    """Collect a whole stream of events.

    Raises:
        BrokenStreamError: when an event stands where it cannot.
    """
    gathered = _Gathered()
    for event in events:
        gathered.take(event)
    return gathered.verdict()


@dataclass(slots=True)
class _Gathered:
    started: RunStarted | None = None
    flow: FlowStarted | None = None
    results: list[RuleResult] = field(default_factory=list)
    flows: list[FlowVerdict] = field(default_factory=list)
    finished: RunFinished | None = None

    def take(self, event: Event) -> None:
        if self.finished is not None or (self.started is None) is not isinstance(event, RunStarted):
            raise BrokenStreamError(f"{type(event).__name__} is out of place")
        match event:
            case RunStarted():
                self.started = event
            case FlowStarted():
                self._expect_flow(running=False, event=event)
                self.flow, self.results = event, []
            case RuleEvaluated():
                self._expect_flow(running=True, event=event)
                self.results.append(event.result)
            case FlowFinished():
                self._expect_flow(running=True, event=event)
                self._close_flow(event)
            case RunFinished():
                self._expect_flow(running=False, event=event)
                self.finished = event

    def _expect_flow(self, *, running: bool, event: Event) -> None:
        if (self.flow is not None) is not running:
            raise BrokenStreamError(f"{type(event).__name__} is out of place")

    def _close_flow(self, event: FlowFinished) -> None:
        assert self.flow is not None
        self.flows.append(FlowVerdict(self.flow, tuple(self.results), event))
        self.flow = None

    def verdict(self) -> Verdict:
        if self.started is None or self.finished is None:
            raise BrokenStreamError("the run is not finished")
        return Verdict(self.started, tuple(self.flows), self.finished)
