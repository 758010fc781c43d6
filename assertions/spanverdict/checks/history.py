"""What rules came to in runs of the past, and the windows of time that rules over runs look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Position
from spanverdict.diagnostics.durations import format_exact
from spanverdict.diagnostics.yamldoc import Reader, Scalar

if TYPE_CHECKING:
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView

PASSED: Final = "passed"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
LEAST_RUNS: Final = 10
"""Runs that a window has to hold, unless the rule says otherwise."""


@dataclass(frozen=True, slots=True)
class PastResult:
    """What a flow or one of its rules came to in one run."""

    outcome: str
    good: int | None = None
    """Of a rule about truths that asked for a ratio: how many were true …"""
    known: int | None = None
    """… of how many."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run that a flow has judged."""

    run: str
    ended_unix_nano: int
    flow: PastResult
    rules: Mapping[str, PastResult] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunHistory:
    """The runs that a rule may look back at, the one that is judged among them."""

    ended_unix_nano: int = 0
    """The end of the run that is judged: windows go back from there."""
    runs: tuple[PastRun, ...] = ()
    """In any order."""

    def within(self, window_ns: int, rule: str | None) -> list[tuple[PastRun, PastResult]]:
        """Return the runs of a window that have judged the rule (or, for None, the flow), oldest first."""
        after = self.ended_unix_nano - window_ns
        here = (run for run in self.runs if after < run.ended_unix_nano <= self.ended_unix_nano)
        found = ((run, run.flow if rule is None else run.rules.get(rule)) for run in here)
        judged = ((run, result) for run, result in found if result is not None and result.outcome != SKIPPED)
        return sorted(judged, key=lambda entry: (entry[0].ended_unix_nano, entry[0].run))


@dataclass(frozen=True, slots=True)
class Target:
    """Which rule of the flow is looked at over several runs, or the flow itself."""

    rule: str | None
    """None: the flow."""
    runs: int
    """How many runs the (longest) window has to hold; with fewer nothing is said."""
    position: Position = field(compare=False, repr=False)
    """Where the rule is named."""

    def too_little(self, window_ns: int, view: RunView) -> str:
        """Say why the history is too short to judge by; empty when it is long enough."""
        found = view.history.within(window_ns, self.rule)
        decided = sum(result.outcome in (PASSED, FAILED) for _, result in found)
        if decided >= self.runs:
            return ""
        what = "the flow" if self.rule is None else f"the rule {self.rule}"
        was = "run" if decided == 1 else "runs"
        return f"{decided} {was} in {format_exact(window_ns)} decided on {what}, and {self.runs} are needed"


def read_target(reader: Reader, context: ReadContext) -> Target | None:
    """Read `of` and `runs`; None when something was reported. Whether there is such a rule is seen later."""
    node = reader.node("of")
    runs = reader.integer("runs", LEAST_RUNS, minimum=1)
    if node is None:
        return None if runs is None else Target(None, runs, reader.mapping.position)
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        message, hint = "a rule is named by its id", "without `of` the whole flow is looked at"
        context.problems.error(node.position, codes.WRONG_TYPE, message, hint, node.width)
        return None
    return None if runs is None else Target(node.text, runs, node.position)


def read_window(reader: Reader, key: str, context: ReadContext) -> int | None:
    """Read how far a window goes back, in ns; None when something was reported."""
    node = reader.require(key)
    window = None if node is None else reader.duration(key)
    if node is not None and window is not None and window <= 0:
        message = f"{key} has to be more than nothing"
        context.problems.error(node.position, codes.OUT_OF_RANGE, message, "", node.width)
        return None
    return window


def good_of(samples: int, observed: Mapping[str, float | int | None]) -> tuple[int, int] | None:
    """Return how many values were true, of how many, from what a rule has observed; None where it did not ask.

    >>> good_of(3, {"ratio": 2 / 3}), good_of(3, {"p95": 7})
    ((2, 3), None)
    """
    ratio = observed.get("ratio")
    return None if ratio is None else (round(Fraction(ratio) * samples), samples)


def undecided(results: list[tuple[PastRun, PastResult]]) -> Iterator[PastRun]:
    """Yield the runs of which nobody knows whether they passed."""
    return (run for run, result in results if result.outcome not in (PASSED, FAILED))
