"""What is found out about a run: its spans, made ready to be judged. One run at a time, as runs may be large."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from spanverdict.app.aside import Aside, at_once
from spanverdict.app.associating import defects_of
from spanverdict.app.liverun import LiveRun
from spanverdict.evaluation.preparing import PreparedRun, prepare
from spanverdict.paths.candidates import Candidates
from spanverdict.paths.defects import Defect
from spanverdict.paths.membership import membership_of


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The spans of a run, made ready to be judged, and how they were found."""

    run: PreparedRun
    defects: tuple[Defect, ...] = ()
    """What was met when they were found."""

    @staticmethod
    def of(candidates: Candidates, untagged: int) -> Evidence | None:
        """Find out which spans are the run's, and make them ready; None when there are none."""
        spans = candidates.spans()
        if spans is None:
            return None
        table, found = spans
        return Evidence(prepare(table, membership_of(candidates.run, found, untagged)), defects_of(found))


@dataclass(frozen=True, slots=True, eq=False)
class _Latest:
    run_id: str
    through: int
    """The last batch that it takes in."""
    evidence: Evidence | None
    """None while it is being worked out, if there is any, and where that went wrong."""


class Findings:
    """Keeps what was found out about the run that was looked at last, until something comes.

    While a run is being looked at, it stands even if something comes: a verdict is on what was there when it began.
    """

    def __init__(self) -> None:
        self.aside: Aside = at_once
        """Works out what takes long."""
        self._latest: _Latest | None = None
        self._looks = False
        self._outdated = False

    @contextmanager
    def look(self) -> Iterator[None]:
        """Let what is found out about a run stand for so long."""
        self._looks = True
        try:
            yield
        finally:
            self._looks = False
            if self._outdated:
                self.forget()

    def something_came(self) -> None:
        """Take note that what is found out may not be all any more."""
        if self._looks:
            self._outdated = True
        else:
            self.forget()

    def forget(self) -> None:
        """Let it go."""
        self._latest, self._outdated = None, False

    def through(self, run: LiveRun) -> int:
        """Return the last batch that what is found out about a run takes in."""
        return self._latest.through if self._latest is not None and self._latest.run_id == run.id else run.last_batch

    def evidence(
        self, run: LiveRun, candidates: Callable[[str], Candidates | None], untagged: int = 0
    ) -> Evidence | None:
        """Return the spans of a run and how they were found; None when there are none."""
        known = self._latest
        if known is not None and known.run_id == run.id and known.evidence is not None:
            return known.evidence
        found, through = candidates(run.id), run.last_batch
        self._latest = _Latest(run.id, through, None)
        made = None if found is None else self.aside(len(found), partial(Evidence.of, found, untagged))
        self._latest = _Latest(run.id, through, made)
        return made
