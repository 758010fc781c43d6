"""Measures over several runs: which of them passed, and how fast an error budget burns."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from spanverdict.checks.bounds import CERTAIN, Bounds
from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.history import FAILED, PASSED, PastResult, PastRun, Target, undecided
from spanverdict.checks.missing import Missing
from spanverdict.diagnostics.durations import format_exact

if TYPE_CHECKING:
    from spanverdict.checks.burnrate import BurnRate
    from spanverdict.checks.runview import RunView

POPULATION: Final = "runs"
_NAMED: Final = 3


def passes(target: Target, window_ns: int, view: RunView) -> Measurement:
    """Give a truth for each run of the window that decided, oldest first."""
    found = view.history.within(window_ns, target.rule)
    decided = [(run, result) for run, result in found if result.outcome in (PASSED, FAILED)]
    nobody = np.full(len(decided), -1, np.intp)
    lacking = np.full(len(found) - len(decided), -1, np.intp)
    return Measurement(
        Unit.TRUTH,
        np.array([result.outcome == PASSED for _, result in decided], np.bool_),
        POPULATION,
        nobody,
        nobody,
        Missing.of_requests(lacking, f"did not decide{_named(found)}"),
        explain=lambda number: f"run {decided[number][0].run} {decided[number][1].outcome}",
    )


def _named(found: list[tuple[PastRun, PastResult]]) -> str:
    names = [run.run for run in undecided(found)]
    return f" ({', '.join(names[:_NAMED])}{' …' if len(names) > _NAMED else ''})" if names else ""


@dataclass(frozen=True, slots=True)
class _Window:
    """What was good and bad in a window."""

    bad: int
    known: int
    unknown: int
    """What did not decide and might have been good or bad; of a window without runs nothing is known."""
    length: str

    def told(self, by: str) -> str:
        """Say what was bad in it."""
        return f"{self.length}: {self.bad:,} bad of {self.known:,} {by}"

    def doubt(self, by: str) -> str:
        """Say what nobody knows of it."""
        if not self.known:
            return f"nothing is known of the {by} in {self.length}"
        return f"{self.unknown} {by[:-1] if self.unknown == 1 else by} in {self.length} did not decide"

    def burn(self, budget: Fraction) -> tuple[float, float, float]:
        """Return the burn as observed, and the least and the most that it may be; all 0 where nothing was judged."""
        shares = (
            Fraction(self.bad, self.known) if self.known else Fraction(0),
            Fraction(self.bad, self.known + self.unknown) if self.known else Fraction(0),
            Fraction(self.bad + self.unknown, self.known + self.unknown) if self.known + self.unknown else Fraction(0),
        )
        observed, low, high = (float(share / budget) for share in shares)
        return observed, low, high


def burns(check: BurnRate, view: RunView) -> Measurement:
    """Give the burn of the short window and that of the long one; a run that did not decide leaves them in doubt."""
    windows = [_window(check, window, view) for window in (check.short_ns, check.long_ns)]
    found = np.array([window.burn(1 - check.objective) for window in windows])
    cause = np.array([place if window.unknown else CERTAIN for place, window in enumerate(windows)], np.int64)
    bounds = Bounds(found[:, 1], found[:, 2], found[:, 0], cause, lambda place: windows[place].doubt(check.by))
    nobody = np.full(len(windows), -1, np.intp)
    return Measurement(
        Unit.NUMBER,
        found[:, 0],
        "windows",
        nobody,
        nobody,
        Missing.none(),
        bounds=bounds if any(window.unknown for window in windows) else None,
        explain=lambda number: f"{found[number, 0]:.4g} in {windows[number].told(check.by)}",
    )


def _window(check: BurnRate, window_ns: int, view: RunView) -> _Window:
    found = view.history.within(window_ns, check.target.rule)
    counted = [_bad_of(result, check.by) for _, result in found]
    bad, known = (sum(pair[place] for pair in counted if pair is not None) for place in (0, 1))
    return _Window(bad, known, _unknown(counted, known) if found else 1, format_exact(window_ns))


def _bad_of(result: PastResult, by: str) -> tuple[int, int] | None:
    """Return how many were bad, of how many; None for a run that does not say."""
    if by == POPULATION:
        return (int(result.outcome == FAILED), 1) if result.outcome in (PASSED, FAILED) else None
    if result.good is None or result.known is None:
        return None
    return result.known - result.good, result.known


def _unknown(counted: list[tuple[int, int] | None], known: int) -> int:
    """Return how many values the runs that do not say may have had: as many as the others on average, rounded up."""
    silent, told = counted.count(None), len(counted) - counted.count(None)
    return silent if not told else -(-silent * known // told)
