"""One run while it is received: what was declared, what came, what was said of it last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from spanverdict.app.completeness import Progress, Waiting
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.records import RunRecord, RunState, Said


@dataclass(slots=True, eq=False)
class LiveRun:
    """Times are seconds of a monotonic clock."""

    id: str
    met: float = 0.0
    """When it was met here."""
    expected: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    declared_flows: tuple[str, ...] = ()
    said: Said = field(default_factory=Said)
    """All that is known to be declared of it."""
    first_batch: int = 0
    last_batch: int = 0
    noted: tuple[int, int] = (0, 0)
    """First and last batch as the store knows them."""
    judged_through: int = 0
    revision: int = 0
    active: float | None = None
    """When spans last came, or more was said after a verdict."""
    ended: float | None = None
    restated: bool = False
    """More was said of it after its last verdict."""
    patient: bool = False
    """It waits for the idle time even after its end, as spans are known to be on their way."""
    recalled: bool = False
    """What the store knows of it is known here, too."""
    loaded: bool = False
    """So are the spans that came before it was met here."""
    torn: bool = False
    """Spans that came before it was met here were deleted by retention, so no verdict can take in all of it."""
    checked: bool = False
    """It was stitched to see whether it is whole, and nothing came since."""
    ends_seen: int = 0
    """Spans that may end it, as far as they were looked at."""
    loose: bool = False
    """It was seen that something of it is still to come, and nothing came since."""
    check_again: float = 0.0
    """Not before then is it stitched again to see whether it is whole."""
    due: float | None = None
    """When to look at it; None for not before something happens."""
    trouble: str = ""
    """Why it could not be judged the last time."""
    progress: Progress = field(default_factory=Progress)

    @property
    def fresh(self) -> bool:
        """Tell whether something came, or was said, that no verdict has taken in."""
        return self.last_batch > self.judged_through or self.restated or (self.revision == 0 and self.ended is not None)

    def touch(self, first: int, last: int, now: float | None) -> None:
        """Note that the batches `first … last` may hold spans of it."""
        self.first_batch = min(self.first_batch or first, first)
        self.last_batch = max(self.last_batch, last)
        self.active, self.loose = now, False

    def heard(self, record: RunRecord, now: float) -> None:
        """Take over what the store knows of it."""
        known = (self.expected, self.labels, self.declared_flows)
        self.expected, self.labels, self.declared_flows = record.expected_requests, record.labels, record.flows
        self.said = record.said
        if not self.recalled:  # later, the store may hold a verdict whose commit was reported as failed
            self.judged_through = max(self.judged_through, record.judged_through)
        ends = record.ended_unix_nano is not None and self.ended is None
        if ends:
            self.ended = now
        reopens = ends and record.state is not RunState.JUDGED
        said_more = known != (self.expected, self.labels, self.declared_flows)
        if self.revision and self.recalled and (reopens or said_more):
            self.restate(now)

    def restate(self, now: float) -> None:
        """Note that its last verdict does not know what is known now."""
        self.restated, self.active, self.loose = True, now, False

    def remember(self, record: RunRecord, revision: int, now: float) -> None:
        """Take over what the store knows of a run that is met for the first time."""
        self.revision = revision
        self.heard(record, now)
        self.noted = (record.first_batch, record.last_batch)
        if record.first_batch:
            self.touch(record.first_batch, record.last_batch, now if self.active is None else self.active)
        if revision and record.state is not RunState.JUDGED and not self.fresh:
            self.restate(now)
        self.recalled = True
        self.loaded = not record.first_batch

    def waiting(self, flows: tuple[Flow, ...]) -> Waiting:
        """Return what it waits for."""
        return Waiting(self.active, self.ended, self.expected, flows, self.patient, self.loose)
