"""What a run of tests comes to: what every report of it is written from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from spanverdict.reporting.quantities import counted
from spanverdict.ruletest.comparing import Trial
from spanverdict.ruletest.coverage import FlowCoverage


@dataclass(frozen=True, slots=True)
class Session:
    """All tests that ran, in order, and what they covered if that was asked."""

    results: tuple[Trial, ...]
    coverage: tuple[FlowCoverage, ...] | None = None

    @property
    def failed(self) -> int:
        """How many tests failed."""
        return sum(not result.passed for result in self.results)

    @property
    def uncovered(self) -> bool:
        """Tell whether something was asked for and never seen."""
        return any(not each.whole for each in self.coverage or ())

    def by_file(self) -> Iterator[tuple[str, tuple[Trial, ...]]]:
        """Yield the files of tests, each with its results."""
        for file, results in groupby(self.results, key=lambda result: result.test.file):
            yield file, tuple(results)

    def counts(self) -> str:
        """Say how many passed and failed: `1 failed, 21 passed`."""
        passed = len(self.results) - self.failed
        parts = [f"{self.failed} failed"] * bool(self.failed) + [f"{passed} passed"] * bool(passed)
        return ", ".join(parts)

    def size(self) -> str:
        """Say how much was run: `22 tests in 3 files`."""
        files = len({result.test.file for result in self.results})
        return f"{counted(len(self.results), 'tests')} in {counted(files, 'files')}"
